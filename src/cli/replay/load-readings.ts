import { tmpdir } from 'node:os'
import { createDecimalReader, type DecimalReader } from '../../market/exact-decimal.ts'
import { UTC_CLOCK, type WallClock } from '../../market/interval-time.ts'
import { findColumns, needsZone, readingParser, type ReadingColumns } from '../../market/readings.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from '../../protocol/limits.ts'
import { SEPARATOR_NAMES, type CsvFormat } from './csv-format.ts'
import { replayError } from './errors.ts'
import { settleLocalHours } from './local-hours.ts'
import { readRows, type RowSink } from './read-file.ts'
import { openReadingsTable, type ReadingsTable, type RowPlace } from './readings-table.ts'

/** A row that cannot be used. */
export interface BadRow {
  readonly file: string
  /** Line in the file; the header line is 1. */
  readonly line: number
  readonly reason: string
}

/** The rows that cannot be used: all of them counted, the first ones told. */
export interface BadRows {
  readonly count: number
  /** Of each file by line. */
  readonly rows: readonly BadRow[]
}

/** The readings of a community, from all of its files. */
export interface LoadedReadings {
  /** To be closed. */
  readonly table: ReadingsTable
  readonly bad: BadRows
  /** Readings that more than one file has, and that are the same in each. */
  readonly repeated: number
}

export interface LoadOptions {
  /** By which times without an offset are read; absent: UTC. */
  readonly clock?: WallClock
  readonly signal?: AbortSignal
  /** How a file is read, where that is not what everybody expects, for people. */
  readonly notice: (line: string) => void
  /** Hears of the rows read so far now and then. */
  readonly onProgress: (rows: number) => void
}

const MAX_BAD_ROWS_TOLD = 1_000
const PROGRESS_EVERY_ROWS = 20_000

/**
 * Reads files of meter readings, the readings of one community, to the end: nothing is sent before it is known whether all
 * rows can be used. Takes the same memory for a day and for a year. Throws `bad_option` for a file that is not there, `bad_file`
 * for one without the columns.
 */
export async function loadReadings(files: readonly string[], options: LoadOptions): Promise<LoadedReadings> {
  const table = openReadingsTable()
  const bad = collectBadRows(files)
  try {
    let rows = 0
    for (const [number, file] of files.entries()) {
      const onRow = (): void => {
        if (++rows % PROGRESS_EVERY_ROWS === 0) options.onProgress(rows)
      }
      const sink = fileSink({ file, number, table, onRow, addBad: bad.add, ...options })
      await readRows(file, sink, options.signal)
      sink.end()
    }
    table.index()
    const zone = options.clock === undefined ? ZONE_HINT : ''
    settleLocalHours(table, (place, household) =>
      bad.add(
        place,
        `${household}: this local time comes twice, and the file does not tell which one it is. Write the offset`,
      ),
    )
    const { same, bad: contradictions, shown } = table.removeRepeated(MAX_BAD_ROWS_TOLD)
    for (const { household, first, ...place } of shown) {
      const where = first.file === place.file ? '' : `${files[first.file] ?? ''} `
      bad.add(
        place,
        `household: expected one reading an interval (the first is in ${where}line ${first.line}), got ${JSON.stringify(household)}${zone}`,
      )
    }
    refuseCrowd(files, table.countIntervals().largest)
    const count = bad.count() + contradictions - shown.length
    return { table, bad: { count, rows: bad.told() }, repeated: same }
  } catch (error) {
    table.close()
    if (!(error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_'))) throw error
    throw replayError('no_room', { folder: tmpdir(), reason: error.message }, error)
  }
}

/** A tick takes so many orders, and those of a replay are for their own tick only: what is beyond would never trade. */
function refuseCrowd(files: readonly string[], largest: number): void {
  if (largest <= MAX_TRANSACTIONS_PER_BLOCK) return
  const reason = `an interval has ${largest} readings, a tick takes at most ${MAX_TRANSACTIONS_PER_BLOCK}`
  throw replayError('bad_file', { file: files.join(', '), reason })
}

const ZONE_HINT =
  '. Are these local times, of the hour that comes twice in autumn? --zone, such as --zone Europe/Vienna'

function collectBadRows(files: readonly string[]) {
  const rows: (RowPlace & { readonly reason: string })[] = []
  let count = 0
  return {
    add: (place: RowPlace, reason: string): void => {
      count++
      if (rows.length < MAX_BAD_ROWS_TOLD) rows.push({ file: place.file, line: place.line, reason })
    },
    count: () => count,
    told: (): readonly BadRow[] =>
      rows
        .sort((a, b) => a.file - b.file || a.line - b.line)
        .map(({ file, line, reason }) => ({ file: files[file] ?? '', line, reason })),
  }
}

interface FileParts extends Pick<LoadOptions, 'clock' | 'notice'> {
  readonly file: string
  readonly number: number
  readonly table: ReadingsTable
  readonly onRow: () => void
  readonly addBad: (place: RowPlace, reason: string) => void
}

/** Puts the rows of one file into the table. */
function fileSink({ file, number, table, clock, notice, onRow, addBad }: FileParts): RowSink & { end(): void } {
  let columns: ReadingColumns | undefined
  let decimals: DecimalReader | undefined
  let format: CsvFormat | undefined
  let parseRow: ReturnType<typeof readingParser> | undefined
  let readAsUtc = false
  return {
    header(fields, found) {
      format = found
      columns = columnsOf(file, fields, found)
      if (needsZone(columns) && clock === undefined)
        throw replayError('needs_zone', { file, column: columns.start.name })
      decimals = createDecimalReader(found.separator === ',')
      parseRow = readingParser(columns, decimals, clock ?? UTC_CLOCK)
    },
    row(fields, line) {
      if (parseRow === undefined) return
      onRow()
      try {
        const reading = parseRow(fields)
        if (!reading.hasOffset && clock === undefined) readAsUtc = true
        table.add(reading, { file: number, line })
      } catch (error) {
        if (!isSolarError(error)) throw error
        addBad({ file: number, line }, error.message)
      }
    },
    unreadable: (line, reason) => addBad({ file: number, line }, reason),
    /** Says how the file was read, where it is not the plain way. */
    end() {
      if (columns === undefined || format === undefined)
        throw replayError('bad_file', { file, reason: 'it has no header line' })
      const facts = factsOf(format, decimals?.mark())
      if (facts.length > 0) notice(`${file}: read with ${facts.join(', ')}`)
      if (readAsUtc && columns.start.name.includes('local')) {
        notice(
          `${file}: the times of ${columns.start.name} are read as UTC; for local times give --zone, such as --zone Europe/Vienna`,
        )
      }
    },
  }
}

function factsOf({ separator, encoding }: CsvFormat, mark: '.' | ',' | undefined): string[] {
  return [
    ...(separator === ',' ? [] : [`${SEPARATOR_NAMES[separator]} between columns`]),
    ...(mark === ',' ? ['decimal commas'] : []),
    ...(encoding === 'utf-8' ? [] : [`${encoding.toUpperCase()} text`]),
  ]
}

function columnsOf(file: string, header: readonly string[], { separator }: CsvFormat): ReadingColumns {
  try {
    return findColumns(header)
  } catch (error) {
    if (!isSolarError(error)) throw error
    throw replayError(
      'bad_file',
      { file, reason: `${error.message} (columns separated by ${SEPARATOR_NAMES[separator]})` },
      error,
    )
  }
}
