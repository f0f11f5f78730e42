import type { Hash } from '../protocol/bytes.ts'

/** A block of this chain, by height and hash. */
export interface HighWaterMark {
  readonly height: number
  readonly hash: Hash
}

/**
 * The newest block that this authority may have spoken of, kept apart from its databases: a database that was put back from
 * a backup is found to be older than this, and nothing is sealed a second time.
 */
export interface HighWater {
  /** null before the first block. */
  readonly mark: HighWaterMark | null
  /** Unix milliseconds by this machine's clock at which it was raised last before this start; null if it never was. */
  readonly raisedAt: number | null
  /**
   * Makes a higher mark durable; a lower one changes nothing. Once it has returned the mark is found by every later start,
   * whatever happens. Throws `store_failed`.
   */
  raise(mark: HighWaterMark): Promise<void>
}
