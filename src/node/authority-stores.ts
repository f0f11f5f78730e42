import type { AuthorityConfig } from '../config/types.ts'
import { Chain } from '../engine/chain.ts'
import type { Pseudonyms } from '../engine/pseudonyms.ts'
import { openHighWaterFile } from '../keys/high-water-file.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { HighWater } from '../ports/high-water.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { LevelChainStore } from '../storage/level/chain-store.ts'
import { adviceFor } from './advice.ts'
import { openChainFiles } from './chain-files.ts'
import type { DataDirectory } from './data-directory.ts'
import { openMarketStore } from './market-store.ts'
import { keepNamedUsers } from './named-users.ts'
import { signerOf, type NodeSigner } from './node-signer.ts'
import { ensureAuthorityFiles, sayKeysAreOpened, type AuthorityFiles } from './node-files.ts'
import { bindSecret, pseudonymsOf, refuseNameless, votersOnChain } from './privacy.ts'
import { openDirectoryForStart } from './start-checks.ts'
import type { Shutdown } from './shutdown.ts'
import { createStoreWatch, type StoreWatch } from './store-watch.ts'
import { withPatience } from './waiting.ts'

/** What opening the stores takes. A test wraps one to make a fault happen at one step. */
export interface AuthorityStoresParts {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
  readonly shutdown: Shutdown
  readonly wrapMarketStore: ((store: MarketStore) => MarketStore) | undefined
  readonly wrapChainStore: ((store: ChainStore) => ChainStore) | undefined
}

/** Where everything of an authority lies, open. */
export interface AuthorityStores {
  readonly directory: DataDirectory
  readonly files: AuthorityFiles
  /** Has the signing keys, where they are not in files. */
  readonly signer: NodeSigner | undefined
  /** The source of record. */
  readonly store: MarketStore
  readonly chain: Chain
  /** What `chain` is over. */
  readonly level: LevelChainStore
  readonly highWater: HighWater
  /** Of a pseudonymous ledger. */
  readonly pseudonyms: Pseudonyms | undefined
  /** Watches both stores. */
  readonly storeWatch: StoreWatch
}

/** Opens the data directory and the database of an authority, and makes in them what a first start lacks. */
export async function openAuthorityStores(
  config: AuthorityConfig,
  { clock, randomBytes, logger, shutdown, wrapMarketStore, wrapChainStore }: AuthorityStoresParts,
): Promise<AuthorityStores> {
  const directory = await openDirectoryForStart(config)
  shutdown.opened('data directory', () => directory.close())
  const openSql = async (): Promise<MarketStore> => {
    const say = (line: string) => logger.warn({}, line)
    const opened = await withPatience('the database', say, () => openMarketStore(config.database))
    shutdown.opened('SQL', () => opened.close())
    return opened
  }
  // Files for another chain than a shared database has are not made at all.
  const sharedSql = config.database.kind === 'postgres' ? await openSql() : undefined
  const chainOfDatabase = await sharedSql?.chainId()
  sayKeysAreOpened(config, logger)
  const signer = await signerOf(config, { clock, logger })
  const files = await ensureAuthorityFiles(directory, config, { randomBytes, clock, logger, chainOfDatabase, signer })

  const sql = sharedSql ?? (await openSql())
  const pseudonyms = await nameUsers(sql, config, files, directory)
  const storeWatch = createStoreWatch(clock, logger, {
    failing: 'NOT TAKING TICKS',
    working: 'ticks are taken',
    advice: (error) => adviceFor(error, config),
  })
  const store = storeWatch.watched(wrapMarketStore?.(sql) ?? sql)
  const level = await openChainFiles(directory)
  shutdown.opened('LevelDB', () => level.close())
  const chain = await Chain.open(files.genesis, storeWatch.watched(wrapChainStore?.(level) ?? level))
  const highWater = await openHighWaterFile(directory.file('highWater'))
  shutdown.opened('high-water file', () => highWater.close())
  return { directory, files, signer, store, chain, level, highWater, pseudonyms, storeWatch }
}

/**
 * Ties the database to its chain, and to how users are called there; keeps whose devices the voters of the
 * genesis are.
 */
async function nameUsers(
  store: MarketStore,
  { genesis: { voters } }: AuthorityConfig,
  { pseudonymSecret, chainId, genesis }: AuthorityFiles,
  directory: DataDirectory,
): Promise<Pseudonyms | undefined> {
  await bindSecret(store, pseudonymSecret, chainId, directory)
  await store.bindChain(chainId)
  const pseudonyms = pseudonymsOf(pseudonymSecret, chainId, store)
  await keepNamedUsers(store, await votersOnChain(voters, pseudonyms))
  if (pseudonyms !== undefined) await refuseNameless(store, genesis)
  return pseudonyms
}
