import { gossipsub, type GossipSub } from '@chainsafe/libp2p-gossipsub'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { setMaxListeners, type Libp2p } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import type { Hash } from '../protocol/bytes.ts'
import { protocolError } from '../protocol/errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { DialEvent } from '../ports/dial.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip, GossipTopic } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { deadline, listenReason, reasonOf, within } from './deadline.ts'
import { gossipSettings } from './gossip-settings.ts'
import { createGossip, type GossipOverLibp2p } from './gossip.ts'
import { guardedNoise } from './guarded-noise.ts'
import { createPeerGuard, type GuardOptions, type PeerGuard } from './guard.ts'
import * as limits from './limits.ts'
import { keepConnected } from './redial.ts'
import { createRequests } from './requests.ts'

export interface NetworkOptions {
  /**
   * The chain whose topics and requests are spoken. Undefined for a node that does not know its chain yet: it can ask and
   * serve `genesis` and nothing else; once it knows, it stops this network and makes one for its chain.
   */
  readonly chainId: Hash | undefined
  /** Seed of the Ed25519 peer identity, 32 bytes. Another key than the one that signs blocks or votes. */
  readonly privateKey: Uint8Array
  /** Multiaddrs to listen on; port 0 picks a free one. */
  readonly listen: readonly string[]
  /** Multiaddrs (with or without `/p2p/<peer id>`) that are kept connected for as long as the network runs. */
  readonly peers: readonly string[]
  /** An authority or validator, to which many light nodes connect. */
  readonly hub: boolean
  readonly clock: Clock
  readonly logger: Logger
  /** Hears what becomes of `peers`: each dial, and each connection that is lost. */
  readonly onDial?: (event: DialEvent) => void
}

/** What differs between Node and browsers. */
export type Platform = Pick<Libp2pOptions, 'connectionGater' | 'connectionProtector'> &
  Required<Pick<Libp2pOptions, 'transports'>> &
  Pick<GuardOptions, 'meter' | 'onMet'>

export interface PeerNetwork {
  /** Before `start` handlers may be given and nothing is sent. Without a chain every call throws `not_ready`. */
  readonly gossip: Gossip
  readonly requests: PeerRequests
  /** This node's own id. */
  readonly peerId: string
  /** Where this node can be reached, each ending in `/p2p/<peer id>`, with the real ports. Empty before `start`. */
  multiaddrs(): readonly string[]
  /** Connected peers that listen to a topic. */
  listeners(topic: GossipTopic): number
  /** Listens and begins to dial. Throws `not_ready` if an address cannot be listened on; nothing is left open then. */
  start(): Promise<void>
  /** Closes every stream, connection and listener, in at most about 1.5 s. Requests under way end with `peer_unreachable`. */
  stop(): Promise<void>
}

/**
 * libp2p for one chain: noise, yamux, identify, ping and gossipsub over the platform's transports. Throws `malformed` for
 * an address that is no multiaddr or a key of the wrong length.
 */
export async function createPeerNetwork(options: NetworkOptions, platform: Platform): Promise<PeerNetwork> {
  const { chainId, clock, logger } = options
  const addresses = options.peers.map((peer, index) => parseAddress(peer, `peers[${index}]`))
  options.listen.forEach((address, index) => parseAddress(address, `listen[${index}]`))
  const places = options.hub ? limits.HUB_PLACES : limits.LIGHT_PLACES
  const guard = createPeerGuard({ ...platform, places, clock, logger })
  const { node, gossipsub: service } = await createNode(options, platform, guard)

  const stopping = new AbortController()
  setMaxListeners(Infinity, stopping.signal)
  const onDial = options.onDial ?? (() => undefined)
  const context = { node, clock, logger, stopping: stopping.signal, onDial, guard }
  const requests = createRequests({ ...context, chainId })
  const gossip = chainId === undefined || service === undefined ? noGossip : createGossip(service, chainId, context)

  watchPeers(node, guard, clock)

  async function stop(): Promise<void> {
    stopping.abort(new Error('the node stops'))
    gossip.stop()
    requests.stop()
    const limit = deadline(clock, limits.STOP_LIMIT_MS, 'stopping', new AbortController().signal)
    try {
      await within(Promise.resolve(node.stop()), limit.signal)
    } catch (error) {
      logger.warn({ reason: reasonOf(error) }, 'connections were cut off')
      for (const connection of node.getConnections()) connection.abort(new Error('the node stops'))
    } finally {
      limit.clear()
    }
  }

  async function start(): Promise<void> {
    try {
      await requests.served()
      await node.start()
    } catch (error) {
      await stop()
      const reason = `cannot listen on ${options.listen.join(', ')}: ${listenReason(error)}`
      throw ledgerError('not_ready', { reason }, error)
    }
    gossip.start()
    // A network that asks for a genesis alone is followed by that of the chain, which connects again.
    const connectedLevel = chainId === undefined ? 'debug' : 'info'
    for (const address of addresses) void keepConnected(address, { ...context, connectedLevel })
  }

  return {
    gossip,
    requests,
    peerId: node.peerId.toString(),
    multiaddrs: () => node.getMultiaddrs().map((address) => address.toString()),
    listeners: (topic) => gossip.listeners(topic),
    start,
    stop,
  }
}

async function createNode(
  options: NetworkOptions,
  platform: Platform,
  guard: PeerGuard,
): Promise<{ readonly node: Libp2p; readonly gossipsub: GossipSub | undefined }> {
  const { chainId, hub } = options
  const { transports, connectionProtector } = platform
  const connectionGater = { ...platform.connectionGater, ...guard.gater }
  const base = {
    ...{ transports, connectionGater },
    ...(connectionProtector !== undefined && { connectionProtector }),
    ...(await baseOptions(options)),
    connectionEncrypters: [guardedNoise(guard)],
  }
  const services = { identify: identify(), ping: ping() }
  if (chainId === undefined) return { node: await createLibp2p({ ...base, services }), gossipsub: undefined }
  const node = await createLibp2p({
    ...base,
    services: { ...services, gossipsub: gossipsub(gossipSettings(chainId, hub)) },
  })
  return { node, gossipsub: node.services.gossipsub }
}

function watchPeers(node: Libp2p, guard: PeerGuard, clock: Clock): void {
  node.addEventListener('connection:open', ({ detail: { direction, remotePeer } }) => {
    if (direction === 'outbound') guard.trust(remotePeer.toString())
  })
  // libp2p remembers each peer for hours: anybody could make it remember millions.
  node.addEventListener('peer:disconnect', ({ detail: peer }) => {
    clock.after(limits.FORGET_PEER_MS, () => {
      if (node.status !== 'started' || node.getConnections(peer).length > 0) return
      node.peerStore.delete(peer).catch(() => undefined)
    })
  })
}

const AGENT = 'solar-node'

async function baseOptions({ privateKey, listen, hub }: NetworkOptions) {
  if (privateKey.byteLength !== 32) {
    throw protocolError('malformed', { path: 'privateKey', expected: '32 bytes', got: `${privateKey.byteLength}` })
  }
  return {
    start: false,
    // Identify tells it to whoever connects: no versions, by which a fault is found.
    nodeInfo: { name: AGENT, version: '', userAgent: AGENT },
    privateKey: await generateKeyPairFromSeed('Ed25519', privateKey),
    addresses: { listen: [...listen] },
    streamMuxers: [yamux({ maxEarlyStreams: limits.EARLY_STREAMS })],
    connectionManager: {
      // The guard and the door decide before these limits are reached.
      maxConnections: (hub ? limits.HUB_PLACES : limits.LIGHT_PLACES) + limits.OUTBOUND_CONNECTIONS,
      maxIncomingPendingConnections: 2 * limits.PENDING_CONNECTIONS,
      inboundConnectionThreshold: limits.INBOUND_CONNECTIONS_PER_SECOND,
      inboundUpgradeTimeout: limits.HANDSHAKE_LIMIT_MS,
    },
    connectionMonitor: {
      pingInterval: hub ? limits.HUB_PING_INTERVAL_MS : limits.LIGHT_PING_INTERVAL_MS,
      pingTimeout: { minTimeout: limits.PING_LIMIT_MS, maxTimeout: limits.PING_LIMIT_MS },
    },
  }
}

function parseAddress(text: string, path: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch (cause) {
    throw protocolError(
      'malformed',
      { path, expected: 'a multiaddr such as /ip4/127.0.0.1/tcp/4001', got: text },
      cause,
    )
  }
}

function withoutChain(): never {
  throw ledgerError('not_ready', { reason: 'gossip needs a chain, and this node does not know its chain yet' })
}

const noGossip: GossipOverLibp2p = {
  subscribe: withoutChain,
  publish: withoutChain,
  listeners: () => 0,
  start: () => undefined,
  stop: () => undefined,
}
