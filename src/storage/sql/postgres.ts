import {
  CompiledQuery,
  DEFAULT_MIGRATION_LOCK_TABLE,
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresDriver,
  sql,
  type DatabaseConnection,
  type PostgresDialectConfig,
} from 'kysely'
import type { MarketStore } from '../../ports/market-store.ts'
import { driverCodes, storeGuard } from '../failure.ts'
import { serialTasks } from '../serial.ts'
import { chunks } from './chunks.ts'
import type { RowBatch, SqlDialect, SqlValue, WriteTransaction } from './dialect.ts'
import { listenTo } from './postgres-listen.ts'
import { createPool, SCHEMA } from './postgres-pool.ts'
import type { Database, Schema } from './schema.ts'
import { createSqlStore } from './store.ts'

/**
 * Opens the source of record in a PostgreSQL database; its schema is made if it is not there, by one process at a time
 * (the writers' lock). What a call has returned is on the server's disk. Throws `store_failed`.
 *
 * @param url postgres://USER:PASSWORD@HOST:PORT/DATABASE; what it leaves out comes from where libpq takes it (PGPASSWORD,
 * the passfile, ...)
 */
export async function openPostgres(url: string): Promise<MarketStore> {
  const pool = await storeGuard('sql', isRetryable)('open', () => Promise.resolve(createPool(url)))()
  return await createSqlStore(new Kysely<Schema>({ dialect: new OneWriterDialect({ pool }) }), postgresDialect(url))
}

/**
 * A transaction starts with the writers' lock, which ends with it. The code behind `write` reads and then writes (what is
 * left of a corrected trade, of an order, the height of a fence), in several statements that must see what the writer
 * before has committed. READ COMMITTED under this lock gives each statement just that. SERIALIZABLE would abort ticks of
 * thousands of rows for conflicts that are none and have them done again. Readers are not held up, nor are those who fill the outbox.
 *
 * The lock is one of a table that holds nothing else and is there before the first transaction. Nobody takes it who may not change
 * that table, as a platform's role may not: an advisory lock anybody who may connect can take, and keep. The mode excludes itself,
 * and of all else vacuum alone.
 */
const BEGIN = `begin isolation level read committed;
  lock table ${SCHEMA}.${DEFAULT_MIGRATION_LOCK_TABLE} in share update exclusive mode`

class OneWriterDriver extends PostgresDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw(BEGIN))
    } catch (error) {
      await this.rollbackTransaction(connection)
      throw error
    }
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // Where it fails the pool closes the connection, and the server takes everything back. The caller is told what went
    // wrong before, not this.
    await super.rollbackTransaction(connection).catch(() => undefined)
  }
}

class OneWriterAdapter extends PostgresAdapter {
  /** Migrations are a transaction, which has the writers' lock; Kysely's own is an advisory one. */
  override acquireMigrationLock(): Promise<void> {
    return Promise.resolve()
  }
}

class OneWriterDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig

  constructor(config: PostgresDialectConfig) {
    super(config)
    this.#config = config
  }

  override createDriver(): OneWriterDriver {
    return new OneWriterDriver(this.#config)
  }

  override createAdapter(): OneWriterAdapter {
    return new OneWriterAdapter()
  }
}

/** The dialect of one store: its writers queue here, so that only one connection of the pool ever waits for the lock. */
export function postgresDialect(url: string): SqlDialect {
  const inTurn = serialTasks()
  return {
    migrationSchema: SCHEMA,
    sequenceType: sql`bigint generated always as identity primary key`,
    textType: sql`text collate "C"`,
    write: (db, work) => inTurn(() => db.transaction().execute(work)),
    insertRows: async (trx, batch) => {
      await insertMany(trx, batch, '')
    },
    insertNew: (trx, batch, returning) =>
      insertMany(trx, batch, ` on conflict do nothing returning ${returning.map(quoted).join(', ')}`),
    isUniqueViolation: (error) => driverCodes(error).includes('23505'),
    isRetryable,
    priceMicro: sql`cast(cast(price_per_kwh as numeric) * 1000000 as bigint)`,
    bytesOf: (column) => sql`convert_to(${sql.ref(column)}, 'UTF8')`,
    notifyOfInserts,
    listen: (channel, wake) => listenTo(url, channel, wake),
    erase,
    now: serverTime,
    beforeClose: () => Promise.resolve(),
  }
}

/**
 * What passes: connections that broke or cannot be made (class 08, 57P0x, the codes of the network), locks and deadlocks,
 * a server that has too much to do (53300, 53200), no room (53100) or has become a standby (25006).
 */
const RETRYABLE = /^(08...|57P0.|57014|25P03|25006|40001|40P01|55P03|53[123]00|E[A-Z]+)$/
/** What pg says without a code when a connection ends under it. */
const CONNECTION_ENDED = /^Connection terminated|^timeout exceeded when trying to connect|not queryable$/

export function isRetryable(error: unknown): boolean {
  if (driverCodes(error).some((code) => RETRYABLE.test(code))) return true
  return error instanceof Error && CONNECTION_ENDED.test(error.message)
}

/** Rows of one statement: what is written and sent in one turn of the event loop. */
const ROWS_AT_ONCE = 2_000

/**
 * One statement for a tick, however many rows most have; the table says of which types the values are.
 *
 * @param ending what follows the rows; the rows that it returns are given back
 */
async function insertMany<Returned>(
  trx: WriteTransaction,
  { table, shared, columns, rows }: RowBatch,
  ending: string,
): Promise<readonly Returned[]> {
  const names = columns.map(quoted).join(', ')
  const sharedNames = Object.keys(shared).map(quoted)
  const sharedValues = sharedNames.map((_, index) => `$${index + 2}`)
  const statement =
    `insert into "${table}" (${[...sharedNames, names].join(', ')}) ` +
    `select ${[...sharedValues, names].join(', ')} from json_populate_recordset(null::"${table}", $1)${ending}`
  const returned: Returned[] = []
  for (const part of chunks(rows, ROWS_AT_ONCE)) {
    const records = part.map((row) => Object.fromEntries(columns.map((name, index) => [name, jsonValue(row[index])])))
    const parameters = [JSON.stringify(records), ...Object.values(shared)]
    const query = CompiledQuery.raw(statement, parameters) as CompiledQuery<Returned>
    returned.push(...(await trx.executeQuery(query)).rows)
  }
  return returned
}

/**
 * Old versions of rows leave the tables, as far as no transaction can see them any more; not within one. FULL, which writes the
 * tables anew, would keep everybody out for as long as that takes (docs/security.md).
 */
async function erase(db: Database): Promise<void> {
  await sql`vacuum transactions, orders, order_trades, ticks, ledger_outbox, void_ticks`.execute(db)
}

async function serverTime(db: Database): Promise<number | undefined> {
  const { rows } = await sql<{ readonly now: bigint }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(db)
  return rows[0] && Number(rows[0].now)
}

/** Once for each statement, whatever the number of its rows; the server tells when, and only if, its transaction has committed. */
async function notifyOfInserts(db: Kysely<unknown>, table: keyof Schema, channel: string): Promise<void> {
  const name = sql.id(`${table}_written`)
  await sql`
    create function ${name}() returns trigger language plpgsql as $$
    begin
      perform pg_catalog.pg_notify(${sql.lit(channel)}, '');
      return null;
    end $$`.execute(db)
  await sql`
    create trigger ${name} after insert on ${sql.id(table)} for each statement execute function ${name}()`.execute(db)
}

const quoted = (name: string): string => `"${name}"`

/** PostgreSQL reads a number out of a JSON string digit for digit. */
const jsonValue = (value: SqlValue | undefined): string | number | null | undefined =>
  typeof value === 'bigint' ? String(value) : value
