import { EARLIEST_TIME_MS } from '../protocol/edge.ts'
import { refuse } from '../protocol/shape.ts'

/**
 * The instants, Unix milliseconds ascending, at which a clock on the wall shows a time: one as a rule, two in the hour that
 * comes twice in autumn, none in the hour that is left out in spring.
 *
 * @param local the time as `Date.UTC` counts it, as if the clock showed UTC
 */
export type WallClock = (local: number) => readonly number[]

/** A clock that shows UTC: times without an offset are read with it where nobody says in which zone they are. */
export const UTC_CLOCK: WallClock = (local) => [local]

export interface IntervalStart {
  /** Unix milliseconds; the earlier one where the local time comes twice. */
  readonly timestamp: number
  /** The later instant that the same local time names; `undefined` as a rule. */
  readonly later?: number
  /** Whether the text says by itself which instant it names. */
  readonly hasOffset: boolean
}

const TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?: ?(?:(Z|UTC|GMT)|([+-])(\d{2})(?::?(\d{2}))?))?$/i
const EXPECTED = 'the start of an interval such as 2016-08-08T00:00:00'
const MAX_LENGTH = 64
/** The end of the year 9999: later instants have no name of the form that intervals have. */
const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999)

/** What people write instead of a time, and what to write. Looked at in this order, where TIME does not fit. */
const MISTAKES: readonly (readonly [pattern: RegExp, expected: string])[] = [
  [/^$/, `${EXPECTED} (the cell is empty)`],
  [/^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b/, `${EXPECTED}: the year first, then month and day`],
  [/^\d{4}[./]\d{1,2}[./]\d{1,2}\b/, `${EXPECTED}: date parts joined by -`],
  [/^\d{4}-\d{2}-\d{2}$/, `${EXPECTED}: a time of day as well`],
  [/^\d{4}-\d{1,2}-\d{1,2}[Tt ]\d{1,2}:\d{1,2}/, `${EXPECTED}: two digits each, nothing after the time but an offset`],
  [/^\d{9,19}$/, `${EXPECTED}, not a Unix time`],
  [/^\d{1,6}(?:[.,]\d{0,12})?$/, `${EXPECTED}, not the day number of a spreadsheet`],
]

/**
 * The start of an interval, ISO 8601: with the offset that the text has, else by `clock`. A space may stand for the T,
 * seconds may be left out, fractions are whole milliseconds (further zeros do not matter). Throws `malformed` with what is
 * wrong, also where the clock never shows that time.
 */
export function parseIntervalStart(text: string, path: string, clock: WallClock): IntervalStart {
  const found = text.length > MAX_LENGTH ? null : TIME.exec(text)
  if (found === null) {
    const [, expected = EXPECTED] = MISTAKES.find(([pattern]) => pattern.test(text.slice(0, MAX_LENGTH))) ?? []
    refuse(path, expected, text)
  }
  const local = localTimeOf(found, text, path)
  const hasOffset = found[8] !== undefined || found[9] !== undefined
  const instants = hasOffset ? [local - offsetMsOf(found, text, path)] : clock(local)
  const [timestamp, later] = instants
  if (timestamp === undefined) {
    refuse(
      path,
      'a time that clocks show: they go forward here and leave it out (meter in standard time? give an offset)',
      text,
    )
  }
  // Refused here, with its line, and not by the authority in the middle of a replay.
  if (timestamp < EARLIEST_TIME_MS) refuse(path, `${EXPECTED}, from the year 2001 on`, text)
  if (timestamp > LATEST_MS) refuse(path, `${EXPECTED}, up to the year 9999 in UTC`, text)
  return { timestamp, hasOffset, ...(later !== undefined && { later }) }
}

/** What the clock shows, as if it showed UTC. */
function localTimeOf(found: RegExpExecArray, text: string, path: string): number {
  const part = (index: number): number => Number(found[index] ?? '0')
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)]
  const fraction = (found[7] ?? '').padEnd(3, '0')
  if (/[1-9]/.test(fraction.slice(3))) refuse(path, 'a time of whole milliseconds', text)
  if (hour === 24) refuse(path, 'an hour from 00 to 23 (24:00 is 00:00 of the next day)', text)
  if (hour > 23) refuse(path, 'an hour from 00 to 23', text)
  if (minute > 59) refuse(path, 'minutes from 00 to 59', text)
  if (second > 59) refuse(path, 'seconds from 00 to 59 (no leap second)', text)
  const local = Date.UTC(year, month - 1, day, hour, minute, second, Number(fraction.slice(0, 3)))
  // Date.UTC takes the year 99 for 1999, and carries 30 February over into March: what does not come back names no day.
  const spelled = new Date(local)
  if (spelled.getUTCFullYear() !== year) refuse(path, `${EXPECTED}, with the century`, text)
  if (spelled.getUTCMonth() !== month - 1 || spelled.getUTCDate() !== day) refuse(path, 'a day of the calendar', text)
  return local
}

function offsetMsOf(found: RegExpExecArray, text: string, path: string): number {
  const [hours, minutes] = [Number(found[10] ?? '0'), Number(found[11] ?? '0')]
  if (hours > 23 || minutes > 59) refuse(path, 'an offset such as +02:00', text)
  return (found[9] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

/**
 * The one name of the interval that starts at an instant, its tick_id: UTC, `2016-08-08T00:00:00`, with milliseconds only
 * where there are some. Whatever a file wrote for the instant, its interval has this name.
 *
 * @param timestamp Unix milliseconds, up to the year 9999
 */
export function intervalId(timestamp: number): string {
  return new Date(timestamp).toISOString().slice(0, timestamp % 1000 === 0 ? 19 : 23)
}
