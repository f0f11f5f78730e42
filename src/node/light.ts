import type { LightConfig } from '../config/types.ts'
import { joinChain, type Joined } from '../engine/join-chain.ts'
import type { LightClient, LightEvent, LightStatus } from '../engine/light-client.ts'
import { createMetrics } from '../http/metrics.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { PeerNetwork } from '../network/peer-network.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import { advised } from './advice.ts'
import { openLightFiles } from './chain-files.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { logLightEvent } from './event-log.ts'
import type { OnPart } from './lifecycle.ts'
import { createLogger } from './logger.ts'
import { ensureLightFiles, type LightFiles } from './node-files.ts'
import { startHttp } from './http-address.ts'
import { openDirectoryForStart } from './start-checks.ts'
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
  /** Rejects if it can never join: its data is of another chain than the pinned one. */
  readonly failed: Promise<never>
  status(): LightStatus
}

/** A half-open connection is found by asking. */
const POLL_MS = 15_000

/** The light node: a window of headers in its own LevelDB, the network and, if asked for, a small HTTP server. */
export function createLight(config: LightConfig, parts: LightParts = {}): LightNode {
  const clock = parts.clock ?? systemClock
  const randomBytes = parts.randomBytes ?? systemRandomBytes
  const logger = parts.logger ?? createLogger({ level: config.logLevel, pretty: process.stdout.isTTY })
  const shutdown = createShutdown(logger)
  const stopping = new AbortController()
  const client = Promise.withResolvers<LightClient>()
  const failed = Promise.withResolvers<never>()
  let joined: Joined<PeerNetwork> | undefined

  function join(store: LightStore, files: LightFiles): Promise<Joined<PeerNetwork>> {
    return joinChain({
      store,
      clock,
      randomBytes,
      logger,
      createNetwork: (chainId) =>
        createNodeNetwork({
          chainId,
          privateKey: files.peerSeed,
          listen: [],
          peers: config.peers,
          hub: false,
          clock,
          logger,
        }),
      pin: config.chainId,
      key: config.vote ? files.voterKey : null,
      signal: stopping.signal,
      windowSize: config.headerWindow,
      staleAfterMs: config.staleAfterMs,
      pollMs: POLL_MS,
      onEvent: (event) => {
        logLightEvent(event, logger)
        parts.onEvent?.(event)
      },
    })
  }

  /** In the background: peers may come later. */
  function joinInBackground(store: LightStore, files: LightFiles): void {
    const joining = join(store, files)
    joining.then(
      (result) => {
        joined = result
        client.resolve(result.client)
      },
      (error: unknown) => {
        client.reject(error)
        if (!stopping.signal.aborted) failed.reject(error)
      },
    )
    client.promise.catch(() => undefined)
    failed.promise.catch((error: unknown) => logger.error({ error }, 'could not join the chain'))
    shutdown.opened('network', async () => {
      stopping.abort()
      await joining.catch(() => undefined)
      // First, so that no silent peer can make the client wait.
      await joined?.network.stop()
      await joined?.client.stop()
    })
  }

  const status = (): LightStatus =>
    joined?.client.status() ?? { state: 'syncing', tip: null, headers: [], votes_sent: 0, peers: 0 }

  async function open(): Promise<LightReport> {
    const directory = await openDirectoryForStart(config)
    shutdown.opened('data directory', () => directory.close())
    const files = await ensureLightFiles(directory, config, { randomBytes })
    const store = await openLightFiles(directory)
    shutdown.opened('LevelDB', () => store.close())
    joinInBackground(store, files)

    const metrics = createMetrics()
    metrics.watchPeers(() => status().peers)
    const node = () => ({
      mode: 'light' as const,
      chain_id: joined?.chainId ?? config.chainId ?? '',
      peer_id: joined?.network.peerId ?? '',
      multiaddrs: joined?.network.multiaddrs() ?? [],
      version: VERSION,
    })
    const http = await startHttp(config, async (address) => {
      // Loaded only where it is asked for: the server is 4 MB that most light nodes do without.
      const { createLightHttpServer } = await import('../http/light-server.ts')
      return await createLightHttpServer(
        { node, light: status, metrics, clock, logger },
        { ...address, trustedProxies: config.trustedProxies },
      )
    })
    if (http !== null) shutdown.opened('HTTP', () => http.stop())
    return { dataDirectory: directory.path, publicKey: files.voterKey.publicKey, httpUrl: http?.url ?? null }
  }

  return {
    client: client.promise,
    failed: failed.promise,
    status,
    start: () => advised(config, () => shutdown.orUndo(open)),
    stop: (onPart) => shutdown.run(onPart),
  }
}
