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
import { redactionShape } from '../protocol/redaction.ts'
import { shownTransactionShape } from '../protocol/transaction.ts'
import { voteShape } from '../protocol/vote.ts'

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

const PAGE = 100

/** The lines of a chain file, without line breaks, from the source of record; one block in memory at a time. */
export async function* exportChain(genesis: Genesis, store: MarketStore): AsyncGenerator<string> {
  yield canonicalText({ format: 'solar-node chain', version: 1, chain_id: chainIdOf(genesis), genesis })
  const final = await store.finalHeight()
  const all = await store.redactions()
  let height = 0
  for (;;) {
    const rows = await store.blocks(height, PAGE)
    for (const { sealed, tick_id, block_hash, finalized_at } of rows) {
      const transactions = await store.transactionsOfTick(tick_id)
      const votes = await store.votesOf(block_hash)
      const redactions = all.filter(({ height: at }) => at === sealed.header.height)
      yield canonicalText({
        ...sealed,
        transactions,
        votes,
        finalized_at,
        ...(redactions.length > 0 && { redactions }),
      })
    }
    height += rows.length
    if (rows.length < PAGE) break
  }
  yield canonicalText({ end: { blocks: height, final_height: final < 0 ? null : final } })
}
