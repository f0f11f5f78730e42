import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES } from '../../src/protocol/limits.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { ledgerError } from '../../src/ports/errors.ts'
import type { RequestHandler } from '../../src/ports/peer-requests.ts'
import type { NetworkOptions, PeerNetwork } from '../../src/network/peer-network.ts'
import {
  CHAIN,
  connected,
  eventually,
  networkGroup,
  rawPeer,
  rawStream,
  realClock,
  TCP,
  WS,
} from '../helpers/network.ts'

/** Real time at a speed that a test may change; what is awaited already stays as it is. */
function changingClock(speed: number): Clock & { speed: number } {
  const clock = {
    speed,
    now: () => Date.now(),
    after: (delayMs: number, task: () => void) => realClock(clock.speed).after(delayMs, task),
  }
  return clock
}

const echo: RequestHandler = (params) => Promise.resolve({ echo: params })
const codeOf = (answer: string) => (JSON.parse(answer) as { error?: { code?: string } }).error?.code
const STATUS = `/solar-node/1/${CHAIN.slice(0, 16)}/status`

describe('requests between peers', () => {
  const networks = networkGroup()
  const raw: Awaited<ReturnType<typeof rawPeer>>[] = []
  afterEach(async () => {
    await networks.stopAll()
    await Promise.all(raw.splice(0).map(async ({ node }) => node.stop()))
  })

  async function startRaw() {
    const peer = await rawPeer()
    raw.push(peer)
    return peer
  }

  const startHub = (handler: RequestHandler = echo, options: Partial<NetworkOptions> = {}) =>
    networks.start('hub', { hub: true, listen: [TCP, WS], ...options }, ({ requests }) =>
      requests.serve('status', handler),
    )

  async function startLight(address: string | undefined, options: Partial<NetworkOptions> = {}): Promise<PeerNetwork> {
    return networks.start('light', { peers: [address ?? ''], ...options }, ({ requests }) =>
      requests.serve('status', echo),
    )
  }

  for (const [transport, index] of [
    ['TCP', 0],
    ['WebSocket', 1],
  ] as const) {
    it(`are asked and answered in both directions over ${transport}`, async () => {
      const hub = await startHub()
      const light = await startLight(hub.multiaddrs()[index])
      await Promise.all([connected(light, hub), connected(hub, light)])
      assert.deepEqual(await light.requests.request(hub.peerId, 'status', { from: 'light' }), {
        echo: { from: 'light' },
      })
      assert.deepEqual(await hub.requests.request(light.peerId, 'status', { from: 'hub' }), { echo: { from: 'hub' } })
    })
  }

  it('tell the handler who asks', async () => {
    const hub = await startHub((_, from) => Promise.resolve({ from }))
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { from: light.peerId })
  })

  it('are answered when a node begins with many of them in the moment it is connected', async () => {
    const names = ['status', 'headers', 'proof', 'history', 'anchor', 'votes'] as const
    const hub = await networks.start('hub', { hub: true, listen: [TCP] }, ({ requests }) => {
      for (const name of names) requests.serve(name, echo)
    })
    const answers = new Promise<unknown[]>((resolve, reject) => {
      const begin = (network: PeerNetwork) => (peer: string) => {
        const asked = names.flatMap((name) => [1, 2, 3, 4].map((a) => network.requests.request(peer, name, { a })))
        Promise.all(asked).then(resolve, reject)
      }
      networks
        .start('light', { peers: hub.multiaddrs().slice(0, 1) }, (light) => light.requests.onConnect(begin(light)))
        .catch(reject)
    })
    assert.equal((await answers).length, 24)
  })

  it('share one stream when they come one after another', async () => {
    const server = await startRaw()
    let streams = 0
    await server.node.handle(STATUS, async (stream) => {
      streams++
      const frames = rawStream(stream)
      for (let count = 0; count < 100; count++) await frames.send(await frames.receive())
    })
    const light = await startLight(server.address)
    await eventually('connected', () => light.requests.peers().length === 1)
    for (let count = 0; count < 100; count++) {
      assert.deepEqual(await light.requests.request(server.node.peerId.toString(), 'status', { count }), { count })
    }
    assert.equal(streams, 1)
  })

  it('wait for one of four streams when there are more at once, and all are answered', async () => {
    let running = 0
    let most = 0
    const hub = await startHub(async (params) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running--
      return { echo: params }
    })
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    const asked = Array.from({ length: 64 }, (_, index) => index)
    const answers = await Promise.all(asked.map((index) => light.requests.request(hub.peerId, 'status', { index })))
    assert.deepEqual(
      answers,
      asked.map((index) => ({ echo: { index } })),
    )
    assert.equal(most, 4)
  })

  it('are refused with the code of the SolarError that a handler throws', async () => {
    const hub = await startHub(() => Promise.reject(ledgerError('forbidden', { reason: 'not for \u00e4nyone' })))
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    await assert.rejects(
      light.requests.request(hub.peerId, 'status', {}),
      (error: { code: string; fields: object }) => {
        assert.equal(error.code, 'peer_refused')
        assert.deepEqual(error.fields, {
          peer: hub.peerId,
          request: 'status',
          code: 'forbidden',
          reason: 'not for ?nyone',
        })
        return true
      },
    )
  })

  it('are refused as internal when a handler fails otherwise, without a word of the reason', async () => {
    const hub = await startHub(() => Promise.reject(new Error('the password is 1234')))
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    await assert.rejects(
      light.requests.request(hub.peerId, 'status', {}),
      (error: Error & { fields: { code: string } }) => {
        assert.equal(error.fields.code, 'internal')
        assert.doesNotMatch(error.message, /1234/)
        return true
      },
    )
  })

  it('are not sent when larger than 64 KiB, and are refused when a peer sends them all the same', async () => {
    const hub = await startHub()
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    const text = 'x'.repeat(MAX_REQUEST_BYTES - '{"text":""}'.length)
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', { text }), { echo: { text } })
    await assert.rejects(light.requests.request(hub.peerId, 'status', { text: `${text}x` }), { code: 'malformed' })

    const stream = await (await startRaw()).open(hub, 'status')
    await stream.send(JSON.stringify({ text: `${text}x` }))
    assert.equal(codeOf(await stream.receive()), 'too_large')
    await stream.ended()
  })

  it('are refused when the answer would be larger than 4 MiB, and answered up to that', async () => {
    const fits = MAX_RESPONSE_BYTES - '{"text":""}'.length
    const hub = await startHub((params) =>
      Promise.resolve({ text: 'x'.repeat(fits + (params as { more: number }).more) }),
    )
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    const answer = await light.requests.request(hub.peerId, 'status', { more: 0 })
    assert.equal((answer as { text: string }).text.length, fits)
    await assert.rejects(light.requests.request(hub.peerId, 'status', { more: 1 }), {
      code: 'peer_refused',
      message: /too_large/,
    })
    const again = await light.requests.request(hub.peerId, 'status', { more: -fits })
    assert.deepEqual(again, { text: '' })
  })

  for (const [what, text] of [
    ['in another order of keys', '{"b":1,"a":2}'],
    ['with a space', '{"a": 1}'],
    ['with a fraction', '{"a":1.5}'],
    ['that are empty', ''],
    ['that are not UTF-8', '\ud800'],
  ] as const) {
    it(`are refused as not canonical when sent as bytes ${what}, and their stream ends`, async () => {
      const hub = await startHub()
      const stream = await (await startRaw()).open(hub, 'status')
      await stream.send('{"a":1}')
      assert.equal(await stream.receive(), '{"echo":{"a":1}}')
      await stream.send(text)
      assert.equal(codeOf(await stream.receive()), 'not_canonical')
      await stream.ended()
    })
  }

  it('are answered to others while one peer sends garbage on many streams', async () => {
    const hub = await startHub()
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    const hostile = await startRaw()
    const prefixes = [[0x80, 0x80, 0x80, 0x80, 0x01], [0xff], [0x80, 0x00], [0xff, 0xff, 0xff, 0x7f]]
    const garbage = Array.from({ length: 30 }, (_, round) => [...randomBytes(1 + 2_000 * round)])
    let streams = 0
    for (const bytes of [...prefixes, ...garbage]) {
      const stream = await hostile.open(hub, 'status')
      // Streams beyond the limit are reset before anything can be written to them.
      if (stream.stream.status === 'open') stream.sendBytes(...bytes)
      if (++streams % 3 === 0) stream.stream.abort(new Error('gone'))
    }
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', { a: 1 }), { echo: { a: 1 } })
  })

  it('end with peer_unreachable when the peer never answers', async () => {
    const server = await startRaw()
    await server.node.handle(STATUS, () => undefined)
    const light = await startLight(server.address, { clock: realClock(50) })
    await eventually('connected', () => light.requests.peers().length === 1)
    await assert.rejects(light.requests.request(server.node.peerId.toString(), 'status', {}), {
      code: 'peer_unreachable',
      message: /took longer than 10000 ms/,
    })
  })

  it('that wait behind a silent peer end in time too, and the next ones are answered', async () => {
    const server = await startRaw()
    let silent = true
    await server.node.handle(STATUS, async (stream) => {
      const frames = rawStream(stream)
      const request = await frames.receive()
      if (!silent) await frames.send(request)
    })
    const clock = changingClock(50)
    const light = await startLight(server.address, { clock })
    await eventually('connected', () => light.requests.peers().length === 1)
    const ask = () => light.requests.request(server.node.peerId.toString(), 'status', { a: 1 })
    await Promise.all(Array.from({ length: 10 }, () => assert.rejects(ask(), { code: 'peer_unreachable' })))
    silent = false
    clock.speed = 1
    assert.deepEqual(await ask(), { a: 1 })
  })

  it('let go of a stream that is no longer used', async () => {
    const server = await startRaw()
    // Fast once it has asked: the answer has its ten seconds, and the stream is idle for long soon.
    const clock = changingClock(1)
    const ended = new Promise<void>((resolve, reject) => {
      server.node
        .handle(STATUS, async (stream) => {
          const frames = rawStream(stream)
          const request = await frames.receive()
          clock.speed = 50
          await frames.send(request)
          await frames.ended()
          resolve()
        })
        .catch(reject)
    })
    const light = await startLight(server.address, { clock })
    await eventually('connected', () => light.requests.peers().length === 1)
    assert.deepEqual(await light.requests.request(server.node.peerId.toString(), 'status', {}), {})
    await ended
  })

  for (const [what, bytes] of [
    ['is not canonical', [8, ...Buffer.from('{"a": 1}')]],
    ['is larger than 4 MiB', [0x81, 0x80, 0x80, 0x02, 1, 2, 3]],
    ['is cut off', [100, 0x7b]],
  ] as const) {
    it(`end with peer_unreachable when the answer ${what}`, async () => {
      const server = await startRaw()
      await server.node.handle(STATUS, async (stream) => {
        stream.send(Uint8Array.from(bytes))
        await stream.close()
      })
      const light = await startLight(server.address)
      await eventually('connected', () => light.requests.peers().length === 1)
      const request = light.requests.request(server.node.peerId.toString(), 'status', {})
      await assert.rejects(request, { code: 'peer_unreachable' })
    })
  }

  it('end with peer_unreachable at once when nobody of that id is connected', async () => {
    const light = await networks.start('alone')
    const stranger = await networks.start('stranger')
    await assert.rejects(light.requests.request(stranger.peerId, 'status', {}), { message: /not connected/ })
    await assert.rejects(light.requests.request('no peer id', 'status', {}), { code: 'peer_unreachable' })
  })

  it('are answered for when the handler hangs, so that the stream goes on', async () => {
    const hub = await startHub(
      (params) => ((params as { hang: boolean }).hang ? new Promise<never>(() => undefined) : Promise.resolve({})),
      { clock: realClock(50) },
    )
    const stream = await (await startRaw()).open(hub, 'status')
    await stream.send('{"hang":true}')
    assert.equal(codeOf(await stream.receive()), 'internal')
    await stream.send('{"hang":false}')
    assert.equal(await stream.receive(), '{}')
  })

  it('leave no stream open that is idle, or stuck in a frame, or whose answer is not taken', async () => {
    const large = { text: 'x'.repeat(MAX_RESPONSE_BYTES - 100) }
    const hub = await startHub(() => Promise.resolve(large), { clock: realClock(50) })
    const peer = await startRaw()
    const idle = await peer.open(hub, 'status')
    const stuck = await peer.open(hub, 'status')
    stuck.sendBytes(100, 0x7b)
    const slow = await peer.open(hub, 'status')
    slow.stream.pause()
    await slow.send('{}')
    await Promise.all([idle.ended(), stuck.ended(), slow.ended()])
  })

  it('have at most eight streams of one peer and protocol, and others are still answered', async () => {
    const hub = await startHub()
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    const greedy = await startRaw()
    const streams: ReturnType<typeof rawStream>[] = []
    while (streams.length < 30) streams.push(await greedy.open(hub, 'status'))
    const answers = await Promise.allSettled(
      streams.map(async (stream) => {
        await stream.send('{}')
        return stream.receive()
      }),
    )
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 8)
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { echo: {} })
  })

  it('end with peer_unreachable when the asking node stops', async () => {
    const hub = await startHub(() => new Promise<never>(() => undefined))
    const light = await startLight(hub.multiaddrs()[0])
    await connected(light, hub)
    const request = assert.rejects(light.requests.request(hub.peerId, 'status', {}), { code: 'peer_unreachable' })
    await light.stop()
    await request
  })
})
