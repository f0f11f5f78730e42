import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { configError } from '../config/errors.ts'
import type { DatabaseConfig } from '../config/types.ts'
import { isThere } from '../keys/durable-file.ts'
import { ledgerError } from '../ports/errors.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import type { MarketStore } from '../ports/market-store.ts'
import { parseCanonicalText } from '../protocol/canonical-json.ts'
import { decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import type { ReplicaStore } from '../storage/level/replica-store.ts'
import type { LightStore } from '../ports/light-store.ts'
import { advised, type Stores } from './advice.ts'
import { openLightFiles, openReplicaFiles } from './chain-files.ts'
import { DATA_FILES, openDataDirectory, type DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { readGenesisFile } from './genesis-file.ts'
import { openMarketStore } from './market-store.ts'

/** The data directory of an authority whose node is stopped, with its SQL open. */
export interface StoppedStores {
  readonly directory: DataDirectory
  readonly genesis: Genesis
  readonly store: MarketStore
}

/** The data directory of a validator whose node is stopped, with its LevelDB open. */
export interface StoppedReplica {
  readonly genesis: Genesis
  readonly replica: ReplicaStore
}

/**
 * Whose data directory it is, by the key in it. Makes nothing. Throws `config_conflict` where there is no such folder, or none of a node.
 */
export async function modeOf(data: string): Promise<Stores['mode']> {
  const names = await readdir(data).catch((error: unknown) => {
    throw configError('config_conflict', { reason: `data: ${data}: ${fileTrouble(error)}` }, error)
  })
  if (names.includes(DATA_FILES.validatorKey)) return 'validator'
  if (names.includes(DATA_FILES.voterKey)) return 'light'
  if (names.includes(DATA_FILES.genesis)) return 'authority'
  const reason = `data: ${data} is no data directory of a node that was started, it has no ${DATA_FILES.genesis}`
  throw configError('config_conflict', { reason })
}

/**
 * Holds the data directory of an authority and its SQL for as long as `work` takes. Throws as `modeOf`; `data_directory_unusable` for
 * another mode; `data_directory_in_use`; `config_conflict` where its SQL is not in the place given; `store_failed` and
 * `corrupt` with what to do; what `work` throws.
 *
 * @param name the command that wants them, for people
 */
export async function withStoppedStores<T>(
  name: string,
  data: string,
  database: DatabaseConfig,
  work: (stores: StoppedStores) => Promise<T>,
): Promise<T> {
  const mode = await modeOf(data)
  if (mode !== 'authority') throw withoutSql(name, data, mode)
  await refuseMissingFile(data, database)
  return await advised({ mode, dataDirectory: data, database }, () =>
    inDirectory(data, async (directory) => {
      const { genesis, chainId } = await readGenesisFile(directory.file('genesis'))
      const store = await openMarketStore(database)
      try {
        const stored = await store.chainId()
        if (stored !== chainId) throw ledgerError('wrong_chain', { chain_id: stored ?? 'none', expected: chainId })
        return await work({ directory, genesis, store })
      } finally {
        await store.close()
      }
    }),
  )
}

/** Holds the data directory of a validator for as long as `work` takes. Throws as `withStoppedStores`. */
export async function withStoppedReplica<T>(data: string, work: (stores: StoppedReplica) => Promise<T>): Promise<T> {
  return await advised({ mode: 'validator', dataDirectory: data }, () =>
    inDirectory(data, async (directory) => {
      const replica = await openReplicaFiles(directory)
      try {
        const text = await replica.genesis()
        if (text === undefined) {
          const reason = `data: this validator has not joined a chain yet, there is nothing in ${data}`
          throw configError('config_conflict', { reason })
        }
        return await work({ genesis: decodeGenesis(parseCanonicalText(text)), replica })
      } finally {
        await replica.close()
      }
    }),
  )
}

/** The data directory of a household whose node is stopped, with its LevelDB open. */
export interface StoppedLight {
  readonly genesis: Genesis
  readonly store: LightStore
}

/** Holds the data directory of a light node for as long as `work` takes. Throws as `withStoppedStores`. */
export async function withStoppedLight<T>(data: string, work: (stores: StoppedLight) => Promise<T>): Promise<T> {
  return await advised({ mode: 'light', dataDirectory: data }, () =>
    inDirectory(data, async (directory) => {
      const store = await openLightFiles(directory)
      try {
        const text = await store.genesis()
        if (text === undefined) {
          const reason = `data: the light node of ${data} has not joined a chain yet: start it first`
          throw configError('config_conflict', { reason })
        }
        return await work({ genesis: decodeGenesis(parseCanonicalText(text)), store })
      } finally {
        await store.close()
      }
    }),
  )
}

async function inDirectory<T>(data: string, work: (directory: DataDirectory) => Promise<T>): Promise<T> {
  const directory = await openDataDirectory(data)
  try {
    return await work(directory)
  } finally {
    directory.close()
  }
}

/** SQLite would make the file. */
async function refuseMissingFile(data: string, database: DatabaseConfig): Promise<void> {
  if (database.kind === 'postgres' || (await isThere(database.path))) return
  const isDefault = database.path === join(data, 'ledger.db')
  const reason = isDefault
    ? `database: ${data} has a chain whose SQL is not in it (no ledger.db): give the --database (or SOLAR_DATABASE) that its node runs ` +
      'with, such as postgres://USER@HOST/DATABASE, or put ledger.db back from a backup'
    : `database: there is no file ${database.path}`
  throw configError('config_conflict', { reason })
}

/** Why a node without SQL cannot do what takes SQL. */
export function withoutSql(name: string, directory: string, mode: 'light' | 'validator'): Error {
  const key = mode === 'light' ? DATA_FILES.voterKey : DATA_FILES.validatorKey
  const reason =
    mode === 'light'
      ? `it belongs to a household (it has ${key}), which keeps its own headers and trades alone: ${name} takes ${name === 'rebuild' ? 'an authority' : 'an authority or a validator'}`
      : `it belongs to a node without SQL (it has ${key}), which syncs anew from its peers: keep ${key}, ` +
        `and ${DATA_FILES.level}/ as long as it can be read, as the votes of this node are in it`
  return nodeError('data_directory_unusable', { directory, reason })
}
