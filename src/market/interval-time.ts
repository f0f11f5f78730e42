import { identifier, refuse } from '../protocol/shape.ts'

const TIME = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?(?:Z|([+-])(\d{2}):(\d{2}))?$/
const EXPECTED = 'the start of an interval such as 2016-08-08T00:00:00'

/**
 * The start of an interval (ISO 8601) as Unix milliseconds: read as UTC, or with the offset where the text has one. The text
 * is also the tick's id, so it must be an identifier (no space between date and time). Throws `malformed`.
 */
export function parseIntervalStart(text: string, path: string): number {
  const found = TIME.exec(identifier(text, path))
  if (found === null) refuse(path, EXPECTED, text)
  const part = (index: number): number => Number(found[index] ?? '0')
  const [year, month, day, hour, minute, second] = [part(1), part(2), part(3), part(4), part(5), part(6)]
  const millisecond = Number((found[7] ?? '').padEnd(3, '0'))
  const local = Date.UTC(year, month - 1, day, hour, minute, second, millisecond)
  const offsetMinutes = (found[8] === '-' ? -1 : 1) * (part(9) * 60 + part(10))
  const start = local - offsetMinutes * 60_000
  // Date.UTC carries 30 February over into March; a text that does not come back as it was names no time.
  const spelled = new Date(local)
  const same =
    spelled.getUTCMonth() === month - 1 && spelled.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  if (!same || part(9) > 23 || part(10) > 59 || start < 0) refuse(path, EXPECTED, text)
  return start
}
