import { Temporal } from 'temporal-polyfill'
import type { WallClock } from '../market/interval-time.ts'
import { UsageError } from './output.ts'

/**
 * The clock on the wall in a zone of the IANA database, as Node has it.
 *
 * @param name such as Europe/Vienna; anything else throws UsageError
 */
export function zoneClock(name: string): WallClock {
  checkZone(name)
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

/**
 * The zone of --zone. Throws UsageError for what is no name of the IANA database; an offset is none, it knows no summer time.
 */
export function checkZone(name: string): string {
  if (/^[A-Za-z]/.test(name) && isKnown(name)) return name
  throw new UsageError(`--zone: expected a time zone such as Europe/Vienna, got ${JSON.stringify(name.slice(0, 80))}`)
}

function isKnown(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
