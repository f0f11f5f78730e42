import { CompiledQuery, Kysely, sql } from 'kysely'
import type { MarketStore } from '../../ports/market-store.ts'
import { driverCodes, storeGuard } from '../failure.ts'
import { chunks } from './chunks.ts'
import type { RowBatch, SqlDialect, SqlValue, WriteTransaction } from './dialect.ts'
import type { Database, Schema } from './schema.ts'
import { connectHere, connectInThread, type SqliteConnection } from './sqlite-connection.ts'
import { kyselyOver } from './sqlite-driver.ts'
import { createSqlStore } from './store.ts'

/** Rows of one insert statement, largest first: any count is made of few statements that stay prepared. */
const INSERT_ROWS = [250, 50, 10, 1]

/**
 * Opens the source of record in a SQLite file, which is made if it is not there. What a call has returned is on the disk
 * (WAL, synchronous=FULL). Throws `store_failed`.
 */
export const openSqlite = (path: string): Promise<MarketStore> => openBy(connectInThread, path)

/** The same in memory, of this thread: gone once it is closed. */
export const openSqliteInMemory = (): Promise<MarketStore> => openBy(connectHere, ':memory:')

async function openBy(connect: (path: string) => Promise<SqliteConnection>, path: string): Promise<MarketStore> {
  const connection = await storeGuard('sql', isRetryable)('open', connect)(path)
  return await createSqlStore(new Kysely<Schema>({ dialect: kyselyOver(connection) }), sqliteDialect)
}

/**
 * Kysely gives SQLite one connection and hands it to one transaction or statement at a time, so nobody reads a
 * transaction that is half done.
 */
export const sqliteDialect: SqlDialect = {
  sequenceType: sql`integer primary key`,
  textType: sql`text`,
  write: (db, work) => db.transaction().execute(work),
  insertRows: async (trx, batch) => {
    await insertMany(trx, batch, '')
  },
  insertNew: (trx, batch, returning) =>
    insertMany(trx, batch, ` on conflict do nothing returning ${returning.join(', ')}`),
  isUniqueViolation: (error) =>
    driverCodes(error).some((code) => code === 'SQLITE_CONSTRAINT_PRIMARYKEY' || code === 'SQLITE_CONSTRAINT_UNIQUE'),
  isRetryable,
  priceMicro: sql`(
    cast(substr(price_per_kwh, 1, instr(price_per_kwh || '.', '.') - 1) as integer) * 1000000 +
    cast(substr(substr(price_per_kwh, instr(price_per_kwh || '.', '.') + 1) || '000000', 1, 6) as integer))`,
  // The driver ends the process at text that is not UTF-8.
  bytesOf: (column) => sql`cast(${sql.ref(column)} as blob)`,
  // SQLite tells nobody: who wants to know of rows asks again and again.
  notifyOfInserts: () => Promise.resolve(),
  listen: () => () => Promise.resolve(),
  erase: truncateLog,
  now: () => Promise.resolve(undefined),
  // So that the file alone is whole while the node is down.
  beforeClose: truncateLog,
}

/** Moves the log into the file, and empties it. */
async function truncateLog(db: Database): Promise<void> {
  await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db)
}

/** A lock passes, and a full disk when there is room again; a broken disk, or a file that is no database, does not. */
function isRetryable(error: unknown): boolean {
  return driverCodes(error).some((code) => /^SQLITE_(BUSY|LOCKED|PROTOCOL|FULL)(_|$)/.test(code))
}

/**
 * Multi-row VALUES as raw SQL: building 10,000 parameters with the query builder costs more than inserting them.
 *
 * @param ending what follows the values; the rows that it returns are given back
 */
async function insertMany<Returned>(
  trx: WriteTransaction,
  { table, shared, columns, rows }: RowBatch,
  ending: string,
): Promise<Returned[]> {
  const returned: Returned[] = []
  const sharedValues = Object.values(shared)
  let rest = rows
  for (const size of INSERT_ROWS) {
    const whole = rest.length - (rest.length % size)
    if (whole === 0) continue
    const statement = insertStatement(table, Object.keys(shared), columns, size) + ending
    for (const part of chunks(rest.slice(0, whole), size)) {
      const parameters: SqlValue[] = [...sharedValues]
      for (const row of part) parameters.push(...row)
      const query = CompiledQuery.raw(statement, parameters) as CompiledQuery<Returned>
      returned.push(...(await trx.executeQuery(query)).rows)
    }
    rest = rest.slice(whole)
  }
  return returned
}

/** `?1` is the first shared value in each row; a plain `?` takes the next number. */
function insertStatement(table: string, shared: readonly string[], columns: readonly string[], count: number): string {
  const row = `(${[...shared.map((_, index) => `?${index + 1}`), ...columns.map(() => '?')].join(', ')})`
  const names = [...shared, ...columns].join(', ')
  return `insert into ${table} (${names}) values ${Array.from({ length: count }, () => row).join(', ')}`
}
