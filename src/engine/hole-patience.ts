import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Hash } from '../protocol/bytes.ts'

/** How long a body is waited for that a peer may have which does not answer. */
const PATIENCE_MS = 60_000

/**
 * Whether a block may be taken without a body that no peer has shown. Who does not answer may have it, and what is taken without
 * it stays so: it is waited for, but no longer than a minute in all, since any stranger can be silent for ever. What passes
 * while nothing is waited for does not count: the last hole of a long chain is waited for like the first.
 */
export interface HolePatience {
  /**
   * @param block by the hash of its header
   * @param silent those who have not answered whether they have it
   */
  mayTake(block: Hash, silent: readonly string[]): boolean
}

export function createHolePatience(clock: Pick<Clock, 'now' | 'monotonic'>): HolePatience {
  let waitedMs = 0
  /** The block that is waited for, and when that was last said. */
  let open: { readonly block: Hash; readonly at: number } | undefined
  return {
    mayTake(block, silent) {
      const now = steadyNow(clock)
      waitedMs = silent.length === 0 ? 0 : waitedMs + (open?.block === block ? now - open.at : 0)
      const isTaken = silent.length === 0 || waitedMs >= PATIENCE_MS
      open = isTaken ? undefined : { block, at: now }
      return isTaken
    },
  }
}
