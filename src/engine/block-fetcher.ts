import { steadyNow } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import { inTurns } from '../ports/turns.ts'
import type { ShownBlock } from '../protocol/block.ts'
import { invalid } from '../protocol/errors.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import { merkleRootInPieces } from '../protocol/merkle.ts'
import { payloadCharacters, payloadsFault } from '../protocol/payload.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { leafOf, type Redacted, type ShownTransaction } from '../protocol/transaction.ts'
import { fetchPage, type FetchParts } from './block-pages.ts'
import type { ProvesFinal } from './final-proof.ts'
import type { HolePatience } from './hole-patience.ts'
import { fillFrom } from './missing-bodies.ts'

/** A peer has so long for a block, and for each of its transactions: a link of 2 Mbit/s is fast enough. */
const FETCH_MS = 30_000
const FETCH_MS_PER_TRANSACTION = 10

/**
 * `fetchShownBlock` for who may see all of it. A body that this peer does not show is looked for at the others. If nobody has it
 * it was redacted, which is taken of a block that the peer proves to be final: who seals a new one cannot keep from those who co-sign
 * it what is in it. Throws `peer_refused` with the code `redacted` for any other block, and if the peer does not show whole blocks to this key.
 *
 * @param patience for who has to keep all bodies: whether it is taken while a peer that may have the body has not answered
 */
export async function fetchBlock(
  parts: FetchParts,
  peer: string,
  sealed: SealedHeader,
  provesFinal: ProvesFinal,
  patience?: HolePatience,
): Promise<ShownBlock> {
  const fetched = await fetchShownBlock(parts, peer, sealed)
  const { header, signature, isWhole } = fetched
  const others = isWhole ? parts.requests.peers().filter((other) => other !== peer) : []
  const { transactions, silent } = await fillFrom(parts, others, fetched)
  const hole = firstHole(transactions)
  if (hole !== undefined) {
    const final = isWhole ? await provesFinal(sealed) : invalid('forbidden', 'it hides from this key what is of others')
    if (!final.ok) throw hidden(peer, header.height, hole, final.reason)
    if (patience?.mayTake(hashHeader(header), silent) === false) throw awaited(peer, header.height, hole, silent)
  }
  return { header, signature, transactions }
}

function awaited(peer: string, height: number, { tx_hash }: Redacted, silent: readonly string[]): Error {
  const words = `block ${height}: nobody has shown the transaction ${tx_hash} yet, and ${silent.join(', ')} did not answer; asked again`
  return ledgerError('peer_refused', { peer, request: 'block', code: 'redacted', reason: words })
}

function hidden(peer: string, height: number, { tx_hash }: Redacted, reason: string): Error {
  const words = `block ${height}: the transaction ${tx_hash} is redacted, and the block is not proven to be final: ${reason}`
  return ledgerError('peer_refused', { peer, request: 'block', code: 'redacted', reason: words })
}

const firstHole = (transactions: readonly ShownTransaction[]): Redacted | undefined =>
  transactions.find((tx) => tx.kind === 'redacted')

/** A block as a peer shows it. */
export interface FetchedBlock extends ShownBlock {
  /** False if the peer hides from this key what is of others. */
  readonly isWhole: boolean
}

/**
 * Fetches the block of a sealed header from one connected peer, page by page. Guaranteed of what it gives back: it has
 * exactly the header's transactions (count and Merkle root), and the seal that was asked for. Whether the block follows the
 * chain and its seal is the authority's is the caller's to check.
 *
 * Throws `peer_unreachable`, or `peer_refused` with the peer's code or with that of what is wrong: `malformed`,
 * `wrong_header`, `wrong_tx_count`, `payloads_too_large`, `wrong_merkle_root`.
 */
export async function fetchShownBlock(
  parts: FetchParts,
  peer: string,
  { header, signature }: SealedHeader,
): Promise<FetchedBlock> {
  const limit = FETCH_MS + FETCH_MS_PER_TRANSACTION * header.tx_count
  const startedAt = steadyNow(parts.clock)
  const refused = (code: string, reason: string) =>
    ledgerError('peer_refused', { peer, request: 'block', code, reason: `block ${header.height}: ${reason}` })
  const transactions: ShownTransaction[] = []
  let isWhole = true
  let characters = 0
  for (let next: number | null = 0; next !== null;) {
    const from_index: number = next
    if (steadyNow(parts.clock) - startedAt > limit) {
      const reason = `block ${header.height} took longer than ${limit} ms`
      throw ledgerError('peer_unreachable', { peer, reason })
    }
    const page = await fetchPage(parts, peer, header, from_index)
    transactions.push(...page.transactions)
    characters += payloadCharacters(page.transactions)
    const tooLarge = payloadsFault(characters)
    if (tooLarge !== undefined) throw refused('payloads_too_large', tooLarge)
    isWhole &&= page.shown === undefined
    if (transactions.length > header.tx_count) {
      throw refused('wrong_tx_count', `more than the ${header.tx_count} transactions that the header counts`)
    }
    next = page.next_index
    if (next !== null && next !== transactions.length) {
      throw refused('malformed', `next_index ${next} after ${transactions.length} transactions`)
    }
  }
  if (transactions.length !== header.tx_count) {
    throw refused('wrong_tx_count', `${transactions.length} transactions, the header counts ${header.tx_count}`)
  }
  const leaves = await inTurns(mapInPieces(transactions, leafOf))
  const root = await inTurns(merkleRootInPieces(leaves))
  if (root !== header.merkle_root) {
    throw refused('wrong_merkle_root', `the transactions lead to ${root}, the header has ${header.merkle_root}`)
  }
  return { header, signature, transactions, isWhole }
}
