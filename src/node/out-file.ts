import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { configError } from '../config/errors.ts'
import { syncDirectory, TEMPORARY_SUFFIX } from '../keys/durable-file.ts'
import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import { nodeError } from './errors.ts'

/** A file that a command writes for its user. */
export interface OutFile {
  readonly path: string
  /** Whether a file that is there may be replaced. */
  readonly force: boolean
}

/**
 * Refuses an --out that is there (without force), or whose folder is not, before any work is done for it. Throws `config_conflict`.
 */
export async function checkOutFile({ path, force }: OutFile): Promise<void> {
  const refuse = (reason: string, cause?: unknown): Error =>
    configError('config_conflict', { reason: `--out: ${reason}` }, cause)
  const found = await stat(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw refuse(`${path}: ${fileTrouble(error)}`, error)
    return undefined
  })
  if (found?.isDirectory() === true) throw refuse(`${path} is a folder, expected a file`)
  if (found !== undefined && !force)
    throw refuse(`${path} exists already: choose another name, or --force to replace it`)
  const folder = dirname(path)
  await readdir(folder).catch((error: unknown) => {
    throw refuse(`the folder ${folder}: ${fileTrouble(error)}`, error)
  })
}

/**
 * Writes a file of mode 0600, whole or not at all, durable once it returns; what a broken run has left half written is replaced.
 * Throws as `checkOutFile`; `out_file_failed`.
 */
export async function writeOutFile(out: OutFile, content: AsyncIterable<string> | Iterable<string>): Promise<void> {
  await checkOutFile(out)
  const { path } = out
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
