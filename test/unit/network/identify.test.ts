import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import { noise } from '@chainsafe/libp2p-noise'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../../src/node/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { CHAIN } from '../../helpers/network.ts'

describe('what identify tells a stranger', () => {
  it('is the name of the program, and no version', async () => {
    const parts = { chainId: CHAIN, peers: [], hub: true, clock: systemClock, logger: silentLogger }
    const listen = ['/ip4/127.0.0.1/tcp/0']
    const network = await createNodeNetwork({ ...parts, listen, privateKey: new Uint8Array(32).fill(7) })
    const stranger = await createLibp2p({
      transports: [tcp()],
      streamMuxers: [yamux()],
      connectionEncrypters: [noise()],
      services: { identify: identify() },
    })
    try {
      await network.start()
      const identified = once(stranger as unknown as EventTarget, 'peer:identify')
      await stranger.dial(multiaddr(network.multiaddrs()[0]))
      const [event] = (await identified) as [CustomEvent<{ agentVersion?: string }>]
      assert.equal(event.detail.agentVersion, 'solar-node')
    } finally {
      await stranger.stop()
      await network.stop()
    }
  })
})
