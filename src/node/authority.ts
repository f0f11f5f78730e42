import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AuthorityConfig } from '../config/types.ts'
import { createAuthorityLedger } from '../engine/authority-ledger.ts'
import { serveAuthorityPeers } from '../engine/authority-peers.ts'
import { Chain } from '../engine/chain.ts'
import { createEventHub } from '../engine/events.ts'
import { createSealer } from '../engine/sealer.ts'
import { createTickRunner } from '../engine/tick-runner.ts'
import { createVoteCounter } from '../engine/vote-counter.ts'
import { createMetrics } from '../http/metrics.ts'
import { createHttpServer } from '../http/server.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { openChainStore } from '../storage/level/chain-store.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { openDataDirectory } from './data-directory.ts'
import type { OnPart } from './lifecycle.ts'
import { logLedgerEvent } from './event-log.ts'
import { createLogger } from './logger.ts'
import { ensureAuthorityFiles } from './node-files.ts'
import { startHttp } from './http-address.ts'
import { createShutdown } from './shutdown.ts'
import { runEvery } from './tick-timer.ts'
import { VERSION } from './version.ts'

/** What a program or a test may replace. A wrapped store or gossip is how a test makes a fault happen at one step. */
export interface AuthorityParts {
  readonly clock?: Clock
  readonly randomBytes?: RandomBytes
  readonly logger?: Logger
  readonly wrapMarketStore?: (store: MarketStore) => MarketStore
  readonly wrapChainStore?: (store: ChainStore) => ChainStore
  readonly wrapGossip?: (gossip: Gossip) => Gossip
}

/** What a started authority tells its operator. */
export interface AuthorityReport {
  readonly chainId: Hash
  /** True if this start made the chain. */
  readonly firstStart: boolean
  readonly dataDirectory: string
  /** True if tokens.json was written just now. */
  readonly tokensCreated: boolean
  /** http://host:port, null if HTTP is off. */
  readonly httpUrl: string | null
  readonly multiaddrs: readonly string[]
  readonly tipHeight: number | null
}

export interface AuthorityNode {
  start(): Promise<AuthorityReport>
  /** Finishes the tick in hand, then closes in reverse order. */
  stop(onPart?: OnPart): Promise<void>
  /** The ledger of a started authority. Throws before. */
  readonly ledger: Ledger
}

/** The authority: SQL, chain, network and HTTP put together. Nothing is opened before `start`. */
export function createAuthority(config: AuthorityConfig, parts: AuthorityParts = {}): AuthorityNode {
  const clock = parts.clock ?? systemClock
  const randomBytes = parts.randomBytes ?? systemRandomBytes
  const logger = parts.logger ?? createLogger({ level: config.logLevel, pretty: process.stdout.isTTY })
  const shutdown = createShutdown(logger)
  let started: Ledger | undefined

  async function open(): Promise<AuthorityReport> {
    const directory = await openDataDirectory(config.dataDirectory)
    shutdown.opened('data directory', () => directory.close())
    const files = await ensureAuthorityFiles(directory, config, { randomBytes, clock })
    const { genesis, chainId, authorityKey } = files
    refuseUnsupported(genesis)

    const sql = await openSqlite(config.database.path)
    shutdown.opened('SQL', () => sql.close())
    await sql.bindChain(chainId)
    const store = parts.wrapMarketStore?.(sql) ?? sql
    const level = await openChainStore(directory.file('level'))
    shutdown.opened('LevelDB', () => level.close())
    const chain = await Chain.open(genesis, parts.wrapChainStore?.(level) ?? level)

    const network = await createNodeNetwork({
      chainId,
      privateKey: files.peerSeed,
      listen: config.listen,
      peers: config.peers,
      hub: true,
      clock,
      logger,
    })
    const gossip = parts.wrapGossip?.(network.gossip) ?? network.gossip
    const events = createEventHub(logger)
    const minerId = authorityIdOf(genesis, authorityKey.publicKey)
    const sealer = createSealer({ chain, store, gossip, events, clock, logger, minerId, key: authorityKey })
    const { priceBand } = config
    const runner = createTickRunner({
      chain,
      store,
      sealer,
      clock,
      randomBytes,
      ...(priceBand && { priceBand: { floorMicro: priceBand.feedInMicro, ceilingMicro: priceBand.retailMicro } }),
    })
    const votes = createVoteCounter({ chain, store, events, clock, logger })
    const ledger = createAuthorityLedger({
      chain,
      store,
      runner,
      votes,
      events,
      clock,
      minTradeMicro: config.minTradeMicro,
      users: usersOf(config),
    })
    serveAuthorityPeers({ chain, ledger, votes, gossip, requests: network.requests, clock, logger })
    events.subscribe((event) => logLedgerEvent(event, logger))

    await network.start()
    shutdown.opened('network', () => network.stop())
    await runner.recover()
    shutdown.opened('tick in hand', () => runner.idle())

    const metrics = createMetrics()
    metrics.setHeights(chain.tip?.header.height ?? null, chain.tip?.header.height ?? null)
    metrics.watchPeers(() => network.requests.peers().length)
    events.subscribe((event) => metrics.recordEvent(event, clock.now()))
    const node = () => ({
      mode: 'authority' as const,
      chain_id: chainId,
      peer_id: network.peerId,
      multiaddrs: network.multiaddrs(),
      version: VERSION,
    })
    const http = await startHttp(config, (address) =>
      createHttpServer(
        { ledger, node, readiness: () => [], tokens: files.tokens.hashes, metrics, clock, logger },
        { ...address, rateLimitPerSecond: config.rateLimitPerSecond, webRoot: webRoot() },
      ),
    )
    if (http !== null) shutdown.opened('HTTP', () => http.stop())
    if (config.tickIntervalMs !== 'off') {
      shutdown.opened(
        'tick timer',
        runEvery(config.tickIntervalMs, (request) => runner.run(request), { clock, logger }),
      )
    }
    started = ledger
    return {
      chainId,
      firstStart: files.firstStart,
      dataDirectory: directory.path,
      tokensCreated: files.tokens.created,
      httpUrl: http?.url ?? null,
      multiaddrs: network.multiaddrs(),
      tipHeight: chain.tip?.header.height ?? null,
    }
  }

  return {
    async start() {
      try {
        return await open()
      } catch (error) {
        await shutdown.run().catch(() => undefined)
        throw error
      }
    },
    stop: (onPart) => shutdown.run(onPart),
    get ledger() {
      if (started === undefined) throw new Error('the authority is not started')
      return started
    },
  }
}

/** The id under which the genesis registers this authority's key. */
function authorityIdOf(genesis: Genesis, publicKey: string): string {
  const entry = genesis.registry.find((known) => known.role === 'authority' && known.public_key === publicKey)
  if (entry === undefined) {
    throw ledgerError('not_ready', { reason: `the genesis registers no authority with the key ${publicKey}` })
  }
  return entry.id
}

/** The built page, where it is built: beside the built code, or in dist/ of a checkout. */
function webRoot(): string | undefined {
  const places = ['../web/', '../../dist/web/'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
  return places.find((path) => existsSync(join(path, 'index.html')))
}

/** A policy that is in the genesis and not in force would be worse than none. Throws `not_ready`. */
function refuseUnsupported({ finality, seal }: Genesis): void {
  if (finality.policy !== 'authority') {
    throw ledgerError('not_ready', {
      reason: `this version finalizes by policy authority only, the genesis has ${finality.policy}`,
    })
  }
  if (seal !== 'authority')
    throw ledgerError('not_ready', { reason: `this version seals by authority only, the genesis has ${seal}` })
}

/** Voters whose platform user has another name than they. */
function usersOf(config: AuthorityConfig): ReadonlyMap<string, string> {
  return new Map(
    config.genesis.voters.flatMap(({ id, userId }) => (userId === undefined ? [] : [[id, userId] as const])),
  )
}
