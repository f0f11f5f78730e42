import { access, rename, unlink } from 'node:fs/promises'
import { createFileDurably } from '../keys/durable-file.ts'
import { UsageError } from './output.ts'

const MODE = 0o600

/** Throws UsageError if the file is there and may not be written over: asked before any work is done for it. */
export async function refuseExisting(option: string, file: string, force: boolean): Promise<void> {
  if (force) return
  const isThere = await access(file).then(
    () => true,
    () => false,
  )
  if (isThere) throw new UsageError(`${option}: ${file} is there already; --force writes over it`)
}

/** Writes a file of mode 0600, whole or not at all; over one that is there with `force` only. */
export async function writeOutputFile(file: string, content: string, force: boolean): Promise<void> {
  if (!force) {
    try {
      await createFileDurably(file, content, MODE)
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      throw new UsageError(`${file} is there already; --force writes over it`)
    }
  }
  const beside = `${file}.new-${process.pid}`
  await createFileDurably(beside, content, MODE)
  await rename(beside, file).catch(async (error: unknown) => {
    await unlink(beside)
    throw error
  })
}
