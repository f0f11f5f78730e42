import { randomUUID } from 'node:crypto'
import { access, link, mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { codeOf } from '../ports/file-trouble.ts'

/** Ends the names of files that a crash may leave half written; nobody reads them. */
export const TEMPORARY_SUFFIX = '.tmp'

/**
 * Creates `path` with this content, whole or not at all, and never over a file that is there: written beside, flushed to
 * the disk, then linked to its name, which fails if the name is taken. Durable once it returns. Rejects with EEXIST.
 */
export async function createFileDurably(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomUUID()}${TEMPORARY_SUFFIX}`
  const file = await open(temporary, 'wx', mode)
  try {
    try {
      await file.writeFile(content, 'utf8')
      await file.sync()
    } finally {
      await file.close()
    }
    await link(temporary, path)
  } finally {
    await unlink(temporary)
  }
  await syncDirectory(dirname(path))
}

/**
 * Makes a folder of mode 0700, and those above it that are missing. Something that is there is left as it is, be it a folder or not. One by
 * one: the `recursive` of mkdir never ends where a file system takes no folders (/proc). Rejects with the system's error.
 */
export async function makeFolder(path: string): Promise<void> {
  if (await isThere(path)) return
  const parent = dirname(path)
  if (parent !== path) await makeFolder(parent)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}

/** Whether something has this name. */
export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** Makes new names in `directory` durable. Windows has no such call and needs none. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
