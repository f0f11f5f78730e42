import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { parse, type Info, type Parser } from 'csv-parse'
import { fileTrouble } from '../../ports/file-trouble.ts'
import { replayError } from './errors.ts'
import { sniffFormat, SNIFFED_BYTES, type CsvFormat } from './csv-format.ts'

/** Takes what is in a file, row by row. */
export interface RowSink {
  header(fields: readonly string[], format: CsvFormat): void
  row(fields: readonly string[], line: number): void
  /** What is no row at all. */
  unreadable(line: number, reason: string): void
}

/** A row of readings is some 60 characters; a quote that is never closed must not take the rest of the file into memory. */
const MAX_ROW_BYTES = 100_000
const READ_BYTES = 256 * 1024

/**
 * Reads a CSV file of whatever size, from start to end once: also a pipe will do. Throws `bad_option` if there is no such
 * file, `bad_file` if it is not CSV, or has changed meanwhile: whoever reads a file that another program is writing may take
 * half a number for a number.
 */
export async function readRows(file: string, sink: RowSink, signal: AbortSignal | undefined): Promise<void> {
  const before = await versionOf(file)
  const source = createReadStream(file, { highWaterMark: READ_BYTES, ...(signal !== undefined && { signal }) })
  const bytes = source[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  try {
    const head = await readHead(bytes)
    const format = sniffFormat(head)
    if (typeof format === 'string') throw replayError('bad_file', { file, reason: format })
    await parseRows(Readable.from(decoded(head, bytes, format.encoding)), format, sink)
  } catch (error) {
    throw readError(file, error)
  } finally {
    source.destroy()
  }
  if (before !== (await versionOf(file))) {
    throw replayError('bad_file', {
      file,
      reason: 'it changed while it was read, nothing was sent. Run the command again',
    })
  }
}

/** Tells two states of a file apart; a pipe has one. */
async function versionOf(file: string): Promise<string> {
  try {
    const status = await stat(file)
    return status.isFile() ? `${status.ino} ${status.size} ${status.mtimeMs}` : ''
  } catch (error) {
    throw readError(file, error)
  }
}

async function readHead(bytes: AsyncIterator<Buffer, undefined>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  while (length < SNIFFED_BYTES) {
    const { value, done } = await bytes.next()
    if (done === true) break
    chunks.push(value)
    length += value.length
  }
  return Buffer.concat(chunks)
}

async function* decoded(
  head: Buffer,
  rest: AsyncIterator<Buffer, undefined>,
  encoding: CsvFormat['encoding'],
): AsyncGenerator<Buffer> {
  // The parser takes UTF-8, and drops its byte order mark; the decoder drops that of UTF-16.
  const decoder = encoding === 'utf-8' ? undefined : new TextDecoder(encoding)
  const utf8 = (chunk: Buffer): Buffer =>
    decoder === undefined ? chunk : Buffer.from(decoder.decode(chunk, { stream: true }), 'utf8')
  yield utf8(head)
  for (;;) {
    const { value, done } = await rest.next()
    if (done === true) return
    yield utf8(value)
  }
}

interface ParsedRow {
  readonly record: readonly string[]
  readonly info: Info
}

async function parseRows(source: Readable, format: CsvFormat, sink: RowSink): Promise<void> {
  const parser = createParser(format, sink)
  let hasHeader = false
  const take = (): void => {
    for (;;) {
      const parsed = parser.read() as ParsedRow | null
      if (parsed === null) return
      if (hasHeader) sink.row(parsed.record, parsed.info.lines)
      else sink.header(parsed.record, format)
      hasHeader = true
    }
  }
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => {
      source.destroy()
      parser.destroy()
      reject(error)
    }
    // Not `for await`: one turn of the event loop a row takes longer than the row.
    parser.on('readable', () => {
      try {
        take()
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    })
    parser.on('end', resolve)
    parser.on('error', fail)
    source.on('error', fail)
    source.pipe(parser)
  })
}

function createParser({ separator, headerLine }: CsvFormat, sink: RowSink): Parser {
  return parse({
    bom: true,
    delimiter: separator,
    from_line: headerLine,
    info: true,
    trim: true,
    max_record_size: MAX_ROW_BYTES,
    // A short or long row is one bad row, not a bad file; so is a stray quote.
    relax_column_count: true,
    skip_empty_lines: true,
    // Rows of nothing but separators: what is left of a sheet below its last row.
    skip_records_with_empty_values: true,
    skip_records_with_error: true,
    on_skip: (error) => {
      // The parser goes on behind what it has read so far, in the middle of some row: nobody knows how much is lost.
      if (error?.code === 'CSV_MAX_RECORD_SIZE') throw error
      sink.unreadable(
        lineOf(error),
        error?.code === 'CSV_QUOTE_NOT_CLOSED' ? NOT_CLOSED : (error?.message ?? 'not CSV'),
      )
      return undefined
    },
  })
}
const NOT_CLOSED =
  'a quotation mark is opened in this row, or in one before it, and not closed up to the end of the file'

const lineOf = (error: object | undefined): number =>
  error !== undefined && 'lines' in error && typeof error.lines === 'number' ? error.lines : 0

function readError(file: string, error: unknown): unknown {
  if (error instanceof Error && 'code' in error && error.code === 'CSV_MAX_RECORD_SIZE') {
    const reason = `up to line ${lineOf(error)} a row goes on for more than ${MAX_ROW_BYTES} bytes: a quotation mark that is not closed?`
    return replayError('bad_file', { file, reason }, error)
  }
  if (!(error instanceof Error) || !('syscall' in error)) return error
  const expected = `a readable file (${fileTrouble(error)})`
  return replayError('bad_option', { name: 'FILE', value: file, expected }, error)
}
