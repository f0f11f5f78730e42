import { ledgerError } from '../ports/errors.ts'
import { inTurns } from '../ports/turns.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import { hashHeader } from '../protocol/header.ts'
import { merkleRoot } from '../protocol/merkle.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { leafOf, type ShownTransaction } from '../protocol/transaction.ts'
import type { Chain } from './chain.ts'
import type { SealedBlock } from './sealed-pages.ts'

/**
 * Takes the next block, as SQL has it, onto the chain, after checking it by every rule. Throws `corrupt`, with the row that is
 * damaged where that can be told.
 */
export async function applySealed(chain: Chain, sealed: SealedBlock): Promise<void> {
  const { row, tick } = sealed
  const block: ShownBlock = { ...row.sealed, transactions: tick.transactions }
  const hash = hashHeader(block.header)
  if (row.block_hash !== hash) throw corrupt(`SQL, block ${row.height}, block_hash`, hash, row.block_hash)
  const txHashes = await inTurns(mapInPieces(tick.transactions, leafOf))
  const verdict = await chain.verify(block, txHashes)
  if (!verdict.ok) throw refusal(sealed, txHashes, verdict)
  refuseOtherHash(sealed, txHashes)
  await chain.append(block, txHashes)
}

/** Where the stored hashes lead to the Merkle root, a row that hashes to something else is what is damaged. */
function refusal(sealed: SealedBlock, txHashes: readonly Hash[], verdict: Verdict & { readonly ok: false }): Error {
  const { row, tick } = sealed
  const { header } = row.sealed
  const at = txHashes.findIndex((hash, index) => hash !== tick.tx_hashes[index])
  if (at >= 0 && merkleRoot(tick.tx_hashes) === header.merkle_root) {
    const id = nameOf(tick.transactions[at])
    const expected = `values that hash to ${tick.tx_hashes[at] ?? ''}, which is sealed`
    return corrupt(`SQL, block ${row.height}, transaction ${id}`, expected, `values that hash to ${txHashes[at] ?? ''}`)
  }
  const place = `SQL, block ${row.height} (tick ${row.tick_id})`
  return corrupt(place, 'a valid block', `${verdict.code}: ${verdict.reason}`)
}

function refuseOtherHash({ row, tick }: SealedBlock, txHashes: readonly Hash[]): void {
  for (const [index, expected] of txHashes.entries()) {
    const found = tick.tx_hashes[index]
    if (found === expected) continue
    const id = nameOf(tick.transactions[index])
    throw corrupt(`SQL, block ${row.height}, transaction ${id}, tx_hash`, expected, found ?? 'nothing')
  }
}

/** A redacted transaction is known by its hash. */
const nameOf = (tx: ShownTransaction | undefined): string => (tx?.kind === 'redacted' ? tx.tx_hash : (tx?.id ?? ''))

const corrupt = (place: string, expected: string, found: string) => ledgerError('corrupt', { place, expected, found })
