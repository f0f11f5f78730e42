import type { FinalityStore } from '../ports/finality-store.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import { hashHeader } from '../protocol/header.ts'
import { anchorAnswer, votesAnswer, type Handover, type StatusAnswer } from '../protocol/messages.ts'
import { verifyInHistory } from '../protocol/proven-entry.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import type { VoteCounter } from './vote-counter.ts'

export interface VoteSyncParts {
  readonly chain: Chain
  readonly votes: Pick<FinalityStore, 'votesOf'>
  readonly counter: Pick<VoteCounter, 'cast'>
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly requests: PeerRequests
  readonly logger: Logger
  /** The hash at a height of the chain that ends in `tip`, a peer's; `undefined` for what is not known here. */
  readonly hashAt: (tip: BlockPoint, height: number) => Promise<Hash | undefined>
  /** Takes a branch beside the chain with the votes on it, where branches are kept. Throws `peer_refused`, `peer_unreachable`. */
  readonly takeBranch?: (peer: string, point: BlockPoint) => Promise<unknown>
  /** Awaited after votes were counted. */
  readonly onCounted: () => Promise<void>
}

/**
 * Takes from peers the votes that this node lacks: it was away, or its store is new or older. Each is counted by
 * the registry here, so nothing that a peer says is believed.
 */
export interface VoteSync {
  /**
   * Votes on the peer's chain above what is final here, then those by which it proves what is final there. Throws
   * `peer_refused`, `peer_unreachable`.
   */
  take(peer: string, status: StatusAnswer): Promise<void>
  /** Votes on one header. Throws as `take`. */
  takeOn(peer: string, hash: Hash): Promise<void>
}

/** Votes are asked for by header, newest first: acks count for all blocks below, so the newest tell most. */
const MAX_VOTED_HEADERS = 256
/** Votes of one peer that are looked at together. */
const VOTES_AT_ONCE = 32

export function createVoteSync(parts: VoteSyncParts): VoteSync {
  const { chain, finalizer, requests, logger } = parts

  /** Headers of the peer's chain that are not final here, newest first. */
  async function openHeaders({ tip }: StatusAnswer): Promise<readonly Hash[]> {
    if (tip === null) return []
    const point = { hash: tip.header_hash, height: tip.height }
    const first = Math.max(finalizer.finalHeight + 1, tip.height - MAX_VOTED_HEADERS + 1)
    const hashes: Hash[] = []
    for (let height = tip.height; height >= first; height--) {
      const hash = await parts.hashAt(point, height)
      if (hash !== undefined) hashes.push(hash)
    }
    return hashes
  }

  /**
   * The votes by which the peer proves what is final there: also those of validators that have gone since, or by keys that
   * have changed, which vote on none of the newest blocks. A peer that calls more final than it shows has none.
   */
  async function takeProof(peer: string): Promise<void> {
    const from_height = finalizer.finalHeight < 0 ? null : finalizer.finalHeight
    try {
      const answer = anchorAnswer(await requests.request(peer, 'anchor', { from_height }), 'anchor')
      const steps = [...answer.handovers, answer]
      await count(
        peer,
        steps.flatMap(({ votes }) => votes.map(({ vote }) => vote)),
      )
      for (const step of steps) await takeLeft(peer, step)
    } catch (error) {
      if (!isSolarError(error, 'peer_refused') && !isSolarError(error, 'malformed')) throw error
      logger.debug({ peer, error }, 'no proof of what the peer calls final')
    }
  }

  /**
   * The branches that the peer's chain has left, and whose acks prove this step: without their blocks those acks count for
   * nothing here. Each is asked for by the hash that somebody who votes on this block has acked.
   */
  async function takeLeft(peer: string, { header, votes }: Pick<Handover, 'header' | 'votes'>): Promise<void> {
    const { height } = header
    const hash = hashHeader(header)
    if (parts.takeBranch === undefined || (await chain.hashAt(height)) !== hash) return
    const registry = await chain.registryBefore(height)
    for (const { vote, header: later, history_proof } of votes) {
      if (finalizer.finalHeight >= height) return
      const acked = { hash: vote.header_hash, height: vote.height }
      if (later === undefined || hashHeader(later) !== acked.hash || (await chain.heightOf(acked.hash)) !== undefined)
        continue
      const isShared = verifyInHistory(hash, height, history_proof, later).ok
      if (!isShared || !verifyVote(vote, chain.chainId, acked, registry.active(vote.voter_id)).ok) continue
      await parts.takeBranch(peer, acked)
    }
  }

  /** The votes on blocks from a height on, oldest first, until one of them is final. */
  async function takeFrom(peer: string, height: number): Promise<void> {
    const before = finalizer.finalHeight
    for (const { hash } of await chain.headers(height, MAX_VOTED_HEADERS)) {
      await takeOn(peer, hash)
      if (finalizer.finalHeight > before) return
    }
  }

  /** A vote that is known already is not counted again: its signature is the dear part. */
  async function takeOn(peer: string, header_hash: Hash): Promise<void> {
    const known = new Set((await parts.votes.votesOf(header_hash)).map(({ signature }) => signature))
    const { votes } = votesAnswer(await requests.request(peer, 'votes', { header_hash }), 'votes')
    await count(
      peer,
      votes.map(({ vote }) => vote).filter(({ signature }) => !known.has(signature)),
    )
  }

  /**
   * A signature that does not hold costs some milliseconds. No honest node has one: so a peer that shows one is refused,
   * before more of its votes are looked at. Throws `peer_refused`.
   */
  async function count(peer: string, shown: readonly Vote[]): Promise<void> {
    const votes = [...new Map(shown.map((vote) => [vote.signature, vote])).values()]
    for (let from = 0; from < votes.length; from += VOTES_AT_ONCE) {
      const part = votes.slice(from, from + VOTES_AT_ONCE)
      const results = await Promise.allSettled(part.map((vote) => parts.counter.cast(vote)))
      const forged = results.find((one) => one.status === 'rejected' && isSolarError(one.reason, 'bad_signature'))
      if (forged?.status === 'rejected') {
        const { message: reason } = forged.reason as Error
        throw ledgerError('peer_refused', { peer, request: 'votes', code: 'bad_signature', reason })
      }
    }
    if (votes.length > 0) await parts.onCounted()
  }

  return {
    async take(peer, status) {
      for (const hash of await openHeaders(status)) await takeOn(peer, hash)
      const { tip, final_height } = status
      while (finalizer.finalHeight < (final_height ?? -1)) {
        const before = finalizer.finalHeight
        await takeProof(peer)
        const hasUnasked = (tip?.height ?? -1) - before > MAX_VOTED_HEADERS
        if (finalizer.finalHeight === before && hasUnasked) await takeFrom(peer, before + 1)
        if (finalizer.finalHeight === before) return
      }
    },
    takeOn,
  }
}
