import type { ValidatorConfig } from '../config/types.ts'
import { startArchiver } from '../engine/archiver.ts'
import { findGenesis } from '../engine/join-chain.ts'
import { roleOfToken } from '../http/tokens.ts'
import { createMetrics } from '../http/metrics.ts'
import { createValidatorHttpServer, type ValidatorHttpParts } from '../http/server.ts'
import { createNodeNetwork } from '../network/node-network.ts'
import type { PeerNetwork } from '../network/peer-network.ts'
import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { DialEvent } from '../ports/dial.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { cosignerName } from '../protocol/checkpoint.ts'
import { formatVerifierKey } from '../protocol/note.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import type { ReplicaStore } from '../storage/level/replica-store.ts'
import { adviceFor, advised } from './advice.ts'
import { openReplicaFiles } from './chain-files.ts'
import { systemClock, systemRandomBytes } from './clock.ts'
import { logLedgerEvent } from './event-log.ts'
import { startHttp } from './http-address.ts'
import type { OnPart } from './lifecycle.ts'
import { createLogger } from './logger.ts'
import { watchNamedPeers } from './named-peers.ts'
import { ensureValidatorFiles, sayKeysAreOpened, type ValidatorFiles } from './node-files.ts'
import { signerOf, type NodeSigner } from './node-signer.ts'
import { openDirectoryForStart } from './start-checks.ts'
import { createSignatureChecks } from './signature-checks.ts'
import { createShutdown } from './shutdown.ts'
import { createStoreWatch, type StoreWatch } from './store-watch.ts'
import { assembleValidator, unregisteredWords, type ValidatorEngine } from './validator-engine.ts'
import { VERSION } from './version.ts'
import { withPatience } from './waiting.ts'
import { webRoot } from './web-root.ts'

export interface ValidatorNodeParts {
  readonly clock?: Clock
  readonly randomBytes?: RandomBytes
  readonly logger?: Logger
}

export interface ValidatorReport {
  readonly dataDirectory: string
  /** What a genesis or an enrolment registers with the role validator. */
  readonly publicKey: string
}

/** What a validator tells once it knows its chain. */
export interface JoinedValidator {
  readonly chainId: Hash
  readonly httpUrl: string | null
  readonly multiaddrs: readonly string[]
  /** What verifiers of checkpoints know its cosignatures by, as C2SP tools take it; null while its key is not registered. */
  readonly verifierKey: string | null
  readonly ledger: ChainLedger
}

export interface ValidatorNode {
  /** Returns once the node runs; the chain is joined in the background, as peers may come later. */
  start(): Promise<ValidatorReport>
  stop(onPart?: OnPart): Promise<void>
  /** Once the chain is known and everything listens. */
  readonly joined: Promise<JoinedValidator>
  /** Rejects if it can never join: its data is of another chain than the pinned one, or an address is taken. */
  readonly failed: Promise<never>
}

/** The files of a validator, and what has its key where they do not. */
interface OpenFiles extends ValidatorFiles {
  readonly signer: NodeSigner | undefined
}

/** The validator: a full replica in its own LevelDB, which checks every block, co-signs, and serves what it has. */
export function createValidatorNode(config: ValidatorConfig, parts: ValidatorNodeParts = {}): ValidatorNode {
  const clock = parts.clock ?? systemClock
  const randomBytes = parts.randomBytes ?? systemRandomBytes
  const logger = parts.logger ?? createLogger({ level: config.logLevel, pretty: process.stdout.isTTY })
  const shutdown = createShutdown(logger)
  const stopping = new AbortController()
  const joined = Promise.withResolvers<JoinedValidator>()
  const failed = Promise.withResolvers<never>()

  function network(
    chainId: Hash | undefined,
    files: ValidatorFiles,
    onDial: (event: DialEvent) => void = () => undefined,
  ): Promise<PeerNetwork> {
    const listen = chainId === undefined ? [] : config.listen
    const { peers } = config
    const { peerSeed: privateKey, swarmKey } = files
    return createNodeNetwork({ chainId, privateKey, listen, peers, swarmKey, hub: true, clock, logger, onDial })
  }

  async function join(store: ReplicaStore, files: OpenFiles): Promise<JoinedValidator> {
    const genesis = await findGenesis({
      store,
      pin: config.chainId,
      clock,
      logger,
      signal: stopping.signal,
      createNetwork: (chainId) => network(chainId, files),
      onEvent: (event) => {
        if (event.type === 'alarm') logger.error({ code: event.code }, `ALARM ${event.reason}`)
      },
    })
    return await shutdown.orUndo(() => run(genesis, store, files))
  }

  async function run(genesis: Genesis, opened: ReplicaStore, files: OpenFiles): Promise<JoinedValidator> {
    const storeWatch = createStoreWatch(clock, logger, {
      failing: 'NOT CO-SIGNING',
      working: 'blocks are co-signed',
      advice: (error) => adviceFor(error, config),
    })
    const store = watchedReplica(opened, storeWatch)
    const namedPeers = watchNamedPeers(config.peers)
    const peers = await network(chainIdOf(genesis), files, namedPeers.onDial)
    const { gossip, requests } = peers
    const key = files.validatorKey
    const signatures = createSignatureChecks()
    shutdown.opened('signature checks', () => signatures.stop())
    const engine = await assembleValidator({
      genesis,
      store,
      key,
      signedBefore: files.signer?.acked(key.publicKey),
      allowedChanges: config.allowedChanges,
      gossip,
      requests,
      signatures,
      namedPeers,
      recallPeers: config.recallPeers,
      roleOfToken: (token) => roleOfToken(token, files.tokens, clock.now()),
      clock,
      randomBytes,
      logger,
    })
    const { chain, events, finalizer, validator, registeredId } = engine
    events.subscribe((event) => logLedgerEvent(event, chain, logger))
    // It stops after the network, without which no silent peer can make it wait.
    shutdown.opened('validator', () => validator.stop())
    await peers.start()
    shutdown.opened('network', () => peers.stop())
    validator.start()
    storeWatch.start({
      read: () => store.finality.finalHeight(),
      write: () => store.checkWritable(),
      // What was missed meanwhile is fetched in the background: a store that fails at it again is noted as ever.
      recover() {
        validator.sync().catch(() => undefined)
        return Promise.resolve()
      },
    })
    shutdown.opened('store watch', () => storeWatch.stop())
    watchSigner(files, validator)
    await finalizer.evaluate()
    const metrics = createMetrics()
    metrics.setHeights(chain.tip?.header.height ?? null, finalizer.finalHeight < 0 ? null : finalizer.finalHeight)
    const onArchived = (blocks: number) => metrics.setArchived(blocks)
    onArchived(store.chain.archivedSize())
    if (config.archiveAfterMs !== 'off') {
      const aging = { afterMs: config.archiveAfterMs, onArchived }
      const archiver = startArchiver({ chain, archive: store.chain, finalizer, clock, logger, ...aging })
      shutdown.opened('archiver', () => archiver.stop())
    }
    const httpUrl = await serveHttp({ ...engine, metrics }, peers, files, storeWatch)
    const id = registeredId()
    const cosigner = { public_key: key.publicKey, type: 'cosignature' } as const
    const verifierKey =
      id === undefined ? null : formatVerifierKey({ name: cosignerName(genesis.origin, id), ...cosigner })
    return { chainId: chain.chainId, httpUrl, multiaddrs: peers.multiaddrs(), verifierKey, ledger: engine.ledger }
  }

  function watchSigner({ signer, validatorKey }: OpenFiles, validator: ValidatorEngine['validator']): void {
    if (signer === undefined) return
    const needed = () => validatorKey.publicKey
    signer.start({ failing: 'NOT CO-SIGNING', needed, onBack: () => void validator.sync().catch(() => undefined) })
    shutdown.opened('signer watch', () => signer.stop())
  }

  async function serveHttp(
    parts: Pick<ValidatorHttpParts, 'ledger' | 'redactor' | 'witness' | 'metrics'> &
      Pick<ValidatorEngine, 'registration' | 'validator'>,
    peers: PeerNetwork,
    files: OpenFiles,
    storeWatch: StoreWatch,
  ): Promise<string | null> {
    const { ledger, metrics, validator } = parts
    metrics.watchPeers(() => peers.requests.peers().length)
    metrics.watchAcking(() => validator.trouble() === undefined && files.signer?.reason() === undefined)
    ledger.subscribe((event) => metrics.recordEvent(event, clock.now()))
    const node = () => ({
      mode: 'validator' as const,
      chain_id: ledger.chainId,
      peer_id: peers.peerId,
      multiaddrs: peers.multiaddrs(),
      version: VERSION,
    })
    const readiness = () => {
      const reasons = [
        storeWatch.reason(),
        files.signer?.reason(),
        unregisteredWords(parts.registration()),
        validator.trouble(),
      ]
      return { role: 'validator' as const, reasons: reasons.filter((reason) => reason !== undefined) }
    }
    const http = await startHttp(config, (address) =>
      createValidatorHttpServer(
        { ...parts, node, readiness, tokens: files.tokens, clock, logger },
        {
          ...address,
          rateLimitPerSecond: config.rateLimitPerSecond,
          trustedProxies: config.trustedProxies,
          corsOrigins: config.corsOrigins,
          publicUrls: config.publicUrls,
          webRoot: webRoot(),
        },
      ),
    )
    if (http !== null) shutdown.opened('HTTP', () => http.stop())
    return http?.url ?? null
  }

  /** In the background: peers may come later. */
  function joinInBackground(store: ReplicaStore, files: OpenFiles): void {
    const say = (line: string) => logger.warn({ peers: config.peers }, line)
    const joining = withPatience('a peer that has the chain', say, () => join(store, files))
    joining.then(joined.resolve, (error: unknown) => {
      joined.reject(error)
      if (!stopping.signal.aborted) failed.reject(error)
    })
    failed.promise.catch((error: unknown) => logger.error({ error }, 'could not join the chain'))
    joined.promise.then(
      ({ chainId, httpUrl, multiaddrs, verifierKey }) =>
        logger.info(
          {
            chain_id: chainId,
            http: httpUrl,
            multiaddrs,
            public_key: files.validatorKey.publicKey,
            ...(verifierKey !== null && { verifier_key: verifierKey }),
          },
          'validator has joined its chain',
        ),
      () => undefined,
    )
  }

  async function open(): Promise<ValidatorReport> {
    const directory = await openDirectoryForStart(config)
    shutdown.opened('data directory', () => directory.close())
    sayKeysAreOpened(config, logger)
    const signer = await signerOf(config, { clock, logger })
    const files = await ensureValidatorFiles(directory, config, { randomBytes, signer })
    const store = await openReplicaFiles(directory)
    shutdown.opened('LevelDB', () => store.close())
    joinInBackground(store, { ...files, signer })
    return { dataDirectory: directory.path, publicKey: files.validatorKey.publicKey }
  }

  return {
    joined: joined.promise,
    failed: failed.promise,
    start: () => advised(config, () => shutdown.orUndo(open)),
    async stop(onPart) {
      stopping.abort(new Error('the node stops'))
      await joined.promise.catch(() => undefined)
      await shutdown.run(onPart)
    },
  }
}

/** Its parts fail each for itself: each is watched. */
const watchedReplica = (store: ReplicaStore, watch: StoreWatch): ReplicaStore => ({
  ...store,
  chain: watch.watched(store.chain),
  finality: watch.watched(store.finality),
  evidence: watch.watched(store.evidence),
  voter: watch.watched(store.voter),
  witness: watch.watched(store.witness),
})
