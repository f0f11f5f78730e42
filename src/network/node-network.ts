import './node-shims.ts'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createDoor } from './door.ts'
import { createPeerNetwork, type NetworkOptions, type PeerNetwork } from './peer-network.ts'

/** The network of a Node process: listens and dials over TCP (`/ip4/…/tcp/4001`) and WebSocket (`/ip4/…/tcp/4002/ws`). */
export function createNodeNetwork(options: NetworkOptions): Promise<PeerNetwork> {
  const door = createDoor(options.clock)
  return createPeerNetwork(options, {
    transports: [door.before(tcp()), door.before(webSockets())],
    onMet: (from) => door.passed(from),
    usedMs: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1_000
    },
  })
}
