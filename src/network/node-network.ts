import './node-shims.ts'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createPeerNetwork, type NetworkOptions, type PeerNetwork } from './peer-network.ts'

/** The network of a Node process: listens and dials over TCP (`/ip4/…/tcp/4001`) and WebSocket (`/ip4/…/tcp/4002/ws`). */
export function createNodeNetwork(options: NetworkOptions): Promise<PeerNetwork> {
  return createPeerNetwork(options, { transports: [tcp(), webSockets()] })
}
