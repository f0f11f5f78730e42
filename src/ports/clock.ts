/** Time and chance are passed in, so that a test can decide them. */
export interface Clock {
  /** Unix milliseconds, UTC. */
  now(): number
  /** Milliseconds of a clock that nobody sets, from any start; left out where time is a model. */
  monotonic?(): number
  /** Calls `task` once after `delayMs`; gives back what cancels it. */
  after(delayMs: number, task: () => void): () => void
}

/** For what took how long: somebody may set the other clock meanwhile. */
export const steadyNow = (clock: Pick<Clock, 'now' | 'monotonic'>): number => clock.monotonic?.() ?? clock.now()

/** `length` bytes from a cryptographic source. */
export type RandomBytes = (length: number) => Uint8Array
