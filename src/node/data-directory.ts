import { access, chmod, constants, lstat, readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isThere, makeFolder, TEMPORARY_SUFFIX } from '../keys/durable-file.ts'
import { strangerOf } from '../keys/secret-file.ts'
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
  recoveryPhrase: 'recovery-phrase.txt',
  pseudonymSecret: 'pseudonym-secret',
  /** Of a signer: LevelDB of what its keys have signed. */
  signed: 'signed',
} as const

/** Begins the names of the lock's files. */
export const LOCK = 'node-lock'
/** As `LOCK`, of who changes the tokens: the node itself does not. */
export const TOKENS_LOCK = 'tokens-lock'

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
 * Makes the directory (mode 0700) if it is not there, and takes it for this process. One that others may enter is closed to them, and
 * that is said; one of another user, or with links or with files of another user in the places of its own, is not taken. Throws
 * `data_directory_in_use` with the holder's pid, or `data_directory_unusable`.
 */
export async function openDataDirectory(
  directory: string,
  say: (line: string) => void = sayOnStderr,
): Promise<DataDirectory> {
  const path = resolve(directory)
  const lock = await lockDirectory(path, say)
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

async function lockDirectory(
  path: string,
  say: (line: string) => void,
): Promise<ProcessLock | { readonly holder: string }> {
  try {
    await makeFolder(path)
    if (!(await stat(path)).isDirectory()) throw new Error('it is a file, expected a folder')
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    await closeToOthers(path, say)
    return await takeProcessLock(join(path, LOCK))
  } catch (cause) {
    throw nodeError('data_directory_unusable', { directory: path, reason: await reasonOf(cause, path) }, cause)
  }
}

const sayOnStderr = (line: string): void => void process.stderr.write(`solar-node: ${line}\n`)

const OTHERS = 0o077
/** The names that this program writes to in the directory, whatever stands there. SQLite's are those where nobody names others. */
const WRITTEN = [
  ...Object.values(DATA_FILES),
  ...[LOCK, TOKENS_LOCK].flatMap((lock) => [`${lock}.db`, `${lock}.pid`]),
  ...['ledger.db', 'ledger.db-wal', 'ledger.db-shm'],
]

/**
 * Whoever may write into the directory of a node can give it keys of his own, or trades; whoever may read it sees all trades. Throws
 * an Error that says what to do.
 */
async function closeToOthers(path: string, say: (line: string) => void): Promise<void> {
  if (process.platform === 'win32') return
  const { uid, mode } = await stat(path)
  const stranger = strangerOf(uid)
  if (stranger !== undefined) throw new Error(stranger)
  if ((mode & OTHERS) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, '0')
    // A folder of root's in which this user may write: that of a mounted volume.
    await chmod(path, 0o700).catch((cause: unknown) => {
      throw new Error(`other users may enter it (mode ${shown}): name a folder within it, which this user makes`, {
        cause,
      })
    })
    say(
      `${path} was open to other users (mode ${shown}), it has mode 0700 now: if some of them are strangers, look at what is in it`,
    )
  }
  for (const name of WRITTEN) {
    const found = await lstat(join(path, name)).catch(() => undefined)
    if (found === undefined) continue
    if (found.isSymbolicLink())
      throw new Error(`${name} in it is a link, which is not followed: put there what it points to`)
    const owner = strangerOf(found.uid)
    if (owner !== undefined) throw new Error(`${name} in it: ${owner}`)
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
