import { createReadStream } from 'node:fs'
import { parse, type Info } from 'csv-parse'
import {
  collectNets,
  collectReadings,
  findColumns,
  type BadRow,
  type Collector,
  type ReadingColumns,
  type ReadingRules,
  type Readings,
} from '../../market/readings.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { replayError } from './errors.ts'

interface ParsedRow {
  readonly record: readonly string[]
  readonly info: Info
}

/**
 * Reads a CSV file of meter readings. The whole file is read before anything is sent: whether it has bad rows must be known
 * first. Throws `bad_option` if there is no such file, `bad_file` without a usable header line.
 */
export const readReadings = (file: string, rules: ReadingRules, signal?: AbortSignal): Promise<Readings> =>
  readRows(file, (columns) => collectReadings(columns, rules), signal)

/** What the meters of a file said; throws as `readReadings`. */
export const readNets = (file: string, signal?: AbortSignal) => readRows(file, collectNets, signal)

async function readRows<Result extends { readonly bad: readonly BadRow[] }>(
  file: string,
  collect: (columns: ReadingColumns) => Collector<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  const unparsed: BadRow[] = []
  let collector: Collector<Result> | undefined
  const parser = parse({
    bom: true,
    info: true,
    trim: true,
    // A short or long row is one bad row, not a bad file; so is a stray quote.
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: true,
    on_skip: (error) => {
      unparsed.push({ line: lineOf(error), reason: error?.message ?? 'not CSV' })
      return undefined
    },
  })
  const source = createReadStream(file, signal === undefined ? {} : { signal })
  source.on('error', (error) => parser.destroy(error))
  try {
    for await (const { record, info } of source.pipe(parser) as AsyncIterable<ParsedRow>) {
      if (collector === undefined) collector = collect(columnsOf(file, record))
      else collector.add(record, info.lines)
    }
  } catch (error) {
    throw readError(file, error)
  } finally {
    source.destroy()
  }
  if (collector === undefined) throw replayError('bad_file', { file, reason: 'it has no header line' })
  const readings = collector.finish()
  return { ...readings, bad: [...readings.bad, ...unparsed].sort((a, b) => a.line - b.line) }
}

function columnsOf(file: string, header: readonly string[]) {
  try {
    return findColumns(header)
  } catch (error) {
    if (!isSolarError(error)) throw error
    throw replayError('bad_file', { file, reason: error.message }, error)
  }
}

const lineOf = (error: object | undefined): number =>
  error !== undefined && 'lines' in error && typeof error.lines === 'number' ? error.lines : 0

function readError(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error
  return replayError(
    'bad_option',
    { name: 'FILE.csv', value: file, expected: `a readable file (${error.message})` },
    error,
  )
}
