import type { SealedHeader } from '../protocol/header.ts'
import type { Vote } from '../protocol/vote.ts'

/** What a voter must never forget: durable once it is put, and put before the vote is sent. */
export interface VoterStore {
  /** The ack that was put last. */
  lastVote(): Promise<Vote | undefined>
  /** Its ack at this height; kept for the newest OWN_VOTES_KEPT heights. */
  ownVoteAt(height: number): Promise<Vote | undefined>
  putVote(vote: Vote): Promise<void>
  /** Its acks at heights >= `fromHeight` that are kept, ascending. */
  ownVotesFrom(fromHeight: number): Promise<readonly Vote[]>
  /**
   * Acks that it had forgotten. The one that is known at a height stays, and the one that was put last
   * stays the last unless one of these is higher. From then on it is known that there may be more, until
   * `putRemembered`.
   */
  putForgotten(votes: readonly Vote[]): Promise<void>
  /** True if it has forgotten acks, and not enough peers have been asked since for what else there may be. */
  hasForgotten(): Promise<boolean>
  putRemembered(): Promise<void>
  /**
   * Headers of blocks that it rejected, or that nobody answered about, and that have not passed since: it
   * acks none above them.
   */
  rejected(): Promise<readonly SealedHeader[]>
  putRejected(headers: readonly SealedHeader[]): Promise<void>
}

/** A voter never acks a height that is further below its last one: what it acked there is forgotten. */
export const OWN_VOTES_KEPT = 512
