import { writeFile } from 'node:fs/promises'
import Database from 'libsql'
import { readStart } from '../files/read-start.ts'

/**
 * One process at a time, by a lock that the kernel gives back when its holder dies, however it dies: an exclusive
 * transaction on an empty SQLite file, held as long as the process lives. There is no stale lock to judge, so neither a
 * race of two starts nor a pid used again can fool it. The pid beside it is for the message alone.
 */
export interface ProcessLock {
  release(): void
}

const LOCK_FILE_SUFFIX = '.db'
const PID_FILE_SUFFIX = '.pid'
/** A holder that is just going away gets this long. */
const WAIT_MS = 100

/**
 * Takes the lock named `path` (makes `path`.db and `path`.pid), or gives who holds it. The pid lies in a file of its own:
 * opening and closing the locked file in this process would drop the kernel's lock.
 */
export async function takeProcessLock(path: string): Promise<ProcessLock | { readonly holder: string }> {
  const database = new Database(`${path}${LOCK_FILE_SUFFIX}`, { timeout: WAIT_MS })
  try {
    // Nothing is ever written, so the journal, which would lie beside the lock, is not needed.
    database.exec('PRAGMA journal_mode = MEMORY')
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { code?: unknown }).code !== 'SQLITE_BUSY') throw error
    return { holder: await describeHolder(`${path}${PID_FILE_SUFFIX}`) }
  }
  try {
    await writeFile(`${path}${PID_FILE_SUFFIX}`, `${process.pid}\n`, { mode: 0o600 })
  } catch (error) {
    database.close()
    throw error
  }
  return { release: () => void database.close() }
}

async function describeHolder(pidFile: string): Promise<string> {
  const text = await readStart(pidFile, 20).then(String, () => '')
  const pid = /^[1-9][0-9]*\n$/.test(text) ? text.trim() : undefined
  return pid === undefined ? 'another process' : `another process (pid ${pid})`
}
