import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import Fastify from 'fastify'
import {
  createEventStream,
  HEARTBEAT_MS,
  MAX_STREAMS,
  MAX_STREAMS_PER_ADDRESS,
} from '../../../src/http/event-stream.ts'
import { createMemoryLedger, DEVICES } from '../../helpers/memory-ledger.ts'
import { spentMs } from '../../helpers/patience.ts'
import { signVote } from '../../helpers/sign-now.ts'
import { createTestClock, doubleSeal, sealOne, startServer, type TestServer } from './harness.ts'

/** An event stream that gives its blocks (text between blank lines) one after another. */
async function listen(url: string, headers: Record<string, string> = {}) {
  const abort = new AbortController()
  const response = await fetch(`${url}/events`, { signal: abort.signal, headers })
  assert.equal(response.status, 200)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let waiting = ''
  const next = async (): Promise<string | undefined> => {
    for (;;) {
      const end = waiting.indexOf('\n\n')
      if (end >= 0) {
        const block = waiting.slice(0, end)
        waiting = waiting.slice(end + 2)
        return block
      }
      const { done, value } = await reader.read()
      if (done) return undefined
      waiting += value
    }
  }
  const nextEvent = async () => {
    const block = (await next()) ?? ''
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
    return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) as Record<string, unknown> }
  }
  return { response, next, nextEvent, close: () => abort.abort() }
}

describe('HTTP event stream', () => {
  let server: TestServer
  beforeEach(async () => {
    server = await startServer()
  })
  afterEach(() => server.stop())

  it('tells headers, votes, finality and evidence in order, each with its id', async () => {
    const stream = await listen(server.url)
    assert.match(stream.response.headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.match((await stream.next()) ?? '', /^retry: \d+$/)

    const { blockHash } = await sealOne(server)
    const vote = signVote(
      {
        chain_id: server.ledger.chainId,
        header_hash: blockHash,
        height: 0,
        voter_id: 'household-7.phone',
        decision: 'ack',
      },
      DEVICES['household-7.phone'].key,
    )
    await server.request('POST', `/blocks/${blockHash}/vote/`, { body: vote })
    server.ledger.emit({ type: 'final', header_hash: blockHash, height: 0, finalized_at: 5 })
    const evidence = doubleSeal(server.ledger)
    server.ledger.emit({ type: 'evidence', evidence })

    const { json } = await server.request('GET', '/blocks/latest-headers/?n=1')
    const header = await stream.nextEvent()
    assert.deepEqual([header.id, header.event], ['1', 'header'])
    assert.deepEqual([header.data], json.headers, 'a header has the shape it has elsewhere')
    assert.deepEqual(await stream.nextEvent(), {
      id: '2',
      event: 'vote',
      data: { vote, votes: { ack: 1, reject: 0, required: 2 } },
    })
    assert.deepEqual(await stream.nextEvent(), {
      id: '3',
      event: 'final',
      data: { header_hash: blockHash, height: 0, finalized_at: 5 },
    })
    assert.deepEqual(await stream.nextEvent(), { id: '4', event: 'evidence', data: { evidence } })
    stream.close()
  })

  it('beats while nothing happens, so that nobody takes it for dead', async () => {
    const stream = await listen(server.url)
    await stream.next()
    for (let i = 0; i < 2; i++) {
      server.clock.advance(HEARTBEAT_MS)
      assert.match((await stream.next()) ?? '', /^:/)
    }
    stream.close()
  })

  it('drops a client that does not read instead of keeping its events', async () => {
    const ledger = createMemoryLedger()
    const events = createEventStream(ledger, createTestClock())
    const app = Fastify().get('/events', (request, reply) => events.add(request, reply))
    events.open()
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const [lazy, eager] = await Promise.all(
      [1, 2].map(async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => undefined)
        socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n')
        await once(socket, 'readable')
        return socket
      }),
    )
    let heard = ''
    eager!.setEncoding('utf8').on('data', (chunk: string) => (heard = (heard + chunk).slice(-1_000)))
    assert.equal(events.size(), 2)
    // Far more than the kernel keeps for a socket that nobody reads; bounded, so that keeping it all fails here.
    for (let sent = 0; sent < 500_000 && events.size() === 2; sent += 500) {
      for (let height = sent; height < sent + 500; height++) {
        ledger.emit({ type: 'final', header_hash: 'f'.repeat(64), height, finalized_at: 1 })
      }
      while (!eager!.destroyed && !heard.includes(`"height":${sent + 499},`)) await once(eager!, 'data')
    }
    assert.equal(events.size(), 1, 'the client that reads is still there')
    events.close()
    lazy!.destroy()
    await app.close()
  })

  it('has room for a bounded number of clients', async () => {
    const streams = await Promise.all(Array.from({ length: MAX_STREAMS_PER_ADDRESS }, () => listen(server.url)))
    const refused = await server.request('GET', '/events')
    assert.deepEqual([refused.status, refused.json.code], [503, 'too_many_streams'])
    streams[0]!.close()
    let again = await fetch(`${server.url}/events`, { method: 'GET' })
    for (let i = 0; i < 100 && again.status !== 200; i++) again = await fetch(`${server.url}/events`)
    assert.equal(again.status, 200)
    await again.body?.cancel()
    for (const stream of streams) stream.close()
  })

  it('has room for an address of few clients when others have taken all of it', async () => {
    const from = (n: number) => ({ 'x-forwarded-for': `198.51.100.${n}` })
    const crowded = MAX_STREAMS / MAX_STREAMS_PER_ADDRESS
    const streams: Awaited<ReturnType<typeof listen>>[] = []
    for (let n = 0; n < MAX_STREAMS; n++) streams.push(await listen(server.url, from(n % crowded)))
    const newcomer = await listen(server.url, from(crowded))
    await streams[0]!.next()
    const ended = await streams[0]!.next().catch(() => undefined)
    assert.equal(ended, undefined, 'the oldest of the address with the most')
    for (const stream of [...streams, newcomer]) stream.close()
  })
})

describe('HTTP server', () => {
  const stopsInTime = async (server: TestServer) => {
    const since = spentMs()
    await server.stop()
    const ms = spentMs() - since
    assert.ok(ms < 2_000, `stopped after ${ms} ms`)
    await assert.rejects(fetch(`${server.url}/health`))
  }

  it('stops within 2 s with open event streams and idle connections', async () => {
    const server = await startServer()
    const stream = await listen(server.url)
    await stream.next()
    const agent = new Agent({ keepAlive: true })
    const [answer] = (await once(httpRequest(`${server.url}/health`, { agent }).end(), 'response')) as [IncomingMessage]
    answer.resume()
    await once(answer, 'end')
    assert.equal(server.ledger.listeners(), 1)
    await stopsInTime(server)
    assert.equal(await stream.next(), undefined, 'the stream ended')
    assert.equal(server.ledger.listeners(), 0)
    agent.destroy()
  })

  it('stops within 2 s with a request that never ends', async () => {
    let asked = (): void => undefined
    const reached = new Promise<void>((resolve) => (asked = resolve))
    const server = await startServer({
      wrap: (ledger) => ({
        ...ledger,
        latestHeaders: () => {
          asked()
          return new Promise(() => undefined)
        },
      }),
    })
    const hanging = server.request('GET', '/blocks/latest-headers/')
    const failed = assert.rejects(hanging)
    await reached
    await stopsInTime(server)
    await failed
  })

  it('answers what is in hand before it stops', async () => {
    let asked = (): void => undefined
    let answer = (): void => undefined
    const reached = new Promise<void>((resolve) => (asked = resolve))
    const allowed = new Promise<void>((resolve) => (answer = resolve))
    const server = await startServer({
      wrap: (ledger) => ({
        ...ledger,
        latestHeaders: async (n) => {
          asked()
          await allowed
          return ledger.latestHeaders(n)
        },
      }),
    })
    const request = server.request('GET', '/blocks/latest-headers/')
    await reached
    const stopped = server.stop()
    answer()
    assert.equal((await request).status, 200)
    await stopped
  })

  it('says why it cannot listen', async () => {
    const first = await startServer()
    await assert.rejects(startServer({ options: { port: first.port } }), { code: 'EADDRINUSE' })
    await first.stop()
  })

  it('may be stopped twice', async () => {
    const server = await startServer()
    await server.stop()
    await server.stop()
  })
})
