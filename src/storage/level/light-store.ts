import { nextTurn } from '../../ports/turns.ts'
import type { CheckedTrade, LightStore, LightWindow } from '../../ports/light-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { sealedHeaderShape } from '../../protocol/header.ts'
import { trustedStateShape } from '../../protocol/light-verify.ts'
import { membershipShape } from '../../protocol/membership.ts'
import { merkleProofShape } from '../../protocol/merkle.ts'
import { array, hash32, object, type Shape } from '../../protocol/shape.ts'
import { transactionShape } from '../../protocol/transaction.ts'
import { corrupt, decodeText } from '../decode.ts'
import { evidenceStore } from './evidence-store.ts'
import { keyOf } from './keyspaces.ts'
import { DURABLE, guardLevel, openLevel, readText, readValue, type CheckRoom, type TextLevel } from './level.ts'
import { voterStore } from './voter-store.ts'

/** Written in one turn of the event loop: each has a proof and a header. */
const TRADES_OF_PIECE = 250

/** Far above any window that is configured: it only keeps a broken value from filling the memory. */
const MAX_WINDOW = 100_000

const windowShape: Shape<LightWindow> = object({
  headers: array(sealedHeaderShape, MAX_WINDOW),
  trusted: trustedStateShape,
  head: trustedStateShape,
})
const checkedTradeShape: Shape<CheckedTrade> = object({
  transaction: transactionShape,
  tx_hash: hash32,
  merkle_proof: merkleProofShape,
  sealed: sealedHeaderShape,
})

/**
 * Opens a light node's store at a folder (Node) or under a database name (browsers). Genesis, window and vote are synced
 * when their call returns. Throws `store_failed`.
 */
export async function openLightStore(location: string, checkRoom?: CheckRoom): Promise<LightStore> {
  return lightStore(await openLevel(location, checkRoom))
}

/** A light node's store in a database that is open; the store closes it. */
export function lightStore(db: TextLevel): LightStore {
  return {
    genesis: guardLevel('genesis', () => readText(db, keyOf('genesis'))),
    putGenesis: guardLevel('putGenesis', (text) => db.put(keyOf('genesis'), text, DURABLE)),

    window: guardLevel('window', () => readValue(db, 'window', '', windowShape)),
    putWindow: guardLevel('putWindow', async ({ headers, trusted, head }) => {
      const sealed = headers.map(({ header, signature }) => ({ header, signature }))
      await db.put(keyOf('window'), canonicalText({ headers: sealed, trusted, head }), DURABLE)
    }),

    membership: guardLevel('membership', () => readValue(db, 'membership', '', membershipShape)),
    putMembership: guardLevel('putMembership', (membership) =>
      db.put(keyOf('membership'), canonicalText(membership), DURABLE),
    ),

    ...voterStore(db),
    ...evidenceStore(db),

    putTrades: guardLevel('putTrades', async (trades) => {
      const batch = db.batch()
      for (const [index, trade] of trades.entries()) {
        if (index % TRADES_OF_PIECE === TRADES_OF_PIECE - 1) await nextTurn()
        batch.put(keyOf('checkedTrade', trade.transaction.id), encodeTrade(trade))
        batch.put(keyOf('checkedIdByHash', trade.tx_hash), trade.transaction.id)
      }
      await batch.write()
    }),
    trade: guardLevel('trade', async (by) => {
      const id = 'tx_id' in by ? by.tx_id : await readText(db, keyOf('checkedIdByHash', by.tx_hash))
      if (id === undefined) return undefined
      const found = await readValue(db, 'checkedTrade', id, checkedTradeShape)
      if (found === undefined && 'tx_hash' in by)
        throw corrupt(`level checkedTrade ${id}`, 'a checked trade', 'nothing')
      return found
    }),
    trades: guardLevel('trades', async (afterId, limit) => {
      const range = { gt: keyOf('checkedTrade', afterId), lte: keyOf('checkedTrade', '~'), limit }
      const found = await db.iterator(range).all()
      return found.map(([key, text]) => decodeText(`level ${key}`, text, checkedTradeShape))
    }),

    close: guardLevel('close', () => db.close()),
  }
}

function encodeTrade({ transaction, tx_hash, merkle_proof, sealed }: CheckedTrade): string {
  const { header, signature } = sealed
  return canonicalText({ transaction, tx_hash, merkle_proof, sealed: { header, signature } })
}
