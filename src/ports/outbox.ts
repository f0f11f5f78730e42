import type { Hash } from '../protocol/bytes.ts'

/**
 * Ticks that a platform has written into its own SQL transactions (the table `ledger_outbox`, docs/integration.md). A row
 * waits until it is sealed or parked; a parked one waits again once somebody clears its `error_code`.
 */
export interface OutboxStore {
  /**
   * Up to `limit` rows that wait, lowest id first, all as of one moment. Ids are drawn before their transactions commit, so a
   * lower one may come later: whoever remembers the highest that it has seen loses rows. But a transaction that began after
   * another had committed has the higher id, and the earlier one is here too. Any BIGINT may be an id: platforms may set it.
   */
  outboxRows(limit: number): Promise<readonly bigint[]>
  /** What the platform has written into this row; `undefined` if it does not wait any more. */
  outboxTick(id: bigint): Promise<OutboxTick | undefined>
  /** The tick of this row is sealed, at `at` (Unix milliseconds). Its text goes: the transactions have all of it. */
  finishOutboxRow(id: bigint, sealed: SealedTick, at: number): Promise<void>
  /** This row cannot be sealed as it is. */
  parkOutboxRow(id: bigint, why: { readonly code: string; readonly reason: string }): Promise<void>
  outboxCounts(): Promise<OutboxCounts>
  /**
   * Calls `wake` soon after rows were committed, where the database can tell, and whenever it may have been unable to. Gives
   * what ends that.
   */
  onOutbox(wake: () => void): () => Promise<void>
}

/** UTF-8, if nobody has written something else; left out if it is longer than MAX_TICK_BYTES. */
export type OutboxTick = { readonly bytes: Uint8Array } | { readonly tooLong: number }

/** `block_hash`: null for a tick that made no block. */
export interface SealedTick {
  readonly tick_id: string
  readonly block_hash: Hash | null
}

export interface OutboxCounts {
  readonly waiting: number
  readonly parked: number
}
