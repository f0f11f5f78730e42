import { formatDelta } from '../protocol/decimal.ts'

/** Values as people read them. The locale and the time zone are the browser's, unless a test names them. */
export interface Locale {
  readonly locale?: string
  readonly timeZone?: string
}

const DAY_MS = 86_400_000

/** "3f9a41c2…8b1e": enough to tell two hashes apart by eye; the whole value is one click away. */
export const shortHash = (hash: string): string => (hash.length <= 16 ? hash : `${hash.slice(0, 8)}…${hash.slice(-4)}`)

/** "1 trade", "18 trades", "1,204 votes". */
export function count(n: number, noun: string, { locale }: Locale = {}): string {
  return `${n.toLocaleString(locale)} ${noun}${n === 1 ? '' : 's'}`
}

function dateFormat({ locale, timeZone }: Locale, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat(locale, timeZone === undefined ? options : { ...options, timeZone })
}

/**
 * Time of day if it is within a day of `now`, else date and time, with the year if that is another: a replayed summer is not today.
 * Unix milliseconds.
 */
export function formatTime(at: number, now: number, where: Locale = {}): string {
  const clock: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' }
  const near = Math.abs(now - at) < DAY_MS
  if (near) return dateFormat(where, clock).format(at)
  const year = dateFormat(where, { year: 'numeric' })
  const named: Intl.DateTimeFormatOptions = year.format(at) === year.format(now) ? {} : { year: 'numeric' }
  return dateFormat(where, { day: 'numeric', month: 'short', ...named, ...clock }).format(at)
}

/** Date and time with seconds, for details. */
export const formatExactTime = (at: number, where: Locale = {}): string =>
  dateFormat(where, { dateStyle: 'medium', timeStyle: 'medium' }).format(at)

/** A decimal string of the ledger as people read it, every digit kept: "1,234.5". */
export const formatDecimal = (decimal: string, minDigits = 0, { locale }: Locale = {}): string =>
  new Intl.NumberFormat(locale, { minimumFractionDigits: minDigits, maximumFractionDigits: 6 }).format(
    decimal as `${number}`,
  )

/** Millionths as people read them, every digit kept. */
export const formatMicro = (micro: bigint, minDigits = 0, where: Locale = {}): string =>
  formatDecimal(formatDelta(micro), minDigits, where)

/** A number beside an axis, which has room for five characters: "8,000", "200B". */
export const formatTick = (value: number, { locale }: Locale = {}): string =>
  value < 10_000 ? value.toLocaleString(locale) : new Intl.NumberFormat(locale, { notation: 'compact' }).format(value)

/** "0.25 EUR". */
export const formatMoney = (decimal: string, currency: string, where: Locale = {}): string =>
  `${formatDecimal(decimal, 2, where)} ${currency}`

/** The browser's time zone, in which all times of the page are: "Europe/Berlin". */
export const zoneName = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone

/** "alice", "alice and bob", "alice, bob and 3 more". */
export function nameList(names: readonly string[], limit = 3): string {
  if (names.length <= 1) return names.join('')
  const shown = names.length > limit ? names.slice(0, limit - 1) : names.slice(0, -1)
  const rest = names.length - shown.length
  return `${shown.join(', ')} and ${rest === 1 ? (names.at(-1) ?? '') : `${rest} more`}`
}
