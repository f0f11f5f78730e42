import type { AuthorityConfig } from '../config/types.ts'
import { startArchiver } from '../engine/archiver.ts'
import type { Chain } from '../engine/chain.ts'
import { whileLeading } from '../engine/leading.ts'
import { createOutboxReader } from '../engine/outbox.ts'
import { createWitnessSubmitter } from '../engine/witness-submitter.ts'
import { roleOfToken } from '../http/tokens.ts'
import { createMetrics, type Metrics } from '../http/metrics.ts'
import { tickInPieces } from '../http/routes/ticks.ts'
import { createHttpServer } from '../http/server.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { PeerNetwork } from '../network/peer-network.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Miner } from '../ports/miner.ts'
import type { Hash } from '../protocol/bytes.ts'
import { advised } from './advice.ts'
import {
  assembleAuthority,
  recoverAuthority,
  type AuthorityEngine,
  type AuthorityEngineParts,
} from './authority-engine.ts'
import { openAuthorityStores, type AuthorityStores } from './authority-stores.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { logLedgerEvent } from './event-log.ts'
import { startHttp } from './http-address.ts'
import type { OnPart } from './lifecycle.ts'
import { createSharedLeadership } from './leadership.ts'
import { createLogger } from './logger.ts'
import { watchNamedPeers } from './named-peers.ts'
import { createSignatureChecks } from './signature-checks.ts'
import { createShutdown } from './shutdown.ts'
import { createUserTokens, usersOnChain } from './user-tokens.ts'
import { runEvery } from './tick-timer.ts'
import { VERSION } from './version.ts'
import { webRoot } from './web-root.ts'
import { sendCheckpoint } from './witness-transport.ts'
import { createWorkMiner } from './work-miner.ts'

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
  /** Made by this start, of a new chain. */
  readonly recoveryPhraseFile: string | null
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
    const { wrapMarketStore, wrapChainStore } = parts
    const tools = { clock, randomBytes, logger }
    const stores = await openAuthorityStores(config, { ...tools, shutdown, wrapMarketStore, wrapChainStore })
    const { files, chain, directory } = stores
    const namedPeers = watchNamedPeers(config.peers)
    const network = await createNodeNetwork({
      chainId: files.chainId,
      privateKey: files.peerSeed,
      listen: config.listen,
      peers: config.peers,
      swarmKey: files.swarmKey,
      hub: true,
      clock,
      logger,
      onDial: namedPeers.onDial,
    })
    const gossip = parts.wrapGossip?.(network.gossip) ?? network.gossip
    const threadMiner = createWorkMiner()
    const miner = parts.wrapMiner?.(threadMiner) ?? threadMiner
    const metrics = createMetrics()
    const signatures = createSignatureChecks()
    shutdown.opened('signature checks', () => signatures.stop())
    const engine = await assembleAuthority({
      ...stores,
      ...tools,
      ...rulesOf(config),
      keyOf: files.authorityKeys.keyOf,
      shareLead: (mayLead) => createSharedLeadership(config.database, logger, mayLead),
      roleOfToken: (token) => roleOfToken(token, files.tokens, clock.now()),
      gossip,
      requests: network.requests,
      namedPeers,
      miner,
      signatures,
      onTick: (outcome) => metrics.recordTick(outcome),
    })
    const running: Running = { ...stores, ...engine, network, metrics }
    engine.events.subscribe((event) => logLedgerEvent(event, running.chain, logger))

    await network.start()
    shutdown.opened('network', () => network.stop())
    watchSigner(running)
    const recovering = { awaited: peersToAwait(config, chain, files.firstStart), clock, logger }
    await recoverAuthority(engine, { ...recovering, opened: (name, close) => shutdown.opened(name, close) })
    watchStores(running)
    measure(running)
    archiveOldBodies(running)
    const httpUrl = await serveHttp(running)
    startTimer(running)
    startOutbox(running)
    if (files.genesis.seal === 'work') {
      // Last, so that it is the first to stop: tick and requests in hand wait for it.
      shutdown.opened('mining', () => miner.stop())
      void engine.runner
        .recover()
        .catch((error: unknown) => logger.warn({ error }, 'a committed tick is not sealed yet'))
    }
    submitToWitnesses(running)
    started = engine.ledger
    return {
      chainId: files.chainId,
      firstStart: files.firstStart,
      dataDirectory: directory.path,
      tokensCreated: files.tokens.created,
      recoveryPhraseFile: files.recoveryPhraseFile,
      httpUrl,
      multiaddrs: network.multiaddrs(),
      tipHeight: chain.tip?.header.height ?? null,
    }
  }

  function watchSigner({ signer, keyNow, runner }: Running): void {
    if (signer === undefined) return
    const onBack = (): void =>
      void runner.recover().catch((error: unknown) => logger.error({ error }, 'waiting ticks are not sealed yet'))
    signer.start({ failing: 'NOT SEALING', needed: keyNow, onBack })
    shutdown.opened('signer watch', () => signer.stop())
  }

  function watchStores({ store, storeWatch, runner }: Running): void {
    storeWatch.start({
      read: () => store.lastBlock(),
      write: () => store.checkWritable(),
      recover: () => runner.recover(),
    })
    shutdown.opened('store watch', () => storeWatch.stop())
  }

  function measure({ metrics, chain, finalizer, network, leadership, store, events }: Running): void {
    metrics.setHeights(chain.tip?.header.height ?? null, finalizer.finalHeight < 0 ? null : finalizer.finalHeight)
    metrics.watchPeers(() => network.requests.peers().length)
    metrics.watchLeading(() => leadership.leads())
    metrics.watchOutbox(() => store.outboxCounts())
    metrics.watchVoidTicks(() => store.voidTickCount())
    events.subscribe((event) => metrics.recordEvent(event, clock.now()))
  }

  function archiveOldBodies({ chain, level, finalizer, metrics }: Running): void {
    const onArchived = (blocks: number) => metrics.setArchived(blocks)
    onArchived(level.archivedSize())
    if (config.archiveAfterMs === 'off') return
    const aging = { afterMs: config.archiveAfterMs, onArchived }
    const archiver = startArchiver({ chain, archive: level, finalizer, clock, logger, ...aging })
    shutdown.opened('archiver', () => archiver.stop())
  }

  /** Gives its address; null if HTTP is off. */
  async function serveHttp(running: Running): Promise<string | null> {
    const { files, network, ledger, redactor, metrics, guard, standing, storeWatch, leadership, standby } = running
    const node = () => ({
      mode: 'authority' as const,
      chain_id: files.chainId,
      peer_id: network.peerId,
      multiaddrs: network.multiaddrs(),
      version: VERSION,
    })
    const readiness = () => ({
      role: leadership.leads() ? ('leader' as const) : ('standby' as const),
      reasons: reasonsOf(storeWatch.reason(), guard.reason(), standing.reason(), standby?.succession.trouble()),
    })
    const { rateLimitPerSecond, trustedProxies, corsOrigins, publicUrls, userTokens } = config
    const users = userTokens && usersOnChain(await createUserTokens(userTokens, { clock, logger }), ledger)
    const payloadRecipients = config.payloadRecipients ?? []
    const http = await startHttp(config, (address) =>
      createHttpServer(
        { ledger, redactor, node, readiness, tokens: files.tokens, users, payloadRecipients, metrics, clock, logger },
        { ...address, rateLimitPerSecond, trustedProxies, corsOrigins, publicUrls, webRoot: webRoot() },
      ),
    )
    if (http !== null) shutdown.opened('HTTP', () => http.stop())
    return http?.url ?? null
  }

  function startTimer({ runner, leadership }: Running): void {
    if (config.tickIntervalMs === 'off') return
    const stop = runEvery(config.tickIntervalMs, (request) => runner.run(request), { clock, logger, leadership })
    shutdown.opened('tick timer', stop)
  }

  function startOutbox({ store, ledger, metrics, leadership }: Running): void {
    const outbox = createOutboxReader({
      store,
      readTick: tickInPieces,
      accept: (tick) => ledger.acceptTick(tick),
      clock,
      logger,
      pollMs: config.outboxPollMs,
      onRow: (outcome) => metrics.recordOutboxRow(outcome),
      isDiscreet: ledger.privacy === 'pseudonymous',
    })
    shutdown.opened('outbox', whileLeading(leadership, outbox))
  }

  function submitToWitnesses({ chain, checkpoints, events }: Running): void {
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
  }

  return {
    start: () => advised(config, () => shutdown.orUndo(open)),
    stop: (onPart) => shutdown.run(onPart),
    get ledger() {
      if (started === undefined) throw new Error('the authority is not started')
      return started
    },
  }
}

/** All parts of an authority. */
interface Running extends AuthorityStores, AuthorityEngine {
  readonly network: PeerNetwork
  readonly metrics: Metrics
}

const reasonsOf = (...reasons: readonly (string | undefined)[]): readonly string[] => [
  ...new Set(reasons.filter((reason) => reason !== undefined)),
]

/** What the operator has set that the engine goes by. */
function rulesOf({ priceBand, minTradeMicro, changeLimits }: AuthorityConfig): RulesOf {
  const band = priceBand && { floorMicro: priceBand.feedInMicro, ceilingMicro: priceBand.retailMicro }
  return { minTradeMicro, changeLimits, ...(band !== undefined && { priceBand: band }) }
}
type RulesOf = Pick<AuthorityEngineParts, 'minTradeMicro' | 'changeLimits' | 'priceBand'>

/** How many peers tell their tip before the first seal, if they come in time: those that the operator names, or a validator. */
function peersToAwait(config: AuthorityConfig, chain: Chain, firstStart: boolean): number {
  const validators = firstStart ? 0 : chain.registry.activeOf('validator').length
  return Math.max(config.peers.length, Math.min(validators, 1))
}
