import { webSockets } from '@libp2p/websockets'
import { createMeter } from './meter.ts'
import { createPeerNetwork, type NetworkOptions, type PeerNetwork } from './peer-network.ts'

/** No page is told what its code costs: what passes while requests are in hand counts. */
const meter = createMeter(() => performance.now())

/** The network of a browser: dials over WebSocket, listens on nothing. */
export function createBrowserNetwork(options: Omit<NetworkOptions, 'listen' | 'hub'>): Promise<PeerNetwork> {
  return createPeerNetwork(
    { ...options, listen: [], hub: false },
    {
      transports: [webSockets()],
      meter,
      // libp2p's default gater refuses private addresses and ws without TLS in browsers: a home gateway has just those.
      // What is dialled is what the application names, and every answer is checked.
      connectionGater: { denyDialMultiaddr: () => false },
    },
  )
}
