import type { LightConfig } from '../config/types.ts'
import { joinChain, type Joined } from '../engine/join-chain.ts'
import type { LightClient, LightEvent } from '../engine/light-client.ts'
import { createMetrics } from '../http/metrics.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { PeerNetwork } from '../network/peer-network.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { isSolarError } from '../protocol/errors.ts'
import { advised } from './advice.ts'
import { openLightFiles } from './chain-files.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { nodeError } from './errors.ts'
import { logLightEvent } from './event-log.ts'
import type { OnPart } from './lifecycle.ts'
import { createLightOutlook, NOT_JOINED, type LightOutlook, type LightOutlookStatus } from './light-outlook.ts'
import { createLogger } from './logger.ts'
import { ensureLightFiles, sayKeysAreOpened, type LightFiles } from './node-files.ts'
import { signerOf, type NodeSigner } from './node-signer.ts'
import { createOwnTradeLog } from './own-trade-log.ts'
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
  /** The chain_id that it was told to trust; null: that of its data, or of the first genesis that a peer shows. */
  readonly pinned: Hash | null
  /** Addresses that it keeps connected. */
  readonly peers: readonly string[]
  readonly httpUrl: string | null
}

export interface LightNode {
  /** Returns once the node runs; the chain is joined in the background, as peers may come later. */
  start(): Promise<LightReport>
  stop(onPart?: OnPart): Promise<void>
  /** The light client, once the chain is known. */
  readonly client: Promise<LightClient>
  /** Of the chain, once it is known. */
  readonly genesis: Promise<Genesis>
  /** Rejects if it can never join: its data is of another chain than the pinned one. */
  readonly failed: Promise<never>
  status(): LightOutlookStatus
  /** Resolves with what is wrong with each address once all were tried and none leads to a node of this chain. */
  readonly hopeless: Promise<string>
  /** What is wrong with the clocks of this device and its peers, by what they say now. Never rejects. */
  clockFault(): Promise<string | undefined>
}

const NOT_STARTED: LightOutlookStatus = {
  ...NOT_JOINED,
  reason: 'not started',
  voter: { state: 'unknown', id: null, public_key: '' },
}

/** The files of a household, and what has its key where they do not. */
interface OpenFiles extends LightFiles {
  readonly signer: NodeSigner | undefined
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
  const genesis = Promise.withResolvers<Genesis>()
  const failed = Promise.withResolvers<never>()
  const hopeless = Promise.withResolvers<string>()
  let joined: Joined<PeerNetwork> | undefined
  let outlook: LightOutlook | undefined

  function join(store: LightStore, files: OpenFiles, watch: LightOutlook): Promise<Joined<PeerNetwork>> {
    const lookForHope = (): void => {
      const fault = watch.hopeless()
      if (fault !== undefined) hopeless.resolve(fault)
    }
    const trades = createOwnTradeLog({
      store,
      logger,
      currency: async () => (await genesis.promise).currency,
      user: () => joined?.client.user() ?? null,
    })
    shutdown.opened('trade log', () => trades.idle())
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
          swarmKey: files.swarmKey,
          hub: false,
          clock,
          logger,
          onDial(event) {
            watch.onDial(event)
            lookForHope()
          },
        }),
      pin: config.chainId,
      key: config.vote ? files.voterKey : null,
      signedBefore: files.signer?.acked(files.voterKey.publicKey),
      signal: stopping.signal,
      windowSize: config.headerWindow,
      staleAfterMs: config.staleAfterMs,
      pollMs: POLL_MS,
      onEvent: (event) => {
        logLightEvent(event, logger, trades)
        watch.onEvent(event)
        parts.onEvent?.(event)
      },
      onPeer(report) {
        watch.onPeer(report)
        lookForHope()
      },
    })
  }

  /** In the background: peers may come later. */
  function joinInBackground(store: LightStore, files: OpenFiles, watch: LightOutlook): void {
    const joining = advised(config, () => join(store, files, watch))
    joining.then(
      (result) => {
        joined = result
        const { network, chainId } = result
        watch.joined({ client: result.client, requests: network.requests, chainId })
        genesis.resolve(result.genesis)
        client.resolve(result.client)
      },
      (error: unknown) => {
        genesis.reject(error)
        client.reject(error)
        if (!stopping.signal.aborted) failed.reject(otherChain(error, config.dataDirectory))
      },
    )
    genesis.promise.catch(() => undefined)
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

  /** Its key is asked for again with the next block, and whenever peers answer. */
  function watchSigner({ signer, voterKey }: OpenFiles): void {
    if (signer === undefined) return
    signer.start({ failing: 'NOT VOTING', needed: () => voterKey.publicKey, onBack: () => undefined })
    shutdown.opened('signer watch', () => signer.stop())
  }

  async function open(): Promise<LightReport> {
    const directory = await openDirectoryForStart(config)
    shutdown.opened('data directory', () => directory.close())
    sayKeysAreOpened(config, logger)
    const signer = await signerOf(config, { clock, logger })
    const files = { ...(await ensureLightFiles(directory, config, { randomBytes, signer })), signer }
    watchSigner(files)
    const store = await openLightFiles(directory)
    shutdown.opened('LevelDB', () => store.close())
    const watch = createLightOutlook({
      addresses: config.peers,
      publicKey: files.voterKey.publicKey,
      votes: config.vote,
      clock,
      logger,
    })
    outlook = watch
    joinInBackground(store, files, watch)
    watch.start()
    shutdown.opened('outlook', () => watch.stop())

    const metrics = createMetrics()
    metrics.watchPeers(() => watch.status().peers)
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
        { node, light: () => watch.status(), metrics, clock, logger },
        { ...address, trustedProxies: config.trustedProxies, corsOrigins: config.corsOrigins },
      )
    })
    if (http !== null) shutdown.opened('HTTP', () => http.stop())
    return {
      dataDirectory: directory.path,
      publicKey: files.voterKey.publicKey,
      pinned: config.chainId ?? null,
      peers: config.peers,
      httpUrl: http?.url ?? null,
    }
  }

  return {
    client: client.promise,
    genesis: genesis.promise,
    failed: failed.promise,
    status: () => outlook?.status() ?? NOT_STARTED,
    hopeless: hopeless.promise,
    async clockFault() {
      await outlook?.lookAtClocks().catch(() => undefined)
      return outlook?.clockFault()
    },
    start: () => advised(config, () => shutdown.orUndo(open)),
    stop: (onPart) => shutdown.run(onPart),
  }
}

/** A data directory of another chain than the pinned one says what to do; any other error stays. */
function otherChain(error: unknown, directory: string): unknown {
  if (!isSolarError(error, 'wrong_chain')) return error
  const { chain_id, expected } = error.fields as { readonly chain_id: Hash; readonly expected: Hash }
  const reason = `it holds chain ${chain_id}, --chain is ${expected}: correct --chain, or give that chain a --data of its own`
  return nodeError('data_directory_unusable', { directory, reason }, error)
}
