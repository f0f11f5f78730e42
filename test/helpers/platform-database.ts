import { join } from 'node:path'
import Libsql from 'libsql'
import pg from 'pg'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { openPostgres } from '../../src/storage/sql/postgres.ts'
import { openSqlite } from '../../src/storage/sql/sqlite.ts'
import { tempDatabase } from './postgres.ts'
import { tempDir } from './temp.ts'

/** A row of the outbox as SQL shows it. */
export interface OutboxRow {
  readonly id: number
  readonly tick: string | null
  readonly tick_id: string | null
  readonly block_hash: string | null
  readonly done_at: number | null
  readonly error_code: string | null
  readonly error_reason: string | null
}

export interface ParkedRow {
  readonly id: number
  readonly error_code: string
  readonly error_reason: string
}

/** The ledger's database as a platform and an operator see it: from connections of their own, beside the node's. */
export interface PlatformDatabase {
  /** Writes rows into the outbox in one transaction, as a platform does. */
  write(...ticks: readonly (string | object)[]): Promise<void>
  rows(): Promise<readonly OutboxRow[]>
  /** Those that were refused. */
  parked(): Promise<readonly ParkedRow[]>
  /** One statement of an operator. */
  execute(statement: string): Promise<void>
  close(): Promise<void>
}

const COLUMNS = 'id, tick, tick_id, block_hash, done_at, error_code, error_reason'
const PARKED = 'select id, error_code, error_reason from ledger_outbox where error_code is not null order by id'
const textOf = (tick: string | object): string => (typeof tick === 'string' ? tick : JSON.stringify(tick))

/**
 * A connection to the SQLite file of a ledger.
 *
 * @param timeout milliseconds that it waits for the lock, in which this process stands still
 */
export function sqlitePlatform(path: string, timeout = 5_000): PlatformDatabase {
  const database = new Libsql(path, { timeout })
  return {
    async write(...ticks) {
      const insert = database.prepare('insert into ledger_outbox (tick) values (?)')
      database.exec('begin immediate')
      for (const tick of ticks) insert.run(textOf(tick))
      database.exec('commit')
      return Promise.resolve()
    },
    rows: () =>
      Promise.resolve(database.prepare(`select ${COLUMNS} from ledger_outbox order by id`).all() as OutboxRow[]),
    parked: () => Promise.resolve(database.prepare(PARKED).all() as ParkedRow[]),
    async execute(statement) {
      await Promise.resolve(statement).then((text) => database.exec(text))
    },
    close: () => Promise.resolve(void database.close()),
  }
}

/** bigint as a number: all of these tests are small. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((type: Parameters<typeof pg.types.getTypeParser>[0], format?: 'text'): unknown =>
    type === pg.types.builtins.INT8
      ? Number
      : pg.types.getTypeParser(type, format ?? 'text')) as pg.CustomTypesConfig['getTypeParser'],
}

/** A connection to the PostgreSQL database of a ledger; `url` says as whom. */
export async function connectPostgres(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, types })
  // The server may be restarted, or the database dropped, under it.
  client.on('error', () => undefined)
  await client.connect()
  await client.query('set search_path = solar_node, public')
  return client
}

/** A platform on the PostgreSQL database of a ledger. */
export async function postgresPlatform(url: string): Promise<PlatformDatabase> {
  const client = await connectPostgres(url)
  return {
    async write(...ticks) {
      await client.query('begin')
      for (const tick of ticks) await client.query('insert into ledger_outbox (tick) values ($1)', [textOf(tick)])
      await client.query('commit')
    },
    rows: async () => (await client.query<OutboxRow>(`select ${COLUMNS} from ledger_outbox order by id`)).rows,
    parked: async () => (await client.query<ParkedRow>(PARKED)).rows,
    execute: async (statement) => {
      await client.query(statement)
    },
    close: () => client.end(),
  }
}

/** A ledger's store with its outbox, in a place of its own that goes away with `cleanup`. */
export interface OpenedOutbox {
  readonly store: MarketStore
  readonly platform: PlatformDatabase
  cleanup(): Promise<void>
}

/** On a real SQLite file in a temporary folder. */
export async function sqliteOutbox(): Promise<OpenedOutbox> {
  const folder = await tempDir()
  const path = join(folder.path, 'ledger.db')
  const store = await openSqlite(path)
  const platform = sqlitePlatform(path)
  return {
    store,
    platform,
    async cleanup() {
      await platform.close()
      await store.close()
      await folder.remove()
    },
  }
}

/** In a database of its own on a real PostgreSQL. */
export async function postgresOutbox(): Promise<OpenedOutbox> {
  const database = await tempDatabase()
  const store = await openPostgres(database.url)
  const platform = await postgresPlatform(database.url)
  return {
    store,
    platform,
    async cleanup() {
      await platform.close()
      await store.close()
      await database.drop()
    },
  }
}
