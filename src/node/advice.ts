import { join } from 'node:path'
import type { DatabaseConfig } from '../config/types.ts'
import { isSolarError, SolarError } from '../protocol/errors.ts'
import { DATA_FILES } from './data-directory.ts'
import { freeBytes, isDiskFull } from './disk.ts'

/** Whose stores they are, and where. */
export interface Stores {
  readonly mode: 'authority' | 'light' | 'validator'
  readonly dataDirectory: string
  /** Of an authority. */
  readonly database?: DatabaseConfig
}

/** Runs `work`; an error of a store that ends it keeps its code, and says what to do. */
export async function advised<T>(stores: Stores, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const advice = adviceFor(error, stores)
    if (advice === undefined || !isSolarError(error)) throw error
    throw new SolarError(error.code, `${error.message}: ${advice}`, error.fields, error)
  }
}

/** What an operator can do about an error of a store; `undefined` where nobody knows, or the error says it itself. */
export function adviceFor(error: unknown, stores: Stores): string | undefined {
  if (!isSolarError(error)) return undefined
  const { store, place, reason } = error.fields as Readonly<Record<'store' | 'place' | 'reason', string | undefined>>
  if (error.code === 'corrupt') return adviceForDamage(place ?? '', stores)
  if (error.code === 'wrong_chain') {
    return `each data directory has a database of its own: check --data (${stores.dataDirectory}) and --database`
  }
  if (error.code !== 'store_failed') return undefined
  if (isDiskFull(error, stores.dataDirectory)) return diskFull(stores.dataDirectory)
  const text = reason ?? ''
  if (/permission denied|\bE(ACCES|PERM|ROFS)\b/i.test(text) && store !== 'sql') {
    return `this user may not use all of ${stores.dataDirectory}: run as its owner, or chown -R it`
  }
  if (store === 'sql') return adviceForSql(text, stores)
  if (store === 'level' && /\/LOCK\b|already held by process/.test(text)) {
    return 'another program has it open: stop that first'
  }
  return store === 'level' && DAMAGED_LEVEL.test(text) ? adviceForLevel(stores) : undefined
}

/** What LevelDB says of files that are not as it has written them. */
const DAMAGED_LEVEL = /corrupt|missing files|checksum|invalid argument|not found|no such file|bad (block|record)/i

function diskFull(folder: string): string {
  const free = freeBytes(folder)
  const left = free === undefined ? '' : ` (${Math.floor(free / 1024)} KiB left)`
  return `the disk of ${folder} is full${left}: make room, nothing that was committed is lost`
}

function adviceForDamage(place: string, stores: Stores): string | undefined {
  if (/^(level|chain store|archive|LevelDB)\b/i.test(place)) return adviceForLevel(stores)
  if (place === join(stores.dataDirectory, DATA_FILES.highWater)) {
    return (
      'put it back from a backup; if this SQL is certainly the newest that this authority has sealed with, ' +
      'delete the file: the start makes it anew'
    )
  }
  if (!place.startsWith('SQL')) return undefined
  return `solar-node audit --data ${stores.dataDirectory} names all that differs; put a backup of this SQL back`
}

/** LevelDB is derived data, everywhere: each mode has where to get it from again. */
function adviceForLevel({ mode, dataDirectory, database }: Stores): string {
  const level = join(dataDirectory, DATA_FILES.level)
  switch (mode) {
    case 'authority': {
      const sql = database?.kind === 'postgres' ? ' with the same --database' : ''
      return `LevelDB is damaged, SQL has it all: solar-node rebuild --data ${dataDirectory}${sql} makes it anew`
    }
    case 'light':
      return (
        `LevelDB is damaged: delete ${level} (keep ${DATA_FILES.voterKey}) and start again, ` +
        'peers have the headers, and the proofs of own trades are fetched anew'
      )
    case 'validator':
      return (
        `LevelDB is damaged: put ${level} back from a backup, or move it away (keep ${DATA_FILES.validatorKey}) and start ` +
        'again, then it syncs anew from its peers'
      )
  }
}

function adviceForSql(reason: string, stores: Stores): string | undefined {
  const { database } = stores
  if (database?.kind === 'postgres') return adviceForPostgres(reason)
  const file = database?.path ?? join(stores.dataDirectory, 'ledger.db')
  if (/not a database|malformed|SQLITE_CORRUPT|SQLITE_NOTADB/i.test(reason)) {
    return `put a backup of ${file} back: the start fetches what it lacks from level/ and from peers`
  }
  if (/unable to open|readonly|read-only|SQLITE_(CANTOPEN|READONLY)/i.test(reason)) {
    return `${file} and its folder must be there, and writable for this user`
  }
  if (/locked|busy/i.test(reason)) return `another program has ${file} open for writing: stop it first`
  return undefined
}

const POSTGRES: readonly (readonly [RegExp, string])[] = [
  [
    /empty password|password must be|no password/i,
    'the server asks for a password: give it in SOLAR_DATABASE (postgres://USER:PASSWORD@HOST/DATABASE), in PGPASSWORD or in a passfile',
  ],
  [
    /password authentication failed|authentication failed/i,
    'check user and password; special characters of a password are percent-encoded in the URL (@ is %40, # is %23, / is %2F)',
  ],
  [
    /pg_hba\.conf/i,
    'the server does not let this user, address or encryption in: see its pg_hba.conf, or add ?sslmode=require',
  ],
  [/ENOTFOUND|EAI_AGAIN|ENODATA/, 'check the name of the host in --database'],
  [
    /lock timeout/,
    'another program holds a lock on the tables of this ledger: select pg_blocking_pids(pid), query from pg_stat_activity ' +
      'shows which; end it, then try again',
  ],
  [/ECONNREFUSED/, 'check host and port in --database, and that PostgreSQL runs there'],
  [/timeout|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/i, 'check host and port in --database, and what lies between'],
  [/database ".*" does not exist/, 'create it first (createdb), or check the name in --database'],
  [/role ".*" does not exist/, 'create it first (createuser), or check the user in --database'],
  [/permission denied/, 'this user must own its schema: grant create on database ... to ...'],
  [/SSL|TLS|certificate/i, 'see sslmode and sslrootcert in docs/operations.md'],
]

const adviceForPostgres = (reason: string): string | undefined =>
  POSTGRES.find(([pattern]) => pattern.test(reason))?.[1]
