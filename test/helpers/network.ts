import { createNodeNetwork } from '../../src/network/node-network.ts'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { gossipsub, type GossipsubOpts } from '@chainsafe/libp2p-gossipsub'
import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import type { Stream } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { lpStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { sha256 } from '../../src/protocol/hash.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import type { NetworkOptions, PeerNetwork } from '../../src/network/peer-network.ts'

export { eventually } from './patience.ts'

export const CHAIN = 'c0'.repeat(32)
export const OTHER_CHAIN = '0d'.repeat(32)
export const TCP = '/ip4/127.0.0.1/tcp/0'
export const WS = '/ip4/127.0.0.1/tcp/0/ws'

/** Real time; with `speed` 10, a limit of ten seconds is over after one. */
export function realClock(speed = 1): Clock {
  return {
    now: () => Date.now(),
    after: (delayMs, task) => {
      const timer = setTimeout(task, delayMs / speed)
      return () => clearTimeout(timer)
    },
  }
}

/** Options of a light node of `CHAIN` that listens nowhere; its peer identity follows from `name`. */
export const networkOptions = (name: string, options: Partial<NetworkOptions> = {}): NetworkOptions => ({
  chainId: CHAIN,
  privateKey: sha256(`peer ${name}`),
  listen: [],
  peers: [],
  hub: false,
  clock: realClock(),
  logger: silentLogger,
  ...options,
})

/** Networks of one test; `stopAll` belongs into afterEach. */
export function networkGroup() {
  const networks: PeerNetwork[] = []
  return {
    /** Makes a network; `prepare` may serve and subscribe before it starts. */
    start: async (
      name: string,
      options: Partial<NetworkOptions> = {},
      prepare: (network: PeerNetwork) => void = () => undefined,
    ): Promise<PeerNetwork> => {
      const network = await createNodeNetwork(networkOptions(name, options))
      networks.push(network)
      prepare(network)
      await network.start()
      return network
    },
    stopAll: async (): Promise<void> => {
      await Promise.all(networks.splice(0).map((network) => network.stop()))
    },
  }
}

/** Resolves once `network` is connected to `peer`. */
export function connected(network: PeerNetwork, peer: PeerNetwork): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!network.requests.peers().includes(peer.peerId)) return
      stopListening()
      resolve()
    }
    const stopListening = network.requests.onConnect(() => queueMicrotask(check))
    queueMicrotask(check)
  })
}

/** A libp2p node that speaks none of this project's protocols by itself: what a hostile or foreign peer may be. */
export async function rawPeer(gossip: Partial<GossipsubOpts> = {}) {
  const node = await createLibp2p({
    addresses: { listen: [TCP] },
    transports: [tcp()],
    streamMuxers: [yamux()],
    connectionEncrypters: [noise()],
    services: {
      identify: identify(),
      ping: ping(),
      gossipsub: gossipsub({ allowPublishToZeroTopicPeers: true, ...gossip }),
    },
  })
  const address = node.getMultiaddrs()[0]?.toString() ?? ''
  return {
    node,
    address,
    gossipsub: node.services.gossipsub,
    /** Opens a stream of a request protocol to `network`. */
    open: async (network: PeerNetwork, name: string, chainId = CHAIN) => {
      const connection = await node.dial(multiaddr(network.multiaddrs()[0]))
      const stream = await connection.newStream(`/solar-node/1/${chainId.slice(0, 16)}/${name}`)
      return rawStream(stream)
    },
  }
}

/** A stream of which a test decides every byte. */
export function rawStream(stream: Stream) {
  const lp = lpStream(stream)
  return {
    stream,
    send: (text: string) => lp.write(new TextEncoder().encode(text)),
    sendBytes: (...bytes: number[]) => stream.send(Uint8Array.from(bytes)),
    receive: async () => new TextDecoder().decode((await lp.read()).subarray()),
    /** Resolves when the other side has ended or reset the stream. */
    ended: () =>
      new Promise<void>((resolve) => {
        if (stream.status !== 'open' || stream.remoteWriteStatus !== 'writable') resolve()
        stream.addEventListener('remoteCloseWrite', () => resolve())
        stream.addEventListener('close', () => resolve())
      }),
  }
}

/** A TCP relay, on a free port unless `at` names one, whose connections can fall silent without being closed, as when a cable is pulled. */
export async function relayTo(port: number, at = 0) {
  const sockets = new Set<Socket>()
  const server = createServer((inbound) => {
    const outbound = connect(port, '127.0.0.1')
    for (const socket of [inbound, outbound]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => sockets.delete(socket))
    }
    inbound.pipe(outbound)
    outbound.pipe(inbound)
  })
  server.listen(at, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    /** What is connected now never hears anything again; new connections work. */
    fallSilent: () => {
      for (const socket of sockets) {
        socket.unpipe()
        socket.removeAllListeners('data')
        socket.pause()
      }
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The TCP port in a multiaddr. */
export const portOf = (address: string | undefined): number => Number(/\/tcp\/(\d+)/.exec(address ?? '')?.[1])
