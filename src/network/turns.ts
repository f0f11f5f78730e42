import type { Clock } from '../ports/clock.ts'
import { createLanes } from './lanes.ts'

/** Lets everything else have its turn between parts of much work that arrives at once. */
export interface Turns {
  /**
   * Does a part of the work of one lane, in this turn of the event loop or in a later one: each lane in its turn, those of a
   * lane in order. Settles as `work` does.
   */
  take<T>(lane: string, work: () => Promise<T>): Promise<T>
}

export interface TurnsLimits {
  /** Parts begun in one turn of the event loop: messages of one packet are handed over without a pause. */
  readonly ofTurn: number
  /** Parts that have begun and not ended: what waits for the stores before a tick. */
  readonly inHand: number
}

export function createTurns(clock: Clock, { ofTurn, inHand: most }: TurnsLimits): Turns {
  const waiting = createLanes<() => void>()
  let left = ofTurn
  let inHand = 0
  let isCounting = false

  function count(): void {
    if (isCounting) return
    isCounting = true
    clock.after(0, () => {
      isCounting = false
      left = ofTurn
      go()
    })
  }

  function go(): void {
    while (!waiting.isEmpty() && left > 0 && inHand < most) {
      left--
      inHand++
      waiting.next()?.()
    }
    // Those in hand end by themselves; a turn ends by the clock.
    if (left < ofTurn) count()
  }

  return {
    async take(lane, work) {
      await new Promise<void>((resolve) => {
        waiting.add(lane, resolve)
        go()
      })
      try {
        return await work()
      } finally {
        inHand--
        go()
      }
    },
  }
}
