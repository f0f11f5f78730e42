import { setTimeout as delay } from 'node:timers/promises'
import type { LightConfig } from '../config/types.ts'
import { createLightClient, type LightClient, type LightEvent, type LightStatus } from '../engine/light-client.ts'
import { createLightHttpServer } from '../http/light-server.ts'
import { createMetrics } from '../http/metrics.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { PeerNetwork } from '../network/peer-network.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText, parseCanonicalText } from '../protocol/canonical-json.ts'
import { chainIdOf, decodeGenesis, type Genesis } from '../protocol/genesis.ts'
import { genesisAnswer } from '../protocol/messages.ts'
import { openLightStore } from '../storage/level/light-store.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { openDataDirectory } from './data-directory.ts'
import { logLightEvent } from './event-log.ts'
import type { OnPart } from './lifecycle.ts'
import { createLogger } from './logger.ts'
import { ensureLightFiles, type LightFiles } from './node-files.ts'
import { startHttp } from './http-address.ts'
import { createShutdown } from './shutdown.ts'
import { VERSION } from './version.ts'

export type { LightEvent } from '../engine/light-client.ts'

export interface LightParts {
  readonly clock?: Clock
  readonly randomBytes?: RandomBytes
  readonly logger?: Logger
  /** Hears everything that the light client does. */
  readonly onEvent?: (event: LightEvent) => void
}

export interface LightReport {
  readonly dataDirectory: string
  /** This household's public key: what a genesis or an enrolment registers. */
  readonly publicKey: string
  readonly httpUrl: string | null
}

export interface LightNode {
  /** Returns once the node runs; the chain is joined in the background, as peers may come later. */
  start(): Promise<LightReport>
  stop(onPart?: OnPart): Promise<void>
  /** The light client, once the chain is known. */
  readonly client: Promise<LightClient>
  status(): LightStatus
}

/** Without a header for this long, a light node says `stale`. */
const STALE_AFTER_MS = 15 * 60_000
/** A half-open connection is found by asking. */
const POLL_MS = 15_000
const RETRY_GENESIS_MS = 500

/** The light node: a window of headers in its own LevelDB, the network and, if asked for, a small HTTP server. */
export function createLight(config: LightConfig, parts: LightParts = {}): LightNode {
  const clock = parts.clock ?? systemClock
  const randomBytes = parts.randomBytes ?? systemRandomBytes
  const logger = parts.logger ?? createLogger({ level: config.logLevel, pretty: process.stdout.isTTY })
  const shutdown = createShutdown(logger)
  const stopping = new AbortController()
  let client: LightClient | undefined
  let chainId: Hash | undefined
  let network: PeerNetwork | undefined
  const joined = Promise.withResolvers<LightClient>()
  joined.promise.catch(() => undefined)

  const networkFor = (forChain: Hash | undefined, files: LightFiles): Promise<PeerNetwork> =>
    createNodeNetwork({
      chainId: forChain,
      privateKey: files.peerSeed,
      listen: [],
      peers: config.peers,
      hub: false,
      clock,
      logger,
    })

  /** The genesis that this node has stored, or else the first that a peer gives and the pin allows. */
  async function findGenesis(store: LightStore, files: LightFiles): Promise<Genesis> {
    const stored = await store.genesis()
    if (stored !== undefined) return checkPin(decodeGenesis(parseCanonicalText(stored)), config.chainId)
    const asking = await networkFor(undefined, files)
    await asking.start()
    try {
      const genesis = await askForGenesis(asking, config.chainId, logger, stopping.signal)
      await store.putGenesis(canonicalText(genesis))
      return genesis
    } finally {
      await asking.stop()
    }
  }

  async function join(store: LightStore, files: LightFiles): Promise<LightClient> {
    const genesis = await findGenesis(store, files)
    chainId = chainIdOf(genesis)
    network = await networkFor(chainId, files)
    const entry = genesis.registry.find(({ public_key }) => public_key === files.voterKey.publicKey)
    const joining = await createLightClient({
      genesis,
      store,
      gossip: network.gossip,
      requests: network.requests,
      clock,
      randomBytes,
      logger,
      voter: config.vote && entry !== undefined ? { id: entry.id, key: files.voterKey } : null,
      windowSize: config.headerWindow,
      staleAfterMs: STALE_AFTER_MS,
      pollMs: POLL_MS,
      onEvent: (event) => {
        logLightEvent(event, logger)
        parts.onEvent?.(event)
      },
    })
    joining.start()
    await network.start()
    logger.info({ chain_id: chainId, voter: entry?.id ?? null }, `on chain ${chainId}${entry ? ` as ${entry.id}` : ''}`)
    client = joining
    return joining
  }

  async function open(): Promise<LightReport> {
    const directory = await openDataDirectory(config.dataDirectory)
    shutdown.opened('data directory', () => directory.close())
    const files = await ensureLightFiles(directory, config, { randomBytes })
    const store = await openLightStore(directory.file('level'))
    shutdown.opened('LevelDB', () => store.close())

    join(store, files).then(joined.resolve, joined.reject)
    shutdown.opened('network', async () => {
      stopping.abort()
      await joined.promise.catch(() => undefined)
      await client?.stop()
      await network?.stop()
    })
    joined.promise.catch((error: unknown) => {
      if (!stopping.signal.aborted) logger.error({ error }, 'could not join the chain')
    })
    const metrics = createMetrics()
    metrics.watchPeers(() => status().peers)
    const node = () => ({
      mode: 'light' as const,
      chain_id: config.chainId ?? chainId ?? '',
      peer_id: network?.peerId ?? '',
      multiaddrs: network?.multiaddrs() ?? [],
      version: VERSION,
    })
    const light = () => ({ ...status(), headers: status().headers.length })
    const http = await startHttp(config, (address) =>
      createLightHttpServer({ node, light, metrics, clock, logger }, address),
    )
    if (http !== null) shutdown.opened('HTTP', () => http.stop())
    return { dataDirectory: directory.path, publicKey: files.voterKey.publicKey, httpUrl: http?.url ?? null }
  }

  const status = (): LightStatus =>
    client?.status() ?? { state: 'syncing', tip: null, headers: [], votes_sent: 0, peers: 0 }

  return {
    client: joined.promise,
    status,
    async start() {
      try {
        return await open()
      } catch (error) {
        await shutdown.run().catch(() => undefined)
        throw error
      }
    },
    stop: (onPart) => shutdown.run(onPart),
  }
}

function checkPin(genesis: Genesis, pin: Hash | undefined): Genesis {
  const chainId = chainIdOf(genesis)
  if (pin !== undefined && pin !== chainId) throw ledgerError('wrong_chain', { chain_id: chainId, expected: pin })
  return genesis
}

/** Asks every connected peer until one gives a genesis that the pin allows. */
async function askForGenesis(
  network: PeerNetwork,
  pin: Hash | undefined,
  logger: Logger,
  signal: AbortSignal,
): Promise<Genesis> {
  for (;;) {
    for (const peer of network.requests.peers()) {
      try {
        const genesis = checkPin(decodeGenesis(genesisAnswer(await network.requests.request(peer, 'genesis', {}))), pin)
        if (pin === undefined) {
          const chain_id = chainIdOf(genesis)
          logger.warn(
            { chain_id, peer },
            `NOT PINNED: trusting chain ${chain_id} on first use; compare it with your community and pass --chain ${chain_id}`,
          )
        }
        return genesis
      } catch (error) {
        logger.warn({ error, peer }, `${peer} gives no usable genesis`)
      }
    }
    await delay(RETRY_GENESIS_MS, undefined, { signal })
  }
}
