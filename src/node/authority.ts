import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AuthorityConfig } from '../config/types.ts'
import { startArchiver } from '../engine/archiver.ts'
import { createAuthorityLedger } from '../engine/authority-ledger.ts'
import { openEvidencePool } from '../engine/evidence-pool.ts'
import { fullSignerBefore } from '../engine/full-node-evidence.ts'
import { serveFullNodePeers } from '../engine/full-node-peers.ts'
import { Chain } from '../engine/chain.ts'
import { createCheckpoints } from '../engine/checkpoints.ts'
import { createEventHub } from '../engine/events.ts'
import { openFinalizer } from '../engine/finalizer.ts'
import { createPeerHeaders } from '../engine/peer-headers.ts'
import { createPutBack } from '../engine/put-back.ts'
import { createAuthorityRedactor } from '../engine/redactor.ts'
import { createRestorer } from '../engine/restorer.ts'
import { createSealGuard } from '../engine/seal-guard.ts'
import { createSealer } from '../engine/sealer.ts'
import { createTickRunner } from '../engine/tick-runner.ts'
import { createVoteCounter, findOnChain } from '../engine/vote-counter.ts'
import { createWitnessSubmitter } from '../engine/witness-submitter.ts'
import { roleOfToken } from '../http/access.ts'
import { createMetrics } from '../http/metrics.ts'
import { createHttpServer } from '../http/server.ts'
import { openHighWaterFile } from '../keys/high-water-file.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Miner } from '../ports/miner.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader } from '../protocol/header.ts'
import { openSqlite } from '../storage/sql/sqlite.ts'
import { openChainFiles } from './chain-files.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { openDataDirectory } from './data-directory.ts'
import type { OnPart } from './lifecycle.ts'
import { logLedgerEvent } from './event-log.ts'
import { createLogger } from './logger.ts'
import type { AuthorityKeys } from './authority-keys.ts'
import { ensureAuthorityFiles } from './node-files.ts'
import { startHttp } from './http-address.ts'
import { createShutdown } from './shutdown.ts'
import { runEvery } from './tick-timer.ts'
import { VERSION } from './version.ts'
import { createWorkMiner } from './work-miner.ts'
import { sendCheckpoint } from './witness-transport.ts'

/** What a program or a test may replace. A wrapped store or gossip is how a test makes a fault happen at one step. */
export interface AuthorityParts {
  readonly clock?: Clock
  readonly randomBytes?: RandomBytes
  readonly logger?: Logger
  readonly wrapMarketStore?: (store: MarketStore) => MarketStore
  readonly wrapChainStore?: (store: ChainStore) => ChainStore
  readonly wrapGossip?: (gossip: Gossip) => Gossip
  readonly wrapMiner?: (miner: Miner) => Miner
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
    const { genesis, chainId, authorityKeys } = files

    const sql = await openSqlite(config.database.path)
    shutdown.opened('SQL', () => sql.close())
    await sql.bindChain(chainId)
    const store = parts.wrapMarketStore?.(sql) ?? sql
    const level = await openChainFiles(directory)
    shutdown.opened('LevelDB', () => level.close())
    const chain = await Chain.open(genesis, parts.wrapChainStore?.(level) ?? level)
    const highWater = await openHighWaterFile(directory.file('highWater'))
    shutdown.opened('high-water file', () => highWater.close())

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
    const finalizer = await openFinalizer({ chain, store, events, clock })
    const minerId = await authorityIdOf(chain, authorityKeys.keyOf)
    const { keyOf } = authorityKeys
    const evidence = await openEvidencePool({
      genesis,
      chainId,
      store,
      gossip,
      logger,
      signerBefore: (id, height) => fullSignerBefore(chain, id, height),
      onEvidence: (found) => events.emit({ type: 'evidence', evidence: found }),
    })
    const guard = createSealGuard(chain, highWater)
    const putBack = createPutBack({ chain, store, finalizer, clock, logger })
    const threadMiner = createWorkMiner()
    const miner = parts.wrapMiner?.(threadMiner) ?? threadMiner
    const sealing = { chain, guard, clock, logger, minerId, keyOf }
    const sealer = createSealer({ ...sealing, store, gossip, events, finalizer, putBack, highWater, miner })
    const { priceBand } = config
    const runner = createTickRunner({
      chain,
      store,
      sealer,
      clock,
      randomBytes,
      ...(priceBand && { priceBand: { floorMicro: priceBand.feedInMicro, ceilingMicro: priceBand.retailMicro } }),
    })
    const find = findOnChain(chain)
    const votes = createVoteCounter({ chainId, find, store, evidence, events, finalizer, clock, logger })
    const finalHeight = () => finalizer.finalHeight
    const checkpoints = createCheckpoints({ chain, finalHeight, minerId, keyOf })
    const ledger = createAuthorityLedger({
      checkpoints,
      chain,
      store,
      runner,
      votes,
      events,
      finalizer,
      evidence,
      clock,
      minTradeMicro: config.minTradeMicro,
      users: new Map([...usersOf(config), ...(await store.users())]),
    })
    const { requests } = network
    const peerHeaders = createPeerHeaders({ ...sealing, evidence })
    const restorer = createRestorer({ ...sealing, peerHeaders, requests, runner, randomBytes })
    serveFullNodePeers({
      mode: 'authority',
      chain,
      ledger,
      votes,
      finalizer,
      evidence,
      acks: store,
      gossip,
      requests,
      clock,
      logger,
      roleOfToken: (token) => roleOfToken(token, files.tokens.hashes),
      async onHeader(sealed, from) {
        if (chain.tip?.hash === hashHeader(sealed.header)) return 'accept'
        await restorer.heard(sealed, from)
        return 'ignore'
      },
    })
    events.subscribe((event) => logLedgerEvent(event, logger))

    await runner.align()
    await network.start()
    shutdown.opened('network', () => network.stop())
    shutdown.opened('tick in hand', () => runner.idle())
    shutdown.opened('restorer', () => restorer.stop())
    await restorer.start(peersToAwait(config, chain, files.firstStart))
    // Mining takes long: under seal `work` what is committed is sealed once the node answers.
    if (genesis.seal !== 'work' && guard.reason() === undefined) await runner.recover()
    await finalizer.evaluate()
    const redactor = createAuthorityRedactor({ store, blocks: level, clock, logger })
    // A body that cannot be reached now (a file of the archive is missing) must not keep everybody from the rest.
    await redactor
      .catchUp()
      .catch((error: unknown) =>
        logger.error({ error }, 'NOT REDACTED: bodies that SQL says are gone are still in the blocks'),
      )

    const metrics = createMetrics()
    metrics.setHeights(chain.tip?.header.height ?? null, finalizer.finalHeight < 0 ? null : finalizer.finalHeight)
    metrics.watchPeers(() => network.requests.peers().length)
    const onArchived = (blocks: number) => metrics.setArchived(blocks)
    onArchived(level.archivedSize())
    if (config.archiveAfterMs !== 'off') {
      const aging = { afterMs: config.archiveAfterMs, onArchived }
      const archiver = startArchiver({ chain, archive: level, finalizer, clock, logger, ...aging })
      shutdown.opened('archiver', () => archiver.stop())
    }
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
        {
          ledger,
          redactor,
          node,
          readiness: () => [guard.reason()].filter((reason) => reason !== undefined),
          tokens: files.tokens.hashes,
          metrics,
          clock,
          logger,
        },
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
    if (genesis.seal === 'work') {
      // Last, so that it is the first to stop: tick and requests in hand wait for it.
      shutdown.opened('mining', () => miner.stop())
      void runner.recover().catch((error: unknown) => logger.warn({ error }, 'a committed tick is not sealed yet'))
    }
    const witnesses = createWitnessSubmitter({
      chain,
      checkpoints,
      witnesses: config.witnesses,
      send: sendCheckpoint,
      clock,
      logger,
    })
    shutdown.opened('witnesses', () => witnesses.stop())
    events.subscribe((event) => {
      if (event.type === 'final') witnesses.wake()
    })
    witnesses.wake()
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
    start: () => shutdown.orUndo(open),
    stop: (onPart) => shutdown.run(onPart),
    get ledger() {
      if (started === undefined) throw new Error('the authority is not started')
      return started
    },
  }
}

/** The authority id whose key this node has: now, or in the genesis if its key has changed since. Throws `not_ready`. */
async function authorityIdOf(chain: Chain, keyOf: AuthorityKeys['keyOf']): Promise<string> {
  for (const registry of [chain.registry, chain.registryBefore(0)]) {
    for (const entry of registry.activeOf('authority')) {
      if ((await keyOf(entry.public_key)) !== undefined) return entry.id
    }
  }
  throw ledgerError('not_ready', { reason: 'no key file in the data directory is that of a registered authority' })
}

/** How many peers tell their tip before the first seal, if they come in time: those that the operator names, or a validator. */
function peersToAwait(config: AuthorityConfig, chain: Chain, firstStart: boolean): number {
  const validators = firstStart ? 0 : chain.registry.activeOf('validator').length
  return Math.max(config.peers.length, Math.min(validators, 1))
}

/** The built page, where it is built: beside the built code, or in dist/ of a checkout. */
function webRoot(): string | undefined {
  const places = ['../web/', '../../dist/web/'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
  return places.find((path) => existsSync(join(path, 'index.html')))
}

/** Voters whose platform user has another name than they. */
function usersOf(config: AuthorityConfig): ReadonlyMap<string, string> {
  return new Map(
    config.genesis.voters.flatMap(({ id, userId }) => (userId === undefined ? [] : [[id, userId] as const])),
  )
}
