import './node-shims.ts'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createPeerNetwork, type NetworkOptions, type PeerNetwork } from './peer-network.ts'
import { withGuardedFrames } from './web-socket-frames.ts'

export interface NodeNetworkOptions extends NetworkOptions {
  /** Of a private network, as the file has it: who has another, or none, gets no further than the first bytes. TCP alone. */
  readonly swarmKey?: Uint8Array | undefined
}

/** The network of a Node process: listens and dials over TCP (`/ip4/…/tcp/4001`) and WebSocket (`/ip4/…/tcp/4002/ws`). */
export function createNodeNetwork({ swarmKey, ...options }: NodeNetworkOptions): Promise<PeerNetwork> {
  if (swarmKey === undefined)
    return createPeerNetwork(options, { transports: [tcp(), withGuardedFrames(webSockets())] })
  return createPeerNetwork(options, {
    transports: [tcp()],
    connectionProtector: preSharedKey({ psk: swarmKey }),
  })
}
