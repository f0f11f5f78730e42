import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { WebSocket } from 'ws'
import { PENDING_CONNECTIONS } from '../../../src/network/limits.ts'
import { MAX_CONNECTIONS_OF_PEER } from '../../../src/network/places.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import { connected, eventually, networkGroup, portOf, rawPeer, realClock, TCP, WS } from '../../helpers/network.ts'

const FLOOD_ADDRESS = '127.0.0.7'

describe('a flood of connections', () => {
  const networks = networkGroup()
  const sockets: Socket[] = []
  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const stop of stops.splice(0)) await stop()
    await networks.stopAll()
  })

  const startHub = (listen: string, speed = 1) =>
    networks.start('hub', { hub: true, listen: [listen], clock: realClock(speed) }, ({ requests }) =>
      requests.serve('status', () => Promise.resolve({ mode: 'authority' })),
    )

  /** A socket that says nothing, once the system has connected it. */
  async function silent(port: number, localAddress = FLOOD_ADDRESS): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    socket.on('error', () => undefined)
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }

  async function isServed(hub: PeerNetwork, name: string): Promise<void> {
    const light = await networks.start(name, { peers: [...hub.multiaddrs()] })
    await connected(light, hub)
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { mode: 'authority' })
  }

  for (const [transport, listen] of [
    ['TCP', TCP],
    ['WebSocket', WS],
  ] as const) {
    it(`over ${transport} that says nothing gives way to who speaks, and ends by itself`, async () => {
      // Ten times as fast, so that the ten seconds of a handshake are one.
      const hub = await startHub(listen, 10)
      const port = portOf(hub.multiaddrs()[0])
      // One by one would be slower than their limit; more than libp2p takes in a second from one address.
      await Promise.all(Array.from({ length: 64 }, (_, n) => silent(port, `127.0.0.${10 + (n % 8)}`)))
      await isServed(hub, 'light')
      await eventually('silent sockets end', () => sockets.every((socket) => socket.readyState === 'closed'), 15_000)
    })

    it(`over ${transport} that says nothing has so many places, the oldest of the address with the most goes`, async () => {
      const hub = await startHub(listen)
      const port = portOf(hub.multiaddrs()[0])
      const addresses = Array.from({ length: 6 }, (_, n) => `127.0.0.${20 + n}`)
      for (let n = 0; n < PENDING_CONNECTIONS / 4; n++) {
        await Promise.all(addresses.map((address) => silent(port, address)))
      }
      const open = () => sockets.filter((socket) => socket.readyState !== 'closed').length
      await eventually('the rest is closed', () => open() <= PENDING_CONNECTIONS)
      await isServed(hub, 'light')
    })
  }

  it('by one peer has some places, and keeps nobody else out', async () => {
    const hub = await startHub(TCP)
    const flood = await rawPeer()
    stops.push(() => flood.node.stop())
    const target = multiaddr(hub.multiaddrs()[0])
    const results = await Promise.allSettled(
      Array.from({ length: 3 * MAX_CONNECTIONS_OF_PEER }, () => flood.node.dial(target, { force: true })),
    )
    assert.ok(results.some(({ status }) => status === 'fulfilled'))
    await eventually(
      'the rest is refused',
      () => flood.node.getConnections().filter(({ status }) => status === 'open').length <= MAX_CONNECTIONS_OF_PEER,
    )
    await isServed(hub, 'light')
  })

  for (const [what, frame] of [
    ['that is none', Buffer.from([0xff, 0x80, 0, 0, 0, 0])],
    ['of more than a message may have', Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x10, 0, 0, 0, 1, 2, 3, 4])],
  ] as const) {
    it(`with a WebSocket frame ${what} ends that connection, and nothing else`, async () => {
      const hub = await startHub(WS)
      const socket = await silent(portOf(hub.multiaddrs()[0]))
      socket.write(
        'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
      )
      await once(socket, 'data')
      socket.resume()
      const ended = once(socket, 'close')
      socket.write(frame)
      await ended
      await isServed(hub, 'light')
    })
  }

  it('of WebSockets that send messages without end before a handshake is not kept in memory', async () => {
    const hub = await startHub(WS)
    const flood = new WebSocket(`ws://127.0.0.1:${portOf(hub.multiaddrs()[0])}`, { perMessageDeflate: false })
    flood.on('error', () => undefined)
    await once(flood, 'open')
    const closed = once(flood, 'close')
    const part = Buffer.alloc(64 * 1024)
    let sent = 0
    while (flood.readyState === WebSocket.OPEN && sent < 64) {
      await new Promise((resolve) => flood.send(part, { fin: false }, resolve))
      sent++
    }
    await closed
    assert.ok(sent < 64, `${sent} parts of 64 KiB were taken`)
    await isServed(hub, 'light')
  })
})
