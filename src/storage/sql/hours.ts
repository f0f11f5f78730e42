import { sql } from 'kysely'

const HOUR_MS = 3_600_000
const FIRST_WINDOW_HOURS = 24
const LARGEST_WINDOW_HOURS = 768

/**
 * The hour of a transaction, first column of the two party indexes. An index on (user, time) alone would put the rows of
 * each tick all over the tree: with 1,000 households a commit wrote 2,500 pages and took three times as long (measured
 * with SQLite, 150 ticks of 1,000 trades). By hour it writes 190, and a reader asks for the hours of its range.
 */
export const HOUR_OF_TIMESTAMP = sql<bigint>`timestamp / ${sql.lit(HOUR_MS)}`

/** The hours that [from, to) touches, both in Unix milliseconds, in windows that double from a day to a month. */
export function* hourWindows(from: number, to: number): Generator<readonly bigint[]> {
  const end = Math.floor((to - 1) / HOUR_MS) + 1
  let size = FIRST_WINDOW_HOURS
  for (let hour = Math.floor(from / HOUR_MS); hour < end;) {
    const count = Math.min(size, end - hour)
    const first = hour
    yield Array.from({ length: count }, (_, index) => BigInt(first + index))
    hour += count
    size = Math.min(size * 2, LARGEST_WINDOW_HOURS)
  }
}
