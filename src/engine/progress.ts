import { steadyNow, type Clock } from '../ports/clock.ts'

/** How far work through the whole chain has come. */
export interface ChainProgress {
  readonly blocks: number
  readonly transactions: number
  /** Blocks that there are; null if that is not known before the end. */
  readonly total: number | null
}

export type OnProgress = (progress: ChainProgress) => void

/** Long enough to stay out of the way of the log, short enough that nobody thinks the node hangs. */
const LINE_EVERY_MS = 5_000

/** Gives true now and then: when a line about work that takes long is due. */
export function createPace(clock: Pick<Clock, 'now' | 'monotonic'>): () => boolean {
  let due = steadyNow(clock) + LINE_EVERY_MS
  return () => {
    if (steadyNow(clock) < due) return false
    due = steadyNow(clock) + LINE_EVERY_MS
    return true
  }
}
