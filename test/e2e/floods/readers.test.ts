import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { createApp } from '../../../src/http/app.ts'
import { createMetrics } from '../../../src/http/metrics.ts'
import {
  ANSWER_LIMIT_MS,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_ADDRESS,
  MAX_PIPELINED,
  MAX_UNREAD_BYTES,
} from '../../../src/http/slow-readers.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { eventually } from '../../helpers/network.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'

const FLOOD = '127.0.0.7'
const OTHER = '127.0.0.8'
/** More than the system takes off the hands of a sender. */
const LARGE = 'x'.repeat(MAX_UNREAD_BYTES / 4)

describe('a flood of HTTP clients that do not read', () => {
  let app: FastifyInstance
  let clock: VirtualClock
  let port: number
  let sockets: Socket[]

  beforeEach(async () => {
    sockets = []
    clock = createVirtualClock(0)
    const created = await createApp({ metrics: createMetrics(), clock, logger: silentLogger })
    app = created.app
    app.get('/large', () => LARGE)
    app.get('/small', () => 'here')
    await app.listen({ host: '127.0.0.1', port: 0 })
    port = (app.server.address() as AddressInfo).port
  })
  afterEach(async () => {
    for (const socket of sockets) socket.destroy()
    await app.close()
  })

  async function open(localAddress: string): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    socket.on('error', () => undefined)
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }

  async function ask(path: string, localAddress: string): Promise<Socket> {
    const socket = await open(localAddress)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
    return socket
  }

  /** The first line of the answer; what follows stays unread. */
  async function firstLine(socket: Socket): Promise<string> {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    socket.pause()
    return chunk.toString('latin1').split('\r\n', 1)[0] ?? ''
  }

  const isServed = async (address: string) =>
    assert.equal(await firstLine(await ask('/small', address)), 'HTTP/1.1 200 OK')

  it('has a time to take an answer, and is cut off then', async () => {
    const slow = await ask('/large', FLOOD)
    assert.equal(await firstLine(slow), 'HTTP/1.1 200 OK')
    const serverEnd = new Promise<void>((resolve) => {
      app.server.getConnections((_, count) => assert.equal(count, 1))
      slow.once('close', () => resolve())
    })
    clock.advance(ANSWER_LIMIT_MS)
    slow.resume()
    await serverEnd
    assert.ok(slow.bytesRead < LARGE.length, 'the rest never came')
  })

  it('makes the node keep so much for its address, and for no other the less', async () => {
    for (let n = 0; n < 4; n++) assert.equal(await firstLine(await ask('/large', FLOOD)), 'HTTP/1.1 200 OK')
    assert.equal(await firstLine(await ask('/large', FLOOD)), 'HTTP/1.1 429 Too Many Requests')
    assert.equal(await firstLine(await ask('/large', OTHER)), 'HTTP/1.1 200 OK')
    for (const socket of sockets.splice(0)) socket.destroy()
    await eventually('what nobody reads is forgotten', async () => {
      const again = await ask('/large', FLOOD)
      const line = await firstLine(again)
      if (line !== 'HTTP/1.1 200 OK') again.destroy()
      return line === 'HTTP/1.1 200 OK'
    })
  })

  it('sends many requests at once, and has some of them answered', async () => {
    const socket = await open(FLOOD)
    const many = 10 * MAX_PIPELINED
    socket.write(
      'GET /large HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1) + 'GET /small HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(many),
    )
    let text = ''
    const answers = (status: string): number => text.split(`HTTP/1.1 ${status}`).length - 1
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1').replaceAll('x', '')))
    await eventually('all are answered', () => answers('200 OK') + answers('429 Too Many Requests') === many + 1)
    assert.equal(answers('200 OK'), MAX_PIPELINED)
    await isServed(FLOOD)
  })

  it('has so many connections of an address, and keeps no other out', async () => {
    for (let n = 0; n < MAX_CONNECTIONS_PER_ADDRESS; n++) await open(FLOOD)
    const refused = await open(FLOOD)
    refused.resume()
    await once(refused, 'close')
    await isServed(OTHER)
  })

  it('of several addresses gives way to one with fewer connections', async () => {
    const addresses = Array.from(
      { length: MAX_CONNECTIONS / MAX_CONNECTIONS_PER_ADDRESS },
      (_, n) => `127.0.0.${20 + n}`,
    )
    for (const address of addresses) {
      await Promise.all(Array.from({ length: MAX_CONNECTIONS_PER_ADDRESS }, () => open(address)))
    }
    await isServed(OTHER)
    await eventually('one of them was closed', () => sockets.some((socket) => socket.resume().readyState !== 'open'))
  })
})
