import { inTurns } from '../ports/turns.ts'
import { canonicalText, canonicalTextInPieces } from '../protocol/canonical-json.ts'
import { chainIdOf, genesisAsIs, type Genesis } from '../protocol/genesis.ts'
import { headerShape } from '../protocol/header.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from '../protocol/limits.ts'
import {
  array,
  arrayInPieces,
  blockHeight,
  hash32,
  integer,
  literal,
  nullable,
  object,
  signatureHex,
  timestampMs,
  withItemsInPieces,
} from '../protocol/shape.ts'
import { redactionShape } from '../protocol/redaction.ts'
import { shownTransactionShape } from '../protocol/transaction.ts'
import { voteShape } from '../protocol/vote.ts'
import type { ChainSource } from './chain-source.ts'
import type { OnProgress } from './progress.ts'

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
const anyBlockLineShape = object(
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
/** A block with what is known of it. */
export const blockLineShape = withItemsInPieces(
  anyBlockLineShape,
  'transactions',
  arrayInPieces(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK),
)
export const endLineShape = object({ end: object({ blocks: integer(), final_height: nullable(blockHeight) }) })

const PROGRESS_EVERY = 100

/** The lines of a chain file, without line breaks. Throws as `ChainSource.blocks`. */
export async function* exportChain(
  genesis: Genesis,
  source: ChainSource,
  onProgress: OnProgress,
): AsyncGenerator<string> {
  yield canonicalText({ format: 'solar-node chain', version: 1, chain_id: chainIdOf(genesis), genesis })
  const final = await source.finalHeight()
  const total = await source.size()
  let blocks = 0
  let transactions = 0
  for await (const block of source.blocks()) {
    yield await inTurns(canonicalTextInPieces(block))
    blocks += 1
    transactions += block.transactions.length
    if (blocks % PROGRESS_EVERY === 0 || blocks === total) onProgress({ blocks, transactions, total })
  }
  yield canonicalText({ end: { blocks, final_height: final < 0 ? null : final } })
}
