import type { Header } from '../protocol/header.ts'

/** Searches the nonces of seal "work", beside whatever else the node does. One header at a time. */
export interface Miner {
  /**
   * The header with the smallest nonce that meets its difficulty: the same header gives the same bytes. Rejects with
   * `not_ready` once the miner is stopped, or if the search breaks down; another call may then succeed.
   */
  mine(header: Header): Promise<Header>
  /** Breaks off at once, for good. */
  stop(): Promise<void>
}
