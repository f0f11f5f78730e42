import { Temporal } from 'temporal-polyfill'
import type { WallClock } from '../market/interval-time.ts'
import { UsageError } from './output.ts'

/**
 * The clock on the wall in a zone of the IANA database, as Node has it.
 *
 * @param name such as Europe/Vienna; anything else throws UsageError
 */
export function zoneClock(name: string): WallClock {
  // An offset is no zone: it knows no summer time.
  if (!/^[A-Za-z]/.test(name) || !isKnown(name)) {
    throw new UsageError(`--zone: expected a time zone such as Europe/Vienna, got ${JSON.stringify(name.slice(0, 80))}`)
  }
  return (local) => {
    const shown = Temporal.PlainDateTime.from(new Date(local).toISOString().slice(0, -1))
    const [earlier, later] = (['earlier', 'later'] as const).map((disambiguation) =>
      shown.toZonedDateTime(name, { disambiguation }),
    )
    // In the hour that is left out neither shows the time that was asked for.
    if (earlier === undefined || later === undefined || !earlier.toPlainDateTime().equals(shown)) return []
    const [first, second] = [earlier.epochMilliseconds, later.epochMilliseconds]
    return first === second ? [first] : [first, second]
  }
}

function isKnown(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
