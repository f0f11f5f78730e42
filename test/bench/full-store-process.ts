import { hash } from 'node:crypto'
import { join } from 'node:path'
import Libsql from 'libsql'
import { auditDirectory } from '../../src/node/audit.ts'
import { rebuildDirectory } from '../../src/node/rebuild.ts'

/** One pass over a full store in a process of its own, so that its memory is that of this work alone. */
export interface Pass {
  readonly transactions: number
  readonly seconds: number
  /** The most that was resident, in MB of 10^6 bytes. */
  readonly megabytes: number
}

const nothing = (): void => undefined

/** The least that a check of every trade takes: each row is read and its bytes are hashed. */
function readAndHash(database: string): { readonly transactions: number } {
  const db = new Libsql(database)
  db.defaultSafeIntegers(true)
  let transactions = 0
  for (const row of db.prepare('select * from transactions').raw(true).iterate() as Iterable<readonly unknown[]>) {
    hash('sha256', row.join('","'))
    transactions += 1
  }
  db.close()
  return { transactions }
}

const [work = '', folder = ''] = process.argv.slice(2)
const database = join(folder, 'ledger.db')
const startedAt = performance.now()
const { transactions } = await (work === 'audit'
  ? auditDirectory(folder, { kind: 'sqlite', path: database }, nothing)
  : work === 'rebuild'
    ? rebuildDirectory(folder, { kind: 'sqlite', path: database }, nothing)
    : Promise.resolve(readAndHash(database)))
const seconds = (performance.now() - startedAt) / 1_000
const pass: Pass = { transactions, seconds, megabytes: (process.resourceUsage().maxRSS * 1_024) / 1e6 }
process.stdout.write(JSON.stringify(pass))
