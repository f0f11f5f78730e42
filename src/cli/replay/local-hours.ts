import type { ReadingsTable, RowPlace, TwoInstants } from './readings-table.ts'

/** Rows this far from an hour that comes twice tell in which direction a file goes. */
const AROUND_MS = 36 * 3_600_000

/**
 * Tells the two instants of each time that comes twice apart: a household's rows in a file go forward in time, or all of
 * them backward, with the same times in both hours, and that leaves one way to read them. Where it leaves several (the hour
 * is there once only) or none, the rows go to `refuse` and out of the table.
 */
export function settleLocalHours(table: ReadingsTable, refuse: (place: RowPlace, household: string) => void): void {
  for (const [from, to] of windowsOf([...table.ambiguousTimes()])) {
    const settled: { readonly row: bigint; readonly timestamp: number }[] = []
    const left: TwoInstants[] = []
    for (const rows of runsOf(table.byHousehold(from, to))) {
      const times = timesOf(rows)
      for (const [index, row] of rows.entries()) {
        if (row.later === row.timestamp) continue
        const timestamp = times?.[index]
        if (timestamp === undefined) left.push(row)
        else settled.push({ row: row.row, timestamp })
      }
    }
    for (const { row, timestamp } of settled) table.setTime(row, timestamp)
    for (const row of left) {
      table.remove(row.row)
      refuse(row, row.household)
    }
  }
}

/** Spans around times that are near to each other: one for each night on which the clocks go back. */
function windowsOf(times: readonly number[]): [from: number, to: number][] {
  const windows: [number, number][] = []
  for (const time of times) {
    const last = windows.at(-1)
    if (last !== undefined && time - AROUND_MS <= last[1]) last[1] = time + AROUND_MS
    else windows.push([time - AROUND_MS, time + AROUND_MS])
  }
  return windows
}

/** The rows of one household in one file after another. */
function* runsOf(rows: Iterable<TwoInstants>): Iterable<readonly TwoInstants[]> {
  let run: TwoInstants[] = []
  for (const row of rows) {
    const [first] = run
    if (first !== undefined && (first.file !== row.file || first.household !== row.household)) {
      yield run
      run = []
    }
    run.push(row)
  }
  if (run.length > 0) yield run
}

/** The instants of these rows, `undefined` for each that is not settled; `undefined` altogether if none can be. */
function timesOf(rows: readonly TwoInstants[]): readonly (number | undefined)[] | undefined {
  // Forward first: two rows of nothing but the same time are the first hour and the second.
  const times = forwardTimes(rows) ?? forwardTimes(rows.toReversed())?.toReversed()
  return times !== undefined && areTwoHours(rows, times) ? times : undefined
}

/**
 * Whether the first hour has the times that the second has. A row that is there twice by mistake, or out of order, looks
 * like the beginning of the second hour as well: then one of them has times that the other lacks.
 */
function areTwoHours(rows: readonly TwoInstants[], times: readonly (number | undefined)[]): boolean {
  const [first, second] = [new Set<number>(), new Set<number>()]
  for (const [index, { timestamp, later }] of rows.entries()) {
    if (later !== timestamp) (times[index] === later ? second : first).add(timestamp)
  }
  return first.size === second.size && [...first].every((time) => second.has(time))
}

/**
 * The earliest and the latest way in which these rows go forward in time; where both are the same there is no other way.
 * `undefined` if there is none at all.
 */
function forwardTimes(rows: readonly TwoInstants[]): (number | undefined)[] | undefined {
  const earliest: number[] = []
  for (const { timestamp, later } of rows) {
    const last = earliest.at(-1) ?? -Infinity
    if (timestamp > last) earliest.push(timestamp)
    else if (later > last) earliest.push(later)
    else return undefined
  }
  let next = Infinity
  const latest = rows.toReversed().map(({ timestamp, later }) => {
    next = later < next ? later : timestamp
    return next
  })
  latest.reverse()
  return earliest.map((time, index) => (latest[index] === time ? time : undefined))
}
