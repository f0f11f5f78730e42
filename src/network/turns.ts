import type { Clock } from '../ports/clock.ts'

/** Lets everything else have its turn between parts of much work that arrives at once. */
export interface Turns {
  /** Resolves in this turn of the event loop for the first so many, in a later one for the rest, in order. */
  next(): Promise<void>
}

/** Messages of one packet are handed over without a pause: a thousand of them would keep timers and requests waiting. */
export function createTurns(clock: Clock, ofTurn: number): Turns {
  const waiting: (() => void)[] = []
  let left = ofTurn
  let isCounting = false

  function begin(): void {
    isCounting = true
    clock.after(0, () => {
      left = ofTurn
      isCounting = waiting.length > 0
      for (const go of waiting.splice(0, ofTurn)) {
        left--
        go()
      }
      if (isCounting) begin()
    })
  }

  return {
    next() {
      if (!isCounting) begin()
      if (left === 0) return new Promise((resolve) => waiting.push(resolve))
      left--
      return Promise.resolve()
    },
  }
}
