import type { MarketStore } from '../ports/market-store.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { chainIdOf, genesisAsIs, type Genesis } from '../protocol/genesis.ts'
import { headerShape } from '../protocol/header.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from '../protocol/limits.ts'
import {
  array,
  blockHeight,
  hash32,
  integer,
  literal,
  nullable,
  object,
  signatureHex,
  timestampMs,
} from '../protocol/shape.ts'
import { redactionShape, type Redaction } from '../protocol/redaction.ts'
import { shownTransactionShape } from '../protocol/transaction.ts'
import { voteShape } from '../protocol/vote.ts'
import type { OnProgress } from './progress.ts'
import { sealedPages } from './sealed-pages.ts'

/**
 * A whole chain in one file (docs/operations.md): JSON lines, the genesis first, then every block with its votes, and an end that
 * shows that nothing is missing. Each line is canonical JSON.
 */
export const firstLineShape = object({
  format: literal('solar-node chain'),
  version: literal(1),
  chain_id: hash32,
  genesis: genesisAsIs,
})
const redactionList = array(redactionShape, MAX_TRANSACTIONS_PER_BLOCK)
export const blockLineShape = object(
  {
    header: headerShape,
    signature: signatureHex,
    transactions: array(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK),
    votes: array(voteShape, 1_000_000),
    /** null while only proposed. */
    finalized_at: nullable(timestampMs),
  },
  {
    /** The records of the transactions whose bodies were removed, if there are any. */
    redactions: redactionList,
  },
)
export const endLineShape = object({ end: object({ blocks: integer(), final_height: nullable(blockHeight) }) })

/** The lines of a chain file, without line breaks, from the source of record; some blocks in memory at a time. */
export async function* exportChain(
  genesis: Genesis,
  store: MarketStore,
  onProgress: OnProgress,
): AsyncGenerator<string> {
  yield canonicalText({ format: 'solar-node chain', version: 1, chain_id: chainIdOf(genesis), genesis })
  const final = await store.finalHeight()
  const all = byHeight(await store.redactions())
  const total = ((await store.lastBlock())?.height ?? -1) + 1
  let blocks = 0
  let count = 0
  for await (const page of sealedPages(store, 0)) {
    for (const { row, tick } of page) {
      const { sealed, block_hash, finalized_at } = row
      const { transactions } = tick
      const votes = await store.votesOf(block_hash)
      const redactions = all.get(row.height)
      yield canonicalText({ ...sealed, transactions, votes, finalized_at, ...(redactions && { redactions }) })
      count += transactions.length
    }
    blocks += page.length
    onProgress({ blocks, transactions: count, total })
  }
  yield canonicalText({ end: { blocks, final_height: final < 0 ? null : final } })
}

function byHeight(redactions: readonly Redaction[]): ReadonlyMap<number, readonly Redaction[]> {
  const heights = new Map<number, Redaction[]>()
  for (const redaction of redactions) {
    const known = heights.get(redaction.height)
    if (known === undefined) heights.set(redaction.height, [redaction])
    else known.push(redaction)
  }
  return heights
}
