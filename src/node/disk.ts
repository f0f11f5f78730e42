import { randomBytes } from 'node:crypto'
import { statfsSync } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { TEMPORARY_SUFFIX } from '../keys/durable-file.ts'
import { codeOf, saysDiskFull } from '../ports/file-trouble.ts'
import { isSolarError } from '../protocol/errors.ts'

/** Below this a database cannot work any more, whatever the errors of its driver say. */
const FULL_BELOW_BYTES = 1024 * 1024
/** Beside its log LevelDB writes a new manifest and a new log when it is opened. */
const OPENING_BYTES = 256 * 1024
/** Drivers' words for a write that did not work, without saying why. */
const WRITE_FAILED = /\bI\/?O error|\bE(IO|FBIG)\b|file too large|unable to open database file/i

/** Bytes that are left on the disk of a folder; `undefined` where nobody can tell. */
export function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return undefined
  }
}

/**
 * True if an error of a store comes from a full disk under `folder`. LevelDB and SQLite often tell only that a write has failed: then
 * the disk is asked.
 */
export function isDiskFull(error: unknown, folder: string): boolean {
  const text = textOf(error)
  if (saysDiskFull(text)) return true
  if (!WRITE_FAILED.test(text)) return false
  const free = freeBytes(folder)
  return free !== undefined && free < FULL_BELOW_BYTES
}

function textOf(error: unknown): string {
  const reason = isSolarError(error) ? (error.fields as { readonly reason?: unknown }).reason : undefined
  const message = error instanceof Error ? error.message : String(error)
  return [message, typeof reason === 'string' ? reason : '', codeOf(error)].join(' ')
}

/**
 * Checks that LevelDB at `level` could be opened anew, which writes its log into a table: by writing as much beside it. That finds out
 * about quotas and limits of files too, of which the size of the disk says nothing.
 */
export function roomFor(level: string): () => Promise<void> {
  const probe = `${level}.room${TEMPORARY_SUFFIX}`
  return async () => {
    const bytes = (await logBytes(level)) + OPENING_BYTES
    try {
      const file = await open(probe, 'w', 0o600)
      try {
        await file.writeFile(randomBytes(bytes))
        await file.sync()
      } finally {
        await file.close()
      }
    } finally {
      await rm(probe, { force: true })
    }
  }
}

async function logBytes(level: string): Promise<number> {
  const logs = (await readdir(level)).filter((name) => name.endsWith('.log'))
  const sizes = await Promise.all(logs.map(async (name) => (await stat(join(level, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
