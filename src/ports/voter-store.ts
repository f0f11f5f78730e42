import type { SealedHeader } from '../protocol/header.ts'
import type { Vote } from '../protocol/vote.ts'

/** What a voter must never forget: durable once it is put, and put before the vote is sent. */
export interface VoterStore {
  /** The ack that was put last. */
  lastVote(): Promise<Vote | undefined>
  /** Its acks at this height, the one that was put first; kept for the newest OWN_VOTES_KEPT heights. */
  ownVotesAt(height: number): Promise<readonly Vote[]>
  putVote(vote: Vote): Promise<void>
  /** Its acks at heights >= `fromHeight` that are kept, ascending; of one height in no order. */
  ownVotesFrom(fromHeight: number): Promise<readonly Vote[]>
  /**
   * Acks that it had forgotten. What is known at a height stays, and these come beside it, up to MAX_ACKS_OF_HEIGHT;
   * the one that was put last stays the last unless one of these is higher. From then on it is known that there may be
   * more, until `putRemembered`.
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

/** An honest voter has one ack a height; with more its key is in other hands, and these are enough to bind it. */
export const MAX_ACKS_OF_HEIGHT = 16
