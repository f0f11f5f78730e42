import { join } from 'node:path'
import type { ChainStore } from '../../src/ports/chain-store.ts'
import type { LightStore } from '../../src/ports/light-store.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { openArchiveFiles } from '../../src/storage/archive/archive-files.ts'
import { openChainStore, type LevelChainStore } from '../../src/storage/level/chain-store.ts'
import { openLightStore } from '../../src/storage/level/light-store.ts'
import { openReplicaStore, type ReplicaStore } from '../../src/storage/level/replica-store.ts'
import { openPostgres } from '../../src/storage/sql/postgres.ts'
import { openSqlite } from '../../src/storage/sql/sqlite.ts'
import { tempDatabase } from './postgres.ts'
import { tempDir } from './temp.ts'

/** A store in a place of its own that goes away with `cleanup`. */
export interface OpenedStore<Store> {
  readonly store: Store
  /** Closes the store and opens the same place again. */
  reopen(): Promise<Store>
  /** Closes whatever is open and deletes the place. */
  cleanup(): Promise<void>
}

interface Closable {
  close(): Promise<void>
}

async function openAt<Store extends Closable>(
  place: string,
  open: (place: string) => Promise<Store>,
  removePlace: () => Promise<void>,
): Promise<OpenedStore<Store>> {
  const store = await open(place)
  let current = store
  return {
    store,
    async reopen() {
      await current.close()
      current = await open(place)
      return current
    },
    async cleanup() {
      await current.close()
      await removePlace()
    },
  }
}

async function openInTempDir<Store extends Closable>(
  name: string,
  open: (path: string) => Promise<Store>,
): Promise<OpenedStore<Store>> {
  const folder = await tempDir()
  return await openAt(join(folder.path, name), open, () => folder.remove())
}

/** A real SQLite file in a temporary folder. */
export const tempSqlite = (): Promise<OpenedStore<MarketStore>> => openInTempDir('market.sqlite', openSqlite)
/** A database of its own on a real PostgreSQL. */
export async function tempPostgres(): Promise<OpenedStore<MarketStore>> {
  const database = await tempDatabase()
  return await openAt(database.url, openPostgres, () => database.drop())
}
/** A real LevelDB with blocks in a temporary folder. */
export const tempChainStore = (): Promise<OpenedStore<LevelChainStore>> => openInTempDir('level', openChainStore)
/** The same with an archive, into which each append moves all that fills a file. */
export const tempArchivedChainStore = (): Promise<OpenedStore<ChainStore>> =>
  openInTempDir('level', async (path) => {
    const files = await openArchiveFiles(`${path}-archive`)
    const store = await openChainStore(path, { files, limits: { maxBlocks: 3, maxText: 10_000 } })
    return {
      ...store,
      async append(...block) {
        await store.append(...block)
        await store.archive(await store.size())
      },
    }
  })
/** A real LevelDB of a light node in a temporary folder. */
export const tempLightStore = (): Promise<OpenedStore<LightStore>> => openInTempDir('level', openLightStore)
/** A real LevelDB of a validator in a temporary folder. */
export const tempReplicaStore = (): Promise<OpenedStore<ReplicaStore>> => openInTempDir('level', openReplicaStore)
