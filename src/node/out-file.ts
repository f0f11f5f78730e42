import { constants } from 'node:fs'
import { access, lstat, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { configError } from '../config/errors.ts'
import { makeFolder, syncDirectory, TEMPORARY_SUFFIX } from '../keys/durable-file.ts'
import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import { nodeError } from './errors.ts'

/** A file that a command writes for its user. */
export interface OutFile {
  readonly path: string
  /** Whether a file that is there may be replaced; absent: the command never does that. */
  readonly force?: boolean
}

/**
 * Refuses an --out that is there (without force), or whose folder is not and cannot be made, before any work is done for it. Makes
 * nothing. Throws `config_conflict`.
 */
export async function checkOutFile({ path, force }: OutFile): Promise<void> {
  const refuse = (reason: string, cause?: unknown): Error =>
    configError('config_conflict', { reason: `--out: ${reason}` }, cause)
  // The link itself: a file takes the place of what is there, and /dev/stdout is a link that others need.
  const found = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw refuse(`${path}: ${fileTrouble(error)}`, error)
    return undefined
  })
  if (found?.isDirectory() === true) throw refuse(`${path} is a folder, expected a file`)
  if (found?.isSymbolicLink() === true) throw refuse(`${path} is a link, expected a file: name what it points to`)
  if (found?.isFile() === false) throw refuse(`${path} is a device or a pipe, expected a file`)
  if (found !== undefined && force === undefined) {
    throw refuse(`${path} exists already: choose another name, a file that is there is never overwritten`)
  }
  if (found !== undefined && force === false) {
    throw refuse(`${path} exists already: choose another name, or --force to replace it`)
  }
  const folder = await nearestFolder(dirname(resolve(path)))
  await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw refuse(`the folder ${folder}: ${fileTrouble(error)}`, error)
  })
}

/** The folder itself, or the first above it that is there. Throws as `checkOutFile` where that is no folder. */
async function nearestFolder(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined && dirname(path) !== path) return await nearestFolder(dirname(path))
  if (found?.isDirectory() !== false) return path
  throw configError('config_conflict', { reason: `--out: ${path} is a file, expected a folder` })
}

/** Makes the folder of an --out (mode 0700) where it is not there. Throws `config_conflict`. */
export async function makeOutFolder(path: string): Promise<void> {
  const folder = dirname(resolve(path))
  try {
    await makeFolder(folder)
  } catch (error) {
    throw configError('config_conflict', { reason: `--out: the folder ${folder}: ${fileTrouble(error)}` }, error)
  }
}

/**
 * Writes a file of mode 0600, whole or not at all, durable once it returns; what a broken run has left half written is replaced.
 * Throws as `checkOutFile`; `out_file_failed`.
 */
export async function writeOutFile(out: OutFile, content: AsyncIterable<string> | Iterable<string>): Promise<void> {
  await checkOutFile(out)
  const { path } = out
  await makeOutFolder(path)
  const temporary = join(dirname(path), `.${basename(path)}${TEMPORARY_SUFFIX}`)
  try {
    await rm(temporary, { force: true })
    // A link that somebody has put here is not followed.
    const file = await open(temporary, 'wx', 0o600)
    try {
      for await (const text of content) await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await checkOutFile(out)
    await rename(temporary, path)
    await syncDirectory(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    if (!(error instanceof Error && 'syscall' in error)) throw error
    throw nodeError('out_file_failed', { file: path, reason: fileTrouble(error) }, error)
  }
}
