import type { SealedHeader } from '../protocol/header.ts'
import type { Vote } from '../protocol/vote.ts'

/** What a voter must never forget: durable once it is put, and put before the vote is sent. */
export interface VoterStore {
  /** The ack that was put last. */
  lastVote(): Promise<Vote | undefined>
  /** Its ack at this height; kept for the newest OWN_VOTES_KEPT heights. */
  ownVoteAt(height: number): Promise<Vote | undefined>
  putVote(vote: Vote): Promise<void>
  /**
   * Headers of blocks that it rejected, or that nobody answered about, and that have not passed since: it
   * acks none above them.
   */
  rejected(): Promise<readonly SealedHeader[]>
  putRejected(headers: readonly SealedHeader[]): Promise<void>
}

/** A voter never acks a height that is further below its last one: what it acked there is forgotten. */
export const OWN_VOTES_KEPT = 512
