import { once } from 'node:events'
import { connect } from 'node:net'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import { networkOptions } from '../../helpers/network.ts'

const UPGRADE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
const CHAIN = 'ab'.repeat(32)

describe('a node that listens for WebSockets', () => {
  let hub: PeerNetwork
  beforeEach(async () => {
    hub = await createNodeNetwork(
      networkOptions('hub', { chainId: CHAIN, hub: true, listen: ['/ip4/127.0.0.1/tcp/0/ws'] }),
    )
    await hub.start()
  })
  afterEach(() => hub.stop())

  for (const [what, frame] of [
    ['is none', Buffer.from([0xff, 0x80, 0, 0, 0, 0])],
    ['is longer than a message may be', Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4])],
  ] as const) {
    it(`ends a connection on which a frame ${what}, and takes the next one`, async () => {
      const port = Number(/\/tcp\/(\d+)/.exec(hub.multiaddrs()[0] ?? '')?.[1])
      for (const content of [frame, frame]) {
        const socket = connect(port, '127.0.0.1')
        socket.write(UPGRADE)
        await once(socket, 'data')
        socket.resume()
        const ended = once(socket, 'close')
        socket.write(content)
        await ended
      }
    })
  }
})
