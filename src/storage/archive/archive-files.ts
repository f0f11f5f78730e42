import { createHash } from 'node:crypto'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { readStart } from '../../files/read-start.ts'
import { hash32, integer, literal, object } from '../../protocol/shape.ts'
import { corrupt, decodeText } from '../decode.ts'
import { driverCodes, storeGuard } from '../failure.ts'

/** Heights from `from` up to, but not including, `to`. */
export interface HeightRange {
  readonly from: number
  readonly to: number
}

/**
 * Files of block bodies, one for each range of heights. A file is a line of JSON that says what follows (range, length,
 * SHA-256), then the bodies, gzip: one line of JSON for each height. So `tail -n +2 FILE | gunzip` shows it without this program.
 */
export interface ArchiveFiles {
  /**
   * Writes the bodies of a range, in the place of a file that the range has already: whole or not at all, and durable once it
   * returns. Gives the size of the file in bytes. Throws `store_failed`.
   *
   * @param bodies JSON texts; null for a body that is kept elsewhere
   */
  write(range: HeightRange, bodies: readonly (string | null)[]): Promise<number>
  /** Throws `corrupt`, which names the file, if it is not there or not as it was written; `store_failed`. */
  read(range: HeightRange): Promise<readonly (string | null)[]>
  /** The ranges that there are files of, ascending. */
  ranges(): Promise<readonly HeightRange[]>
  remove(range: HeightRange): Promise<void>
  nameOf(range: HeightRange): string
}

const FORMAT = 'solar-node bodies'
const EXTENSION = '.bodies'
const TEMPORARY = '.tmp'
/** 2^40 blocks, one a second, are 34,000 years; the names of their heights sort as text. */
const DIGITS = 12
/** The first line is far shorter. */
const MAX_FIRST_LINE = 1_000
const NEWLINE = 0x0a
/**
 * Of a file, and of what is in it: nothing is read or unpacked beyond. A file ends with the body that fills it, and the largest
 * body, that of a block of 100,000 transactions, has some 60 MiB.
 */
export const MAX_ARCHIVE_BYTES = 128 * 1024 * 1024

const firstLineShape = object({
  format: literal(FORMAT),
  version: literal(1),
  from: integer(),
  to: integer(1),
  bytes: integer(),
  sha256: hash32,
})

const compress = promisify(gzip)
const decompress = promisify(gunzip)

const guardArchive = storeGuard('archive', (error) => driverCodes(error).includes('EMFILE'))

/** The archive in a folder, which is made with the first file. Files that a kill left half written are removed. Throws `store_failed`. */
export const openArchiveFiles = guardArchive('open', async (directory: string): Promise<ArchiveFiles> => {
  const names = await namesIn(directory)
  for (const name of names) if (name.endsWith(TEMPORARY)) await rm(join(directory, name), { force: true })
  return {
    nameOf,
    write: guardArchive('write', (range, bodies) => write(directory, range, bodies)),
    read: guardArchive('read', (range) => read(directory, range)),
    ranges: guardArchive('ranges', async () =>
      (await namesIn(directory)).flatMap(rangeOf).sort((a, b) => a.from - b.from),
    ),
    remove: guardArchive('remove', async (range) => {
      await rm(join(directory, nameOf(range)), { force: true })
      await syncFolder(directory)
    }),
  }
})

const padded = (height: number): string => String(height).padStart(DIGITS, '0')

/** The name says the first and the last height. */
const nameOf = ({ from, to }: HeightRange): string => `${padded(from)}-${padded(to - 1)}${EXTENSION}`

function rangeOf(name: string): readonly HeightRange[] {
  const [, from, last] = /^([0-9]{12})-([0-9]{12})\.bodies$/.exec(name) ?? []
  return from === undefined || last === undefined ? [] : [{ from: Number(from), to: Number(last) + 1 }]
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (driverCodes(error).includes('ENOENT')) return []
    throw error
  })
}

async function write(directory: string, range: HeightRange, bodies: readonly (string | null)[]): Promise<number> {
  // The text of a body has no line break: JSON writes those of strings as \n.
  const content = await compress(bodies.map((body) => `${body ?? 'null'}\n`).join(''))
  const sha256 = createHash('sha256').update(content).digest('hex')
  const first = { format: FORMAT, version: 1, from: range.from, to: range.to, bytes: content.length, sha256 }
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, nameOf(range))
  // Made anew, so that no link that somebody has put here is followed.
  await rm(`${path}${TEMPORARY}`, { force: true })
  const file = await open(`${path}${TEMPORARY}`, 'wx', 0o600)
  try {
    await file.writeFile(Buffer.concat([Buffer.from(`${JSON.stringify(first)}\n`), content]))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}${TEMPORARY}`, path)
  await syncFolder(directory)
  return (await stat(path)).size
}

async function read(directory: string, range: HeightRange): Promise<readonly (string | null)[]> {
  const place = `archive ${nameOf(range)}`
  const path = join(directory, nameOf(range))
  const bytes = await readStart(path, MAX_ARCHIVE_BYTES + 1).catch((error: unknown) => {
    if (driverCodes(error).includes('ENOENT'))
      throw corrupt(place, `the bodies of blocks ${range.from} to ${range.to - 1}`, 'no such file')
    throw error
  })
  if (bytes.length > MAX_ARCHIVE_BYTES) throw corrupt(place, `at most ${MAX_ARCHIVE_BYTES} bytes`, 'more')
  const end = bytes.subarray(0, MAX_FIRST_LINE).indexOf(NEWLINE)
  if (end < 0) throw corrupt(place, 'a first line that says what follows', `${bytes.length} bytes without one`)
  const first = decodeText(place, bytes.toString('utf8', 0, end), firstLineShape)
  const content = bytes.subarray(end + 1)
  const sha256 = createHash('sha256').update(content).digest('hex')
  if (first.from !== range.from || first.to !== range.to) {
    throw corrupt(place, `blocks ${range.from} to ${range.to - 1}`, `blocks ${first.from} to ${first.to - 1}`)
  }
  if (content.length !== first.bytes) throw corrupt(place, `${first.bytes} bytes`, `${content.length} bytes`)
  if (sha256 !== first.sha256) throw corrupt(place, `content of SHA-256 ${first.sha256}`, sha256)
  const unpacked = await decompress(content, { maxOutputLength: MAX_ARCHIVE_BYTES }).catch((cause: unknown) => {
    throw corrupt(
      place,
      `gzip of at most ${MAX_ARCHIVE_BYTES} bytes`,
      cause instanceof Error ? cause.message : String(cause),
    )
  })
  const lines = unpacked.toString('utf8').split('\n')
  if (lines.pop() !== '' || lines.length !== range.to - range.from) {
    throw corrupt(place, `${range.to - range.from} bodies`, `${lines.length} lines`)
  }
  return lines.map((line) => (line === 'null' ? null : line))
}

/** Makes new names durable. Windows has no such call and needs none. */
async function syncFolder(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
