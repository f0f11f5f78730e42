import { Temporal } from 'temporal-polyfill'
import { UsageError } from '../output.ts'

/**
 * A date, which begins at midnight of the zone, or a time with its offset from UTC; as Unix milliseconds. Throws UsageError.
 *
 * @param option its name, for the error
 */
export function timeOption(option: string, text: string, zone: string): number {
  try {
    const at = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)
      ? Temporal.PlainDate.from(text).toZonedDateTime(zone).epochMilliseconds
      : Temporal.Instant.from(text.slice(0, 64)).epochMilliseconds
    if (at >= 0) return at
  } catch {
    // Told below, with what was expected.
  }
  throw new UsageError(
    `${option}: expected a date such as 2026-06-01, or a time with its offset such as 2026-06-01T14:00+02:00 (from 1970 on), ` +
      `got ${JSON.stringify(text.slice(0, 80))}`,
  )
}
