import { open, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readStart } from '../files/read-start.ts'
import type { HighWater, HighWaterMark } from '../ports/high-water.ts'
import { ledgerError } from '../ports/errors.ts'
import { sha256Hex } from '../protocol/hash.ts'
import { createFileDurably, syncDirectory } from './durable-file.ts'

/**
 * Two slots, each in a sector and a page of its own: the disk writes one without touching the other, so a write that is
 * torn by a power cut leaves the mark before it.
 */
const SLOT_BYTES = 4_096
const SLOTS = 2
const HEIGHT_DIGITS = 16
const MARK = /^([0-9]{16}) ([0-9a-f]{64}) ([0-9a-f]{64})\n/

/** The high-water file of a data directory, open until `close`. */
export interface HighWaterFile extends HighWater {
  close(): Promise<void>
}

interface Slots {
  readonly file: FileHandle
  /** Where the newest mark is. */
  slot: number
}

/**
 * Opens the file; it is made with the first mark. To people it is text: height, hash, and the SHA-256 of the two as
 * written. Throws `corrupt` if it holds no whole mark, `store_failed`.
 */
export async function openHighWaterFile(path: string): Promise<HighWaterFile> {
  let mark: HighWaterMark | null = null
  let raisedAt: number | null = null
  let slots: Slots | undefined
  // Two raises at a time would write one slot, or in the wrong order.
  let last: Promise<unknown> = Promise.resolve()

  /** True if the file is there. */
  async function load(): Promise<boolean> {
    const bytes = await readStart(path, SLOT_BYTES * SLOTS).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    })
    if (bytes === undefined) return false
    const newest = newestOf(path, bytes.toString('latin1'))
    mark = newest.mark
    slots = { file: await open(path, 'r+'), slot: newest.slot }
    return true
  }
  await guard('open', async () => {
    if (await load()) raisedAt = (await stat(path)).mtimeMs
  })

  async function write(next: HighWaterMark): Promise<void> {
    // It is there where it was made the time before, and then the flush of its folder or the opening failed.
    if (slots === undefined && (await load())) await syncDirectory(dirname(path))
    if (mark !== null && next.height <= mark.height) return
    if (slots === undefined) {
      await createFileDurably(path, encode(next).padEnd(SLOT_BYTES * SLOTS, '\n'), 0o600)
      slots = { file: await open(path, 'r+'), slot: 0 }
    } else {
      const slot = (slots.slot + 1) % SLOTS
      const bytes = Buffer.from(encode(next), 'latin1')
      const { bytesWritten } = await slots.file.write(bytes, 0, bytes.length, slot * SLOT_BYTES)
      if (bytesWritten !== bytes.length) {
        throw storeFailed('raise', `${bytesWritten} of ${bytes.length} bytes were written`)
      }
      await slots.file.datasync()
      slots.slot = slot
    }
    mark = next
  }

  return {
    get mark() {
      return mark
    },
    get raisedAt() {
      return raisedAt
    },
    raise(next) {
      const done = last.then(() => guard('raise', () => write(next)))
      last = done.catch(() => undefined)
      return done
    },
    async close() {
      await last
      await slots?.file.close()
    },
  }
}

function encode({ height, hash }: HighWaterMark): string {
  const text = `${String(height).padStart(HEIGHT_DIGITS, '0')} ${hash}`
  return `${text} ${sha256Hex(text)}\n`
}

/** The higher of the marks that are whole. Throws `corrupt`. */
function newestOf(path: string, content: string): { readonly mark: HighWaterMark; readonly slot: number } {
  const found = Array.from({ length: SLOTS }, (_, slot) => {
    const mark = decode(content.slice(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES))
    return mark === undefined ? [] : [{ mark, slot }]
  }).flat()
  const newest = found.sort((a, b) => b.mark.height - a.mark.height)[0]
  if (newest !== undefined) return newest
  throw ledgerError('corrupt', { place: path, expected: 'the height and hash of a block', found: 'no whole mark' })
}

function decode(slot: string): HighWaterMark | undefined {
  const [, digits = '', hash = '', checksum] = MARK.exec(slot) ?? []
  const height = Number(digits)
  return checksum === sha256Hex(`${digits} ${hash}`) && Number.isSafeInteger(height) ? { height, hash } : undefined
}

/** Turns what the file system throws into `store_failed`. */
async function guard<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    throw storeFailed(operation, error.message, error)
  }
}

const storeFailed = (operation: string, reason: string, cause?: unknown) =>
  ledgerError('store_failed', { store: 'high-water', operation, retryable: false, reason }, cause)
