import { open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isThere, syncDirectory } from '../keys/durable-file.ts'

/**
 * How one LevelDB takes the place of another, so that a crash at any moment leaves a whole one: it is written to `.building`
 * beside; once it is whole and on the disk one rename makes it `.rebuilt`, and from then on it is the one that counts: whoever
 * opens the data directory next finishes what is left to do.
 */
const suffixed = (level: string) => ({
  building: `${level}.building`,
  rebuilt: `${level}.rebuilt`,
  replaced: `${level}.replaced`,
})

/** Where the LevelDB is written that shall take the place of `level`. */
export const buildingFolder = (level: string): string => suffixed(level).building

/** Lets the LevelDB in `buildingFolder`, whole and closed, take the place of `level`, if that is there. */
export async function takeRebuilt(level: string): Promise<void> {
  const { building, rebuilt } = suffixed(level)
  await syncFolder(building)
  await rename(building, rebuilt)
  await syncDirectory(dirname(level))
  await settleLevelFolders(level)
}

/** Finishes or undoes what a crash has left of a rebuild. The caller holds the lock of the data directory. */
export async function settleLevelFolders(level: string): Promise<void> {
  const { building, rebuilt, replaced } = suffixed(level)
  if (await isThere(rebuilt)) {
    if (await isThere(level)) {
      await removeFolder(replaced)
      await rename(level, replaced)
    }
    await rename(rebuilt, level)
    await syncDirectory(dirname(level))
  }
  await removeFolder(replaced)
  await removeFolder(building)
}

const removeFolder = (path: string): Promise<void> => rm(path, { recursive: true, force: true })

/** Appends to LevelDB are not synced: after this a power cut takes nothing of the folder any more. */
async function syncFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = await open(join(folder, name), 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }
  await syncDirectory(folder)
}
