/** What attacks a node in `hostile-main.ts`, in a process of its own: argv has where the node is, as JSON. It goes on until it is killed. */
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createNodeNetwork } from '../../src/network/node-network.ts'
import type { PeerNetwork } from '../../src/network/peer-network.ts'
import { systemClock } from '../../src/node/clock.ts'
import type { GossipTopic } from '../../src/ports/gossip.ts'
import type { RequestName } from '../../src/ports/peer-requests.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import { canonicalBytes } from '../../src/protocol/canonical-json.ts'

export interface Target {
  readonly chainId: string
  readonly httpPort: number
  readonly tcpPort: number
  readonly wsPort: number
  readonly peers: readonly string[]
  /** A header of the chain, to make up others from. */
  readonly sealed: { readonly header: object; readonly signature: string }
}

const [, , argument = '{}'] = process.argv
const target = JSON.parse(argument) as Target
const hex = (bytes: number): string => randomBytes(bytes).toString('hex')
/** Of many addresses, none of them that of an honest node. */
const address = (n: number): string => `127.0.1.${1 + (n % 200)}`

/** Does one thing again and again, from several sides at once, whatever becomes of it. */
function keepDoing(sides: number, everyMs: number, what: (side: number) => unknown): void {
  for (let side = 0; side < sides; side++) {
    void (async () => {
      for (;;) {
        await Promise.resolve(what(side)).catch(() => undefined)
        await pause(everyMs)
      }
    })()
  }
}

/** Opens a socket, says this, and reads nothing; resolves when the node has closed it. */
function hold(port: number, from: string, say = ''): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    socket.pause()
    socket.on('connect', () => socket.write(say))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
}

const UPGRADE =
  'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'

function attackSockets({ httpPort, tcpPort, wsPort }: Target): void {
  keepDoing(100, 500, (side) => hold(tcpPort, address(side)))
  keepDoing(100, 500, (side) => hold(wsPort, address(side)))
  keepDoing(20, 500, (side) => hold(wsPort, address(side), `${UPGRADE}\xff\x80\x00\x00`))
  keepDoing(100, 500, (side) => hold(httpPort, address(side)))
  keepDoing(60, 500, (side) => hold(httpPort, address(side), 'GET /docs/json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50)))
  keepDoing(20, 500, (side) =>
    hold(httpPort, address(side), 'POST /orders/ HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n'),
  )
}

function attackOrders({ httpPort }: Target): void {
  keepDoing(8, 10, async () => {
    const order = { order_id: hex(8), user_id: 'ann', side: 'buy', kwh: '1', price_per_kwh: '0', timestamp: 1 }
    const body = JSON.stringify({ ...order, signature: hex(64) })
    const response = await fetch(`http://127.0.0.1:${httpPort}/orders/`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-forwarded-for': address(Number.parseInt(hex(1), 16)) },
      body,
    })
    await response.arrayBuffer()
  })
}

const questions: readonly (readonly [RequestName, () => object])[] = [
  ['headers', () => ({ from_height: 0, count: 512 })],
  ['anchor', () => ({ from_height: null, registry_height: null })],
  ['proof', () => ({ tx_hash: hex(32), at_height: null })],
  ['votes', () => ({ header_hash: hex(32) })],
  ['vote', () => ({ vote: hex(100) })],
  ['block', () => ({ junk: hex(20_000) })],
]

function messagesOf({ chainId, sealed }: Target): readonly (readonly [GossipTopic, () => object])[] {
  const vote = { chain_id: chainId, height: 1, decision: 'ack', voter_id: 'house-0' }
  return [
    ['votes', () => ({ ...vote, header_hash: hex(32), signature: hex(64) })],
    ['headers', () => ({ header: { ...sealed.header, height: 1_000, prev_hash: hex(32) }, signature: hex(64) })],
    ['evidence', () => ({ kind: 'double-seal', junk: hex(100) })],
  ]
}

/** A peer with a new name each time that it is cut off. */
async function attackAsPeer(side: number): Promise<void> {
  const network = await createNodeNetwork({
    chainId: target.chainId,
    privateKey: new Uint8Array(randomBytes(32)),
    listen: [],
    peers: target.peers.slice(side % target.peers.length).slice(0, 1),
    hub: false,
    clock: systemClock,
    logger: silentLogger,
  })
  await network.start()
  await pause(1_500)
  await Promise.all([askJunk(network), publishJunk(network, side)])
  await network.stop()
}

async function askJunk({ requests }: PeerNetwork): Promise<void> {
  const ask = async ([name, params]: (typeof questions)[number]): Promise<void> => {
    for (let peer = requests.peers()[0]; peer !== undefined; peer = requests.peers()[0]) {
      await requests.request(peer, name, params()).catch(() => undefined)
    }
  }
  await Promise.all(questions.map(ask))
}

async function publishJunk({ gossip, requests }: PeerNetwork, side: number): Promise<void> {
  const messages = messagesOf(target)
  const [topic, make] = messages[side % messages.length] ?? ['votes', () => ({})]
  while (requests.peers().length > 0) {
    for (let n = 0; n < 20; n++) await gossip.publish(topic, canonicalBytes(make()))
    await pause(20)
  }
}

attackSockets(target)
attackOrders(target)
keepDoing(6, 1_000, attackAsPeer)
console.log('attacking')
// Who started this process is gone.
process.stdin.resume().once('end', () => process.exit(1))
