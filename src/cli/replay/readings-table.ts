import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import type { ParsedReading, Reading } from '../../market/readings.ts'

/** Where a reading was read. */
export interface RowPlace {
  /** Number of the file on the command line, from 0. */
  readonly file: number
  /** The header line is 1. */
  readonly line: number
}

/** A reading in the hour that comes twice: which of the two instants is meant is not known yet. */
export interface TwoInstants extends RowPlace {
  readonly row: bigint
  readonly household: string
  readonly timestamp: number
  /** `timestamp` itself where there is one instant only. */
  readonly later: number
}

/** A second reading of a household in one interval. */
export interface Repeated extends RowPlace {
  readonly household: string
  readonly first: RowPlace
}

/** The readings of one interval. */
export interface MeteredInterval {
  /** Unix milliseconds. */
  readonly timestamp: number
  readonly readings: readonly Reading[]
}

/** What is read of a meter is used after all of it is read, so a meter's data lies here in the meantime, by time. */
export interface ReadingsTable {
  add(reading: ParsedReading, place: RowPlace): void
  /** To be called once after the last `add`. */
  index(): void
  /** Times, ascending, at which some reading has two instants. */
  ambiguousTimes(): Iterable<number>
  /** Readings between two times, by file and household, each in the order of its rows. */
  byHousehold(from: number, to: number): Iterable<TwoInstants>
  setTime(row: bigint, timestamp: number): void
  remove(row: bigint): void
  /**
   * Removes what is no first reading of a household in an interval: readings that other files repeat (`same`), and those
   * that differ from the first or are in its file; gives up to `limit` of the latter, in the order of the rows.
   */
  removeRepeated(limit: number): { readonly same: number; readonly bad: number; readonly shown: readonly Repeated[] }
  /** How many intervals there are, and how many readings the largest of them has. */
  countIntervals(): { readonly count: number; readonly largest: number }
  /** By time; the readings of an interval in the order of the files and their rows. */
  intervals(): Iterable<MeteredInterval>
  netOf(timestamp: number, household: string): bigint | undefined
  close(): void
}

/** Rows of one insert: a call of the driver costs more than a row. */
const BATCH = 100
const COLUMNS = 7

/** Rows that are no first reading of their household and interval, beside the first one. */
const SECOND = `
  select r.rowid as row, r.household, r.file, r.line, f.file as first_file, f.line as first_line, r.file = f.file or r.net <> f.net or r.price <> f.price
    as contradicts
  from (select timestamp, household, min(rowid) as first from readings
        group by timestamp, household having count(*) > 1) g
  join readings f on f.rowid = g.first
  join readings r on r.timestamp = g.timestamp and r.household = g.household and r.rowid > g.first`

/**
 * A table in a file of its own, so that a year of quarter hours of a whole town needs no more memory than a day. The file has
 * no name any more once it is open: however the process ends, nobody's readings stay behind.
 */
export function openReadingsTable(): ReadingsTable {
  const folder = mkdtempSync(join(tmpdir(), 'solar-node-readings-'))
  let db: Libsql.Database
  try {
    db = new Libsql(join(folder, 'readings.db'))
    // Sorting goes to files as well, which by default it does not. What the file holds is read from elsewhere again.
    db.exec('pragma journal_mode = off; pragma synchronous = off; pragma temp_store = file; pragma cache_size = -16000')
    db.defaultSafeIntegers(true)
    db.exec(`create table readings (timestamp integer not null, later integer not null, household text not null,
      net integer not null, price integer not null, file integer not null, line integer not null)`)
  } finally {
    // On Windows an open file keeps its name; `close` tries again.
    removeFolder(folder)
  }
  const insertBatch = db.prepare(`insert into readings values ${Array(BATCH).fill('(?,?,?,?,?,?,?)').join(',')}`)
  const insertOne = db.prepare('insert into readings values (?,?,?,?,?,?,?)')
  let waiting: (string | number | bigint)[] = []
  let findNet: Libsql.Statement | undefined
  db.exec('begin')

  const rows = (sql: string, ...values: (number | bigint)[]) =>
    db
      .prepare(sql)
      .raw()
      .iterate(...values) as Iterable<readonly unknown[]>
  const one = (sql: string) => db.prepare(sql).raw().get() as readonly unknown[]

  function* readings(): Iterable<Reading> {
    const found = rows('select timestamp, household, net, price from readings order by timestamp, rowid')
    for (const [timestamp, household, net, price] of found) {
      const [netMicro, priceMicro] = [BigInt(String(net)), BigInt(String(price))]
      yield { timestamp: Number(timestamp), household: String(household), netMicro, priceMicro }
    }
  }

  return {
    add({ timestamp, later, household, netMicro, priceMicro }, { file, line }) {
      waiting.push(timestamp, later ?? timestamp, household, netMicro, priceMicro, file, line)
      if (waiting.length < BATCH * COLUMNS) return
      insertBatch.run(waiting)
      waiting = []
    },
    index() {
      for (let at = 0; at < waiting.length; at += COLUMNS) insertOne.run(waiting.slice(at, at + COLUMNS))
      waiting = []
      db.exec('create index by_time on readings (timestamp, household)')
    },
    *ambiguousTimes() {
      const found = rows('select distinct timestamp from readings where later <> timestamp order by timestamp')
      for (const [timestamp] of found) yield Number(timestamp)
    },
    *byHousehold(from, to) {
      const found = rows(
        `select rowid, household, timestamp, later, file, line from readings indexed by by_time
         where timestamp between ? and ? order by file, household, rowid`,
        from,
        to,
      )
      for (const [row, household, timestamp, later, file, line] of found) {
        const place = { file: Number(file), line: Number(line) }
        yield {
          row: BigInt(String(row)),
          household: String(household),
          ...place,
          timestamp: Number(timestamp),
          later: Number(later),
        }
      }
    },
    setTime: (row, timestamp) =>
      void db.prepare('update readings set timestamp = ? where rowid = ?').run(timestamp, row),
    remove: (row) => void db.prepare('delete from readings where rowid = ?').run(row),
    removeRepeated(limit) {
      const [all, bad] = one(`select count(*), coalesce(sum(contradicts), 0) from (${SECOND})`)
      if (Number(all) === 0) return { same: 0, bad: 0, shown: [] }
      const found = rows(`select * from (${SECOND}) where contradicts order by row limit ?`, limit)
      const shown = [...found].map(([, household, file, line, firstFile, firstLine]) => ({
        household: String(household),
        file: Number(file),
        line: Number(line),
        first: { file: Number(firstFile), line: Number(firstLine) },
      }))
      db.exec(`delete from readings where rowid in (select row from (${SECOND}))`)
      return { same: Number(all) - Number(bad), bad: Number(bad), shown }
    },
    countIntervals() {
      const [count, largest] = one(
        'select count(*), max(size) from (select count(*) size from readings group by timestamp)',
      )
      return { count: Number(count), largest: Number(largest) }
    },
    intervals: () => groupByTime(readings()),
    netOf(timestamp, household) {
      findNet ??= db.prepare('select net from readings where timestamp = ? and household = ?').raw()
      const found = findNet.get(timestamp, household) as readonly unknown[] | undefined
      return found === undefined ? undefined : BigInt(String(found[0]))
    },
    close() {
      db.close()
      removeFolder(folder)
    },
  }
}

function* groupByTime(readings: Iterable<Reading>): Iterable<MeteredInterval> {
  let interval: { timestamp: number; readings: Reading[] } | undefined
  for (const reading of readings) {
    if (interval?.timestamp !== reading.timestamp) {
      if (interval !== undefined) yield interval
      interval = { timestamp: reading.timestamp, readings: [] }
    }
    interval.readings.push(reading)
  }
  if (interval !== undefined) yield interval
}

function removeFolder(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EBUSY' || error.code === 'EPERM'))) throw error
  }
}
