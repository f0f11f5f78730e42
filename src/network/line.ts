import type { Clock } from '../ports/clock.ts'
import { asError } from './deadline.ts'
import { createLanes } from './lanes.ts'

/** Where those wait who share a budget. */
export interface Line {
  /** Resolves when it is the caller's turn; rejects with the signal's reason if that comes first. */
  turn(lane: string, signal: AbortSignal): Promise<void>
}

/**
 * @param waitMs milliseconds until the next may go, 0 for now
 * @param onTurn takes what the next to go is expected to cost
 */
export function createLine(clock: Clock, waitMs: () => number, onTurn: () => void): Line {
  const lanes = createLanes<() => void>()
  let isTimed = false

  function serve(): void {
    while (!lanes.isEmpty() && waitMs() === 0) {
      onTurn()
      lanes.next()?.()
    }
    if (isTimed || lanes.isEmpty()) return
    isTimed = true
    clock.after(waitMs(), () => {
      isTimed = false
      serve()
    })
  }

  return {
    turn: (lane, signal) =>
      new Promise((resolve, reject) => {
        const go = (): void => {
          signal.removeEventListener('abort', giveUp)
          resolve()
        }
        const giveUp = (): void => {
          lanes.remove(lane, go)
          reject(asError(signal.reason))
        }
        if (signal.aborted) {
          giveUp()
          return
        }
        signal.addEventListener('abort', giveUp, { once: true })
        lanes.add(lane, go)
        serve()
      }),
  }
}
