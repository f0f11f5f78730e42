import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { hashHeader, type Header, type SealedHeader } from '../protocol/header.ts'
import { blockAnswer, blockPath, MIN_TRANSACTIONS_OF_PAGE, type BlockPage } from '../protocol/messages.ts'
import type { CredentialSigner } from './credential-signer.ts'

/** What fetching takes: whom to ask, as whom, and the time that it may take. */
export interface FetchParts {
  readonly requests: PeerRequests
  readonly sign: CredentialSigner
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
}

/**
 * One page of a block of this header, from a transaction on. One that ends before the block does has as many as a page
 * has, so that header and page size bound how often a peer is asked. Throws as `fetchShownBlock`.
 */
export async function fetchPage(
  { requests, sign }: Pick<FetchParts, 'requests' | 'sign'>,
  peer: string,
  header: Header,
  from_index: number,
): Promise<BlockPage> {
  const block_hash = hashHeader(header)
  const access = await sign(peer, blockPath(block_hash, from_index))
  const page = readPage(peer, await requests.request(peer, 'block', { block_hash, from_index, ...access }))
  const refused = (code: string, reason: string) =>
    ledgerError('peer_refused', { peer, request: 'block', code, reason: `block ${header.height}: ${reason}` })
  if (hashHeader(page.header) !== block_hash) throw refused('wrong_header', `asked for ${block_hash}`)
  const { length } = page.transactions
  if (page.next_index !== null && length < MIN_TRANSACTIONS_OF_PAGE) {
    throw refused(
      'malformed',
      `a page of ${length} transactions that is not the last; at least ${MIN_TRANSACTIONS_OF_PAGE}`,
    )
  }
  return page
}

/**
 * The sealed header of a block that a peer keeps, on its chain or beside it. Throws `peer_refused`,
 * `peer_unreachable`.
 */
export async function fetchHeader(
  { requests, sign }: Pick<FetchParts, 'requests' | 'sign'>,
  peer: string,
  block_hash: Hash,
): Promise<SealedHeader> {
  const access = await sign(peer, blockPath(block_hash, 0))
  const page = readPage(peer, await requests.request(peer, 'block', { block_hash, from_index: 0, ...access }))
  if (hashHeader(page.header) === block_hash) return { header: page.header, signature: page.signature }
  const reason = `asked for the block ${block_hash}`
  throw ledgerError('peer_refused', { peer, request: 'block', code: 'wrong_header', reason })
}

/** Throws `peer_refused` for what is no page. */
function readPage(peer: string, answer: unknown): BlockPage {
  try {
    return blockAnswer(answer, 'block')
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    throw ledgerError('peer_refused', { peer, request: 'block', code: error.code, reason: error.message }, error)
  }
}
