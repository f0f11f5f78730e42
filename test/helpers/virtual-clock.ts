import type { Clock } from '../../src/ports/clock.ts'

/** A clock that stands still until it is moved. */
export interface VirtualClock extends Clock {
  /** Moves it on, and runs what was put off until then, in order. */
  advance(ms: number): void
  /** How many tasks wait. */
  waiting(): number
}

export function createVirtualClock(start: number): VirtualClock {
  let now = start
  let tasks: { at: number; task: () => void }[] = []
  return {
    now: () => now,
    after(delayMs, task) {
      const entry = { at: now + delayMs, task }
      tasks.push(entry)
      return () => void (tasks = tasks.filter((other) => other !== entry))
    },
    advance(ms) {
      const until = now + ms
      for (;;) {
        const next = tasks.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        now = Math.max(now, next.at)
        tasks = tasks.filter((other) => other !== next)
        next.task()
      }
      now = until
    },
    waiting: () => tasks.length,
  }
}
