import type { DatabaseConfig } from '../config/types.ts'
import type { MarketStore } from '../ports/market-store.ts'

/** Opens the source of record; only the driver that is needed is loaded. Throws `store_failed`. */
export async function openMarketStore(database: DatabaseConfig): Promise<MarketStore> {
  switch (database.kind) {
    case 'sqlite': {
      const { openSqlite } = await import('../storage/sql/sqlite.ts')
      return await openSqlite(database.path)
    }
    case 'postgres': {
      const { openPostgres } = await import('../storage/sql/postgres.ts')
      return await openPostgres(database.url)
    }
  }
}
