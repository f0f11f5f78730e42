import { randomBytes } from 'node:crypto'
import type { Clock, RandomBytes } from '../ports/clock.ts'

/** The machine's clock. Delays are below 2^31 ms (24 days), the longest that a timer of Node can wait. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs)
    return () => clearTimeout(timer)
  },
}

/** The operating system's random source. */
export const systemRandomBytes: RandomBytes = (length) => new Uint8Array(randomBytes(length))
