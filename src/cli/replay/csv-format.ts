import { parse } from 'csv-parse/sync'
import { countKnown } from '../../market/readings.ts'

/** What stands between the fields of a file. */
export type Separator = ',' | ';' | '\t'
export const SEPARATOR_NAMES = { ',': 'commas', ';': 'semicolons', '\t': 'tabs' } as const

/** How a file is written, as its beginning tells. */
export interface CsvFormat {
  readonly encoding: 'utf-8' | 'utf-16le' | 'utf-16be'
  readonly separator: Separator
  /** The line of the header; what is above it is empty, or the line by which Excel names its separator. */
  readonly headerLine: number
}

/** How much of a file is looked at. */
export const SNIFFED_BYTES = 64 * 1024

/** Files that people take for a CSV file. */
const OTHER_KINDS: readonly (readonly [start: readonly number[], reason: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], 'it is an Excel workbook or a zip archive, not CSV: save it as "CSV UTF-8", or unpack it'],
  [[0xd0, 0xcf, 0x11, 0xe0], 'it is an old Excel workbook, not CSV: save it as "CSV UTF-8"'],
  [[0x1f, 0x8b], 'it is compressed with gzip: unpack it first'],
]

/** The format of a file that starts with these bytes, or in one line why it cannot be CSV. */
export function sniffFormat(head: Buffer): CsvFormat | string {
  const other = OTHER_KINDS.find(([start]) => start.every((byte, index) => head[index] === byte))
  if (other !== undefined) return other[1]
  const encoding = encodingOf(head)
  const text = new TextDecoder(encoding).decode(head.subarray(0, SNIFFED_BYTES))
  const lines = text.split(/\r\n|\n|\r/, 100)
  const named = /^"?sep=(.)"?$/i.exec(lines[0]?.trimStart() ?? '')?.[1]
  const first = lines.findIndex((line, index) => line.trim() !== '' && !(index === 0 && named !== undefined))
  if (first === -1) return 'it has no header line'
  const separator = isSeparator(named) ? named : separatorOf(lines[first] ?? '')
  return { encoding, separator, headerLine: first + 1 }
}

const isSeparator = (text: string | undefined): text is Separator => text !== undefined && text in SEPARATOR_NAMES

function encodingOf(head: Buffer): CsvFormat['encoding'] {
  const [a, b, c, d] = head
  if (a === 0xff && b === 0xfe) return 'utf-16le'
  if (a === 0xfe && b === 0xff) return 'utf-16be'
  // Without a byte order mark: a header is ASCII, so every other byte is zero.
  if (b === 0 && d === 0) return 'utf-16le'
  return a === 0 && c === 0 ? 'utf-16be' : 'utf-8'
}

/** A header line is far shorter; so much of it tells what separates its names. */
const SNIFFED_CHARACTERS = 8 * 1024

/** The separator with which the header line has the most columns that matter, or else the most columns. */
function separatorOf(line: string): Separator {
  const header = line.slice(0, SNIFFED_CHARACTERS)
  let best: { readonly separator: Separator; readonly known: number; readonly count: number } | undefined
  for (const separator of [',', ';', '\t'] as const) {
    const names = fieldsOf(header, separator)
    const found = { separator, known: countKnown(names), count: names.length }
    if (best === undefined || found.known > best.known || (found.known === best.known && found.count > best.count)) {
      best = found
    }
  }
  return best?.separator ?? ','
}

function fieldsOf(line: string, delimiter: Separator): readonly string[] {
  try {
    const [fields = []] = parse(line, { delimiter, trim: true, relax_quotes: true, relax_column_count: true })
    return fields
  } catch {
    // Something else than this separator follows on a closing quote.
    return [line]
  }
}
