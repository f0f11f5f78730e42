import { steadyNow, type Clock } from '../ports/clock.ts'

/** How long a body is waited for that a peer may have which does not answer. */
const PATIENCE_MS = 60_000

/**
 * Whether a block may be taken without a body that no peer has shown. Who does not answer may have it, and what is taken without
 * it stays so: it is waited for, but no longer than a minute in all, since any stranger can be silent for ever.
 */
export interface HolePatience {
  /** @param silent those who have not answered whether they have it */
  mayTake(silent: readonly string[]): boolean
}

export function createHolePatience(clock: Pick<Clock, 'now' | 'monotonic'>): HolePatience {
  let since: number | undefined
  return {
    mayTake(silent) {
      since = silent.length === 0 ? undefined : (since ?? steadyNow(clock))
      return since === undefined || steadyNow(clock) - since >= PATIENCE_MS
    },
  }
}
