import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import { MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import { acksAnswer, headersAnswer, type AcksParams } from '../protocol/messages.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'
import type { Replica } from './replica.ts'
import type { ReplicaSync } from './replica-sync.ts'
import type { VoteTarget } from './vote-counter.ts'

export interface ShownAcksParts {
  readonly chain: Pick<Chain, 'chainId' | 'registryBefore' | 'size' | 'heightOf'>
  readonly requests: PeerRequests
  readonly replica: Pick<Replica, 'find'>
  readonly sync: Pick<ReplicaSync, 'takeBranch'>
  readonly logger: Logger
}

export interface AcksQuestion {
  /** The voter, as it is registered now. */
  readonly entry: RegistryEntry
  readonly fromHeight: number
  /** Every key that the entry has had, the likeliest first: what none of them has signed is made up. */
  readonly keys: ReadonlySet<Hex>
  /** Those whose acks bind the voter. */
  readonly binding: ReadonlySet<Hex>
  /** What need not be shown. */
  readonly isKnown: (vote: Vote) => Promise<boolean>
}

/** Of 1,000 acks each: more than a voter makes before something becomes final. */
const MAX_PAGES = 64
/** Who shows so many acks of blocks that it does not show is not asked for more. */
const MAX_MISSES = 8
/** A signature that does not hold costs some milliseconds, and anybody can make up acks: after so many its peer is refused. */
export const MAX_WRONG_SIGNATURES = 32

/**
 * The acks of a voter that a peer shows and that count, newest first: each by the key that its voter had at that header, and on a header
 * that is here or that the peer shows, sealed by an authority that was in force there, with all that it goes on from. An ack
 * without its header says nothing: who has the key can sign one of any height, and nobody could tell what contradicts it.
 * On a branch where the voter has another key it is shown no block: there the sealed header counts, with those between.
 *
 * Throws `peer_unreachable`, and `peer_refused` for what no honest peer shows; what was given before stands.
 */
export async function* shownAcks(parts: ShownAcksParts, peer: string, asked: AcksQuestion): AsyncGenerator<Vote> {
  const { entry, binding } = asked
  const judge = createJudge(parts, peer, asked)
  const unknown = await askForAcks(parts.requests, peer, asked)
  const sealed = sealedHeaders(parts, peer)
  let misses = 0
  for (const vote of unknown.toSorted((a, b) => b.height - a.height)) {
    const here = await parts.replica.find(vote.header_hash)
    // Anybody can make up acks: a block is asked for only if one of the keys has signed that it was acked.
    if (here === undefined && !binding.has(judge.signerOf(vote) ?? '')) continue
    const target = here ?? (await targetFrom(parts, peer, vote, sealed))
    if (target === undefined) {
      misses += 1
      if (misses === MAX_MISSES)
        throw refused(peer, 'unknown_block', `acks of ${entry.id} of blocks that it does not show`)
      continue
    }
    if (target === 'sealed' || judge.counts(vote, target)) yield vote
  }
}

/** Page by page. Throws `peer_refused` if they do not end. */
async function askForAcks(
  requests: PeerRequests,
  peer: string,
  { entry, fromHeight, isKnown }: AcksQuestion,
): Promise<readonly Vote[]> {
  const acks: Vote[] = []
  let from = fromHeight
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const asked: AcksParams = { voter_id: entry.id, from_height: from }
    const { votes, next_height } = acksAnswer(await requests.request(peer, 'votes', asked), 'votes')
    for (const { vote } of votes) {
      const isAsked = vote.decision === 'ack' && vote.voter_id === entry.id && vote.height >= from
      if (isAsked && !(await isKnown(vote))) acks.push(vote)
    }
    if (next_height === undefined) return acks
    if (next_height <= from) break
    from = next_height
  }
  throw refused(peer, 'malformed', `acks of ${entry.id} from height ${from} on: the pages do not end`)
}

/**
 * The block of an ack, from who shows the ack; `sealed` if it shows the header alone to this key, `undefined` if it says that
 * it does not have it.
 */
async function targetFrom(
  { sync, logger }: ShownAcksParts,
  peer: string,
  vote: Vote,
  isShownSealed: (vote: Vote) => Promise<boolean>,
): Promise<VoteTarget | 'sealed' | undefined> {
  const { header_hash: hash, height } = vote
  try {
    return await sync.takeBranch(peer, { hash, height })
  } catch (error) {
    const code = isSolarError(error, 'peer_refused') ? (error.fields as { readonly code: string }).code : ''
    if (HIDDEN.includes(code) && (await isShownSealed(vote))) return 'sealed'
    // Anything else may be otherwise another time: then it has not answered.
    if (code !== 'unknown_block') throw error
    logger.debug({ error, peer, height }, `${peer} does not show the block that was acked at height ${height}`)
    return undefined
  }
}

/** To a key that is not registered there. */
const HIDDEN = ['forbidden', 'unknown_voter']

/**
 * Headers are for everybody: those from the chain here up to the acked one, of which the seal is by the key that its authority
 * has on the chain here, or had in the beginning. Where they lead nowhere the height might be anything.
 */
function sealedHeaders({ chain, requests }: ShownAcksParts, peer: string) {
  /** Heights by hash, of what was shown so. */
  const shown = new Map<Hash, number>()

  const isHere = async ({ hash, height }: BlockPoint): Promise<boolean> =>
    height < 0 ? hash === chain.chainId : (await chain.heightOf(hash)) === height

  /** From the chain here up to this one; `undefined` if these headers do not lead there. */
  async function linkedTo(
    acked: BlockPoint,
    headers: readonly SealedHeader[],
  ): Promise<readonly BlockPoint[] | undefined> {
    const linked: BlockPoint[] = []
    let next = acked
    for (const { header } of headers.toReversed()) {
      if (header.height !== next.height || hashHeader(header) !== next.hash) return undefined
      linked.push(next)
      next = { hash: header.prev_hash, height: header.height - 1 }
      if (await isHere(next)) return linked
    }
    return undefined
  }

  return async ({ header_hash: hash, height }: Vote): Promise<boolean> => {
    if (shown.has(hash)) return shown.get(hash) === height
    const from_height = Math.max(0, height + 1 - MAX_HEADERS_PER_REQUEST)
    const asked = { from_height, count: height + 1 - from_height }
    const { headers } = headersAnswer(await requests.request(peer, 'headers', asked), 'headers')
    const linked = await linkedTo({ hash, height }, headers)
    const acked = headers.at(-1)
    if (linked === undefined || acked === undefined) return false
    const keys = await sealKeys(chain, acked)
    if (!keys.some((key) => verifySeal(acked, key).ok)) return false
    for (const point of linked) shown.set(point.hash, point.height)
    return true
  }
}

/** The keys that the sealer has had on this chain, newest first: the branch may have left it before any of them came. */
async function sealKeys(
  chain: ShownAcksParts['chain'],
  { header: { miner_id } }: SealedHeader,
): Promise<readonly Hex[]> {
  const keys: Hex[] = []
  for (let height = chain.size; keys.length < MAX_WRONG_SIGNATURES;) {
    const entry = (await chain.registryBefore(height)).entry(miner_id)
    if (entry?.role !== 'authority') break
    if (entry.status === 'active') keys.push(entry.public_key)
    if (entry.since_height >= height || height === 0) break
    height = entry.since_height
  }
  return keys
}

/** Checks signatures, and throws `peer_refused` once too many have not held. */
function createJudge({ chain: { chainId } }: ShownAcksParts, peer: string, { entry, keys, binding }: AcksQuestion) {
  const order = [...keys]
  let wrong = 0

  function isBy(vote: Vote, public_key: Hex): boolean {
    if (wrong === MAX_WRONG_SIGNATURES) {
      throw refused(peer, 'bad_signature', `acks of ${entry.id} that none of its keys has signed`)
    }
    const named = { hash: vote.header_hash, height: vote.height }
    const { ok } = verifyVote(vote, chainId, named, { ...entry, public_key, status: 'active' })
    if (!ok) wrong += 1
    return ok
  }

  return {
    /** Which of the keys has signed. */
    signerOf(vote: Vote): Hex | undefined {
      const signer = order.find((key) => isBy(vote, key))
      // The next one is likely to be by the same key.
      if (signer !== undefined) order.unshift(...order.splice(order.indexOf(signer), 1))
      return signer
    },
    /** True if the key that the voter had at that header has signed, and binds it. */
    counts(vote: Vote, { height, registryBefore }: VoteTarget): boolean {
      const key = registryBefore.active(entry.id)?.public_key
      return height === vote.height && key !== undefined && binding.has(key) && isBy(vote, key)
    },
  }
}

const refused = (peer: string, code: string, reason: string): Error =>
  ledgerError('peer_refused', { peer, request: 'votes', code, reason })
