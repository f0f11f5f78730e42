import { leafOf, type ShownTransaction } from '../../protocol/transaction.ts'
import { decodePlace } from './block-index.ts'
import { keyOf } from './keyspaces.ts'
import type { TextLevel } from './level.ts'
import { redactionKey } from './redacted-bodies.ts'

/** These transactions without the bodies that were removed from the chain: none comes back with another block that has it too. */
export async function withoutRemoved(
  db: TextLevel,
  transactions: readonly ShownTransaction[],
): Promise<readonly ShownTransaction[]> {
  const hashes = transactions.map(leafOf)
  const keys = hashes.map((hash) => keyOf('placeByHash', hash))
  const places = await db.getMany(keys)
  const onChain = hashes.flatMap((tx_hash, at) => {
    const place = decodePlace(keys[at] ?? '', places[at])
    return place === undefined ? [] : [{ tx_hash, height: place.height }]
  })
  const records = await db.getMany(onChain.map(redactionKey))
  const removed = new Set(onChain.flatMap(({ tx_hash }, at) => (records[at] === undefined ? [] : [tx_hash])))
  return transactions.map((tx, at): ShownTransaction => {
    const tx_hash = hashes[at] ?? ''
    return removed.has(tx_hash) ? { kind: 'redacted', tx_hash } : tx
  })
}
