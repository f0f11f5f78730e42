import { TICK_MINUTES } from './model.ts'

/** Where a run of the demo is in its model years. All times are Unix ms. */
export interface ModelClock {
  /** Before the first tick. */
  readonly startAt: number
  /** The end of the next quarter of an hour; `undefined` once it would be in the future: the run is over. */
  next(): number | undefined
}

export const TICK_MS = TICK_MINUTES * 60_000
/** At 2 s a tick, of which a day has some 45 in which there is something to trade, one summer lasts three hours. */
const YEARS_BACK = 5
/** Months as `Date` counts them. */
const MAY = 4
const SEPTEMBER = 8

/**
 * Time in the model street: quarters of an hour from May to August of the years before now, in the zone of this machine. A ledger's time
 * neither runs backwards nor ahead of the real one, and this clock is hundreds of times as fast; so it begins in the past, and
 * nothing that `now` has not reached comes out of it.
 *
 * @param now the real time, Unix ms
 */
export function createModelClock(now: () => number): ModelClock {
  const startAt = startOf(new Date(now()).getFullYear() - YEARS_BACK, MAY)
  let last = startAt
  return {
    startAt,
    next() {
      const at = inSummer(last + TICK_MS)
      if (at > now()) return undefined
      last = at
      return at
    },
  }
}

/** The same time in summer, else the beginning of the next one. */
function inSummer(at: number): number {
  const year = new Date(at).getFullYear()
  return at < startOf(year, SEPTEMBER) ? at : startOf(year + 1, MAY)
}

/** Midnight before the month's first day, by this machine's zone. In every zone that is a whole quarter of an hour. */
const startOf = (year: number, month: number): number => new Date(year, month, 1).getTime()
