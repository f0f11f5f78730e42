import { join } from 'node:path'
import Libsql from 'libsql'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { openSqlite } from '../../src/storage/sql/sqlite.ts'
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

/** A connection to the SQLite file of a ledger. */
export function sqlitePlatform(path: string): PlatformDatabase {
  const database = new Libsql(path, { timeout: 5_000 })
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
