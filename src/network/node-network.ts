import './node-shims.ts'
import { preSharedKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { createDoor } from './door.ts'
import { createMeter } from './meter.ts'
import { createPeerNetwork, type NetworkOptions, type PeerNetwork } from './peer-network.ts'

export interface NodeNetworkOptions extends NetworkOptions {
  /** Of a private network, as the file has it: who has another, or none, gets no further than the first bytes. TCP alone. */
  readonly swarmKey?: Uint8Array | undefined
}

const meter = createMeter(() => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
})

/** The network of a Node process: listens and dials over TCP (`/ip4/…/tcp/4001`) and WebSocket (`/ip4/…/tcp/4002/ws`). */
export function createNodeNetwork({ swarmKey, ...options }: NodeNetworkOptions): Promise<PeerNetwork> {
  const door = createDoor(options.clock)
  const transports = swarmKey === undefined ? [tcp(), webSockets()] : [tcp()]
  return createPeerNetwork(options, {
    transports: transports.map((transport) => door.before(transport)),
    ...(swarmKey !== undefined && { connectionProtector: preSharedKey({ psk: swarmKey }) }),
    onMet: (from) => door.passed(from),
    meter,
  })
}
