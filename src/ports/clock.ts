/** Time and chance are passed in, so that a test can decide them. */
export interface Clock {
  /** Unix milliseconds, UTC. */
  now(): number
  /** Calls `task` once after `delayMs`; gives back what cancels it. */
  after(delayMs: number, task: () => void): () => void
}

/** `length` bytes from a cryptographic source. */
export type RandomBytes = (length: number) => Uint8Array
