import { access, constants, readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isThere, makeFolder, TEMPORARY_SUFFIX } from '../keys/durable-file.ts'
import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import { isDiskFull } from './disk.ts'
import { nodeError } from './errors.ts'
import { settleLevelFolders } from './level-folders.ts'
import { takeProcessLock, type ProcessLock } from './process-lock.ts'

/** What lies in a data directory. LevelDB has `level/` to itself, `archive/` the bodies of blocks that were moved out of it. */
export const DATA_FILES = {
  authorityKey: 'authority.key',
  validatorKey: 'validator.key',
  voterKey: 'voter.key',
  peerKey: 'peer.key',
  genesis: 'genesis.json',
  tokens: 'tokens.json',
  tokenHashes: 'token-hashes.json',
  level: 'level',
  archive: 'archive',
  highWater: 'high-water',
} as const

/** Begins the names of the lock's files. */
export const LOCK = 'node-lock'

/** A data directory that this process holds. Keep it until `close`: the lock lives as long as this object. */
export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  /** Absolute path of something in it. */
  file(name: keyof typeof DATA_FILES): string
  has(name: keyof typeof DATA_FILES): Promise<boolean>
  /** Gives the directory back. Close the stores in it first. */
  close(): void
}

/**
 * Makes the directory (mode 0700) if it is not there, and takes it for this process. Throws `data_directory_in_use` with
 * the holder's pid, or `data_directory_unusable`.
 */
export async function openDataDirectory(directory: string): Promise<DataDirectory> {
  const path = resolve(directory)
  const lock = await lockDirectory(path)
  if ('holder' in lock) throw nodeError('data_directory_in_use', { directory: path, holder: lock.holder })
  const file = (name: keyof typeof DATA_FILES): string => join(path, DATA_FILES[name])
  try {
    await removeLeftovers(path)
    await settleLevelFolders(file('level'))
  } catch (cause) {
    lock.release()
    throw nodeError('data_directory_unusable', { directory: path, reason: await reasonOf(cause, path) }, cause)
  }
  return {
    path,
    file,
    has: (name) =>
      access(file(name)).then(
        () => true,
        () => false,
      ),
    close: () => lock.release(),
  }
}

async function lockDirectory(path: string): Promise<ProcessLock | { readonly holder: string }> {
  try {
    await makeFolder(path)
    if (!(await stat(path)).isDirectory()) throw new Error('it is a file, expected a folder')
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    return await takeProcessLock(join(path, LOCK))
  } catch (cause) {
    throw nodeError('data_directory_unusable', { directory: path, reason: await reasonOf(cause, path) }, cause)
  }
}

async function reasonOf(cause: unknown, path: string): Promise<string> {
  const code = codeOf(cause)
  if (code === 'EEXIST' || code === 'ENOTDIR') return 'it, or a part of its path, is a file, expected a folder'
  if (code === 'ENOENT')
    return 'it is not there and cannot be made, the file system takes no folder here: name another one'
  if (isDiskFull(cause, path)) return fileTrouble(Object.assign(new Error(), { code: 'ENOSPC' }))
  // SQLite, which keeps the lock, says no more.
  if (!/^(EACCES|EPERM|SQLITE_(CANTOPEN|READONLY|PERM))/.test(code)) return fileTrouble(cause)
  const owner = await stat(path).catch(() => undefined)
  if (owner === undefined) return await whyNotMade(path)
  const user = process.getuid?.()
  const whose = user === undefined ? '' : `it belongs to user ${owner.uid}, this is user ${user}; `
  return `nothing can be written into it: ${whose}run as its owner, or chown -R it`
}

/** The first folder above that is there does not take one. */
async function whyNotMade(path: string): Promise<string> {
  let above = dirname(path)
  while (above !== dirname(above) && !(await isThere(above))) above = dirname(above)
  return `it is not there, and this user may not make it in ${above}: name another folder, or make this one for this user first`
}

/** What a kill left half written. It may hold a key that was never used; nobody else writes here while the lock is ours. */
async function removeLeftovers(path: string): Promise<void> {
  const names = await readdir(path)
  await Promise.all(names.filter((name) => name.endsWith(TEMPORARY_SUFFIX)).map((name) => unlink(join(path, name))))
}
