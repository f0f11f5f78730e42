import { cpus } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * How long a test waits is no guess of how fast a machine is. Patience is counted in milliseconds in which the machine had
 * a processor to spare: what has not come by then does not wait for its turn, it hangs. It runs ten times as slowly while
 * all processors are taken, so that it ends there, too.
 */
const RATE_WHEN_BUSY = 0.1
const SAMPLE_MS = 250
const POLL_MS = 10

/** What has not come after this much patience will not come. */
export const PATIENCE_MS = 60_000

interface Sample {
  readonly at: number
  /** Milliseconds that all processors together stood idle since the machine started. */
  readonly idleMs: number
}

const sample = (): Sample => ({
  at: performance.now(),
  idleMs: cpus().reduce((sum, { times }) => sum + times.idle, 0),
})

/** How fast patience runs between two samples: 1 if at least one processor was idle all the time. */
export function rateOf(from: Sample, to: Sample): number {
  return Math.min(1, Math.max(RATE_WHEN_BUSY, (to.idleMs - from.idleMs) / (to.at - from.at)))
}

/** Of the process, not of this module: mocha imports some files and requires others, and each way has its own modules. */
const run = globalThis as typeof globalThis & { testPatience?: { spentMs: number; last: Sample; progressAt: number } }
const state = (run.testPatience ??= { spentMs: 0, last: sample(), progressAt: 0 })

/** The patience that this process has had since its start, in milliseconds; of use as a difference. */
export function spentMs(): number {
  if (performance.now() - state.last.at >= SAMPLE_MS) {
    const now = sample()
    state.spentMs += (now.at - state.last.at) * rateOf(state.last, now)
    state.last = now
  }
  return state.spentMs
}

/** Tells that something has come for which a test waited: its whole limit begins anew. */
export function progressed(): void {
  state.progressAt = spentMs()
}

/** As if nothing had ever come: for the test of the limit itself. */
export function forgetProgress(): void {
  state.progressAt = -Infinity
}

/** The patience since the last progress of any test of this process. */
export const sinceProgressMs = (): number => spentMs() - state.progressAt

/** Waits, in small steps, until `check` holds: for what is announced by no event. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  limitMs = PATIENCE_MS,
): Promise<void> {
  const begun = spentMs()
  while (!(await check())) {
    if (spentMs() - begun > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`)
    await pause(POLL_MS)
  }
  progressed()
}

/** What `promise` gives, if that comes before patience ends. */
export async function within<T>(what: string, promise: Promise<T>, limitMs = PATIENCE_MS): Promise<T> {
  let settled = false
  const result = promise.finally(() => (settled = true))
  await Promise.race([result, eventually(what, () => settled, limitMs)])
  return await result
}
