import type { Hash } from '../protocol/bytes.ts'
import type { Evidence } from '../protocol/evidence.ts'
import type { Vote } from '../protocol/vote.ts'

/**
 * Votes and what they made final: in SQL on an authority, in LevelDB on a validator. What a promise has returned is durable
 * and visible to every later call. "On this chain" means: on a block that the chain has now.
 */
export interface FinalityStore {
  /**
   * Stores votes in one transaction, each `stored`, `same` (known before) or `conflict`: an ack of this voter for another
   * header of that height is stored. The new one is `kept` beside it where branches are: it counts on its own, and what is final
   * must not depend on which of the two came first. A store of one chain has no block for it.
   */
  putVotes(votes: readonly Vote[]): Promise<readonly VoteOutcome[]>
  votesOf(headerHash: Hash): Promise<readonly Vote[]>
  /** Counts by header. */
  voteCounts(headerHashes: readonly Hash[]): Promise<ReadonlyMap<Hash, VoteCount>>
  /** A stored ack of a voter at a height, on whatever chain. */
  ackAt(voterId: string, height: number): Promise<Vote | undefined>
  /**
   * The first `limit` stored acks of a voter at heights >= `fromHeight`, on whatever chain: by height, then
   * by hash.
   */
  acksOf(voterId: string, fromHeight: number, limit: number): Promise<readonly Vote[]>

  /** For each voter the greatest height that it acked on this chain. */
  ackHeights(): Promise<ReadonlyMap<string, number>>
  /** For each voter its ack of the smallest height >= `height` on this chain. */
  acksFrom(height: number): Promise<readonly Vote[]>

  /** Marks every block up to `height` final; final is for ever, so the first time stays. */
  finalizeUpTo(height: number, at: number): Promise<void>
  /** The greatest height that is final; -1 before the first. */
  finalHeight(): Promise<number>
}

/** The votes of a replica, which keeps branches beside its chain. */
export interface BranchVotes extends FinalityStore {
  /**
   * The acks of heights >= `height` of each voter below its first such on this chain: by voter, then by
   * height.
   */
  acksBesideFrom(height: number): Promise<readonly Vote[]>
}

export type VoteOutcome =
  | { readonly outcome: 'stored' | 'same' }
  | { readonly outcome: 'conflict'; readonly stored: Vote; readonly kept: boolean }

export interface VoteCount {
  readonly ack: number
  readonly reject: number
}

/** Proven misbehaviour. Durable once it is put. */
export interface EvidenceStore {
  /** One piece for each kind, height and signer: the first stays, since a double sealer can make any number of pairs. */
  putEvidence(evidence: Evidence): Promise<'stored' | 'known'>
  /** The newest first, at most `limit`. */
  evidence(limit: number): Promise<readonly Evidence[]>
}
