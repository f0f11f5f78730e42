import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { inTurns } from '../ports/turns.ts'
import type { ShownBlock } from '../protocol/block.ts'
import { bytesToHex, type Hash } from '../protocol/bytes.ts'
import { invalid, isSolarError } from '../protocol/errors.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import type { Membership } from '../protocol/membership.ts'
import { merkleRootInPieces } from '../protocol/merkle.ts'
import { blockAnswer, blockPath, statusAnswer } from '../protocol/messages.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { signRequest, type PeerCredential } from '../protocol/request.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { leafOf, type Redacted, type ShownTransaction } from '../protocol/transaction.ts'
import type { ProvesFinal } from './final-proof.ts'
import type { HolePatience } from './hole-patience.ts'

/** Who asks: what goes along with a request that is not for everybody. */
export interface SignedAccess {
  readonly credential: PeerCredential
  /** Of a household: whose device it is. */
  readonly membership?: Membership
}

/**
 * Signs, for one peer, what it is asked for over libp2p: `path` is that of `blockPath`. About a header only of which the
 * seal was checked: nobody gets a signature for what he has made up.
 */
export type CredentialSigner = (peer: string, path: string) => Promise<SignedAccess>

/** Signs requests as who is registered at the time of asking. */
export function createCredentialSigner(parts: {
  readonly chainId: Hash
  readonly requests: Pick<PeerRequests, 'id'>
  /** The id under which the key is registered now. */
  readonly voterId: () => string | Promise<string>
  readonly key: () => Promise<SigningKey>
  /** Of a household: its certificate, if it has one. */
  readonly membership?: () => Promise<Membership | undefined>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}): CredentialSigner {
  return async (peer, path) => {
    const membership = await parts.membership?.()
    const request = {
      method: 'P2P',
      path,
      timestamp: parts.clock.now(),
      id: bytesToHex(parts.randomBytes(16)),
      from: parts.requests.id,
      to: peer,
    } as const
    const credential = signRequest(await parts.voterId(), parts.chainId, request, await parts.key())
    return { credential, ...(membership !== undefined && { membership }) }
  }
}

/**
 * The largest block fills about 120 pages of 512 KiB. Together with the header's `tx_count`, which bounds the transactions,
 * and the size of one answer this bounds what a peer can make this node take and how often it is asked.
 */
const MAX_PAGES = 512

/**
 * `fetchShownBlock` for who may see all of it. A body that this peer does not show is looked for at the others. If nobody has it
 * it was redacted, which is taken of a block that the peer proves to be final: who seals a new one cannot keep from those who co-sign
 * it what is in it. Throws `peer_refused` with the code `redacted` for any other block, and if the peer does not show whole blocks to this key.
 *
 * @param patience for who has to keep all bodies: whether it is taken while a peer that may have the body has not answered
 */
export async function fetchBlock(
  requests: PeerRequests,
  peer: string,
  sealed: SealedHeader,
  sign: CredentialSigner,
  provesFinal: ProvesFinal,
  patience?: HolePatience,
): Promise<ShownBlock> {
  const { header, signature, transactions, isWhole } = await fetchShownBlock(requests, peer, sealed, sign)
  let shown = transactions
  const silent: string[] = []
  for (const other of requests.peers()) {
    if (other === peer || !isWhole || firstHole(shown) === undefined) continue
    const others = await fetchFrom(requests, other, sealed, sign)
    if (others === 'silent') silent.push(other)
    else if (others !== 'refused')
      shown = shown.map((tx, index) => (tx.kind === 'redacted' ? (others.transactions[index] ?? tx) : tx))
  }
  const hole = firstHole(shown)
  if (hole !== undefined) {
    const final = isWhole ? await provesFinal(sealed) : invalid('forbidden', 'it hides from this key what is of others')
    if (!final.ok) throw hidden(peer, header.height, hole, final.reason)
    if (patience?.mayTake(silent) === false) throw awaited(peer, header.height, hole, silent)
  }
  return { header, signature, transactions: shown }
}

/** What another peer shows of a block. A light node has none, and does not answer; who else does not may have it. */
async function fetchFrom(
  requests: PeerRequests,
  peer: string,
  sealed: SealedHeader,
  sign: CredentialSigner,
): Promise<ShownBlock | 'refused' | 'silent'> {
  try {
    return await fetchShownBlock(requests, peer, sealed, sign)
  } catch (error) {
    if (!isSolarError(error, 'peer_unreachable')) return 'refused'
    const status = await requests.request(peer, 'status', {}).catch(() => undefined)
    return isLight(status) ? 'refused' : 'silent'
  }
}

function isLight(answer: unknown): boolean {
  try {
    return statusAnswer(answer, 'status').mode === 'light'
  } catch {
    return false
  }
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
 * `wrong_header`, `wrong_tx_count`, `wrong_merkle_root`.
 */
export async function fetchShownBlock(
  requests: PeerRequests,
  peer: string,
  { header, signature }: SealedHeader,
  sign: CredentialSigner,
): Promise<FetchedBlock> {
  const block_hash = hashHeader(header)
  const refused = (code: string, reason: string) =>
    ledgerError('peer_refused', { peer, request: 'block', code, reason: `block ${header.height}: ${reason}` })
  const transactions: ShownTransaction[] = []
  let isWhole = true
  for (let pages = 0, next: number | null = 0; next !== null; pages++) {
    const from_index: number = next
    if (pages === MAX_PAGES) throw refused('malformed', `more than ${MAX_PAGES} pages`)
    const access = await sign(peer, blockPath(block_hash, from_index))
    const page = readPage(peer, await requests.request(peer, 'block', { block_hash, from_index, ...access }))
    if (hashHeader(page.header) !== block_hash) throw refused('wrong_header', `asked for ${block_hash}`)
    transactions.push(...page.transactions)
    isWhole &&= page.shown === undefined
    if (transactions.length > header.tx_count) {
      throw refused('wrong_tx_count', `more than the ${header.tx_count} transactions that the header counts`)
    }
    next = page.next_index
    // A page that ends before the block does must bring something, or the asking would never end.
    if (next !== null && (next !== transactions.length || next === from_index)) {
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

/**
 * The sealed header of a block that a peer keeps, on its chain or beside it. Throws `peer_refused`,
 * `peer_unreachable`.
 */
export async function fetchHeader(
  requests: PeerRequests,
  peer: string,
  block_hash: Hash,
  sign: CredentialSigner,
): Promise<SealedHeader> {
  const access = await sign(peer, blockPath(block_hash, 0))
  const page = readPage(peer, await requests.request(peer, 'block', { block_hash, from_index: 0, ...access }))
  if (hashHeader(page.header) === block_hash) return { header: page.header, signature: page.signature }
  const reason = `asked for the block ${block_hash}`
  throw ledgerError('peer_refused', { peer, request: 'block', code: 'wrong_header', reason })
}

/** Throws `peer_refused` for what is no page. */
function readPage(peer: string, answer: unknown): ReturnType<typeof blockAnswer> {
  try {
    return blockAnswer(answer, 'block')
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    throw ledgerError('peer_refused', { peer, request: 'block', code: error.code, reason: error.message }, error)
  }
}
