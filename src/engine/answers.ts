import type { Clock } from '../ports/clock.ts'

/** What came in time, and what failed in time. */
export interface Answers<T> {
  readonly given: readonly T[]
  readonly failures: readonly Error[]
}

/** Once somebody has answered, the others get this long: a silent peer must not hold up those who speak. */
const GRACE_MS = 1_500

/**
 * Waits for the answers of several peers: for all of them, or until GRACE_MS after the first. Never rejects; what comes
 * later is dropped.
 */
export function collectAnswers<T>(clock: Clock, asked: readonly Promise<T>[]): Promise<Answers<T>> {
  const given: T[] = []
  const failures: Error[] = []
  return new Promise((resolve) => {
    let cancel = (): void => undefined
    const end = (): void => {
      cancel()
      resolve({ given: [...given], failures: [...failures] })
    }
    const settled = (): void => {
      if (given.length + failures.length === asked.length) end()
    }
    for (const answer of asked) {
      answer.then(
        (value) => {
          given.push(value)
          if (given.length === 1) cancel = clock.after(GRACE_MS, end)
          settled()
        },
        (error: unknown) => {
          failures.push(error instanceof Error ? error : new Error(String(error)))
          settled()
        },
      )
    }
    settled()
  })
}

/** Resolves when the task has settled, or after `limitMs`; the task goes on. Never rejects. */
export function settledWithin(clock: Clock, limitMs: number, task: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(limitMs, resolve)
    const end = (): void => {
      cancel()
      resolve()
    }
    task.then(end, end)
  })
}
