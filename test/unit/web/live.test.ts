import assert from 'node:assert/strict'
import { createApi } from '../../../src/web/api.ts'
import { follow, type EventStream } from '../../../src/web/live.ts'
import { genesisBook } from '../../../src/web/registry-book.ts'
import { createVoteLoader } from '../../../src/web/vote-loader.ts'
import { initialState, reduce, type PageState } from '../../../src/web/state.ts'
import { servePage } from './page-server.ts'
import { smallChain } from './small-chain.ts'

/** Streams and timers that the test moves by hand. */
function harness(resync: () => Promise<void>) {
  const streams: { fire: (name: string, data?: string) => void; closed: boolean }[] = []
  const timers: { delayMs: number; task: () => void }[] = []
  const connections: string[] = []
  const events: string[] = []
  const stop = follow({
    openStream() {
      const listeners = new Map<string, (event: { data: string }) => void>()
      const stream = { closed: false, fire: (name: string, data = '') => listeners.get(name)?.({ data }) }
      streams.push(stream)
      return {
        addEventListener: (name, listener) => void listeners.set(name, listener),
        close: () => (stream.closed = true),
      } satisfies EventStream
    },
    resync,
    probe: resync,
    onEvent: ({ type }) => events.push(type),
    onConnection: (connection) => connections.push(connection),
    after(delayMs, task) {
      const timer = { delayMs, task }
      timers.push(timer)
      return () => void timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0)
    },
  })
  return { streams, timers, connections, events, stop }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('web connection', () => {
  it('is live only once the newest headers were fetched', async () => {
    let answer: () => void = () => undefined
    const { streams, connections } = harness(() => new Promise((resolve) => (answer = resolve)))
    streams[0]?.fire('open')
    assert.deepEqual(connections, [])
    answer()
    await settled()
    assert.deepEqual(connections, ['live'])
  })

  it('comes back by itself, waiting longer each time', async () => {
    const { streams, timers, connections } = harness(() => Promise.resolve())
    const delays: number[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      streams.at(-1)?.fire('error')
      const timer = timers.pop()
      delays.push(timer?.delayMs ?? 0)
      timer?.task()
    }
    assert.deepEqual(delays, [500, 1000, 2000])
    streams.at(-1)?.fire('open')
    await settled()
    assert.equal(connections.at(-1), 'live')
    assert.deepEqual(
      streams.map(({ closed }) => closed),
      [true, true, true, false],
    )
  })

  it('notices a dead node although the stream stays open', async () => {
    let alive = true
    const { streams, timers, connections } = harness(() =>
      alive ? Promise.resolve() : Promise.reject(new Error('gone')),
    )
    streams[0]?.fire('open')
    await settled()
    alive = false
    timers.pop()?.task()
    await settled()
    assert.deepEqual(connections, ['live', 'reconnecting'])
  })

  it('begins again after an event that it cannot read', () => {
    const { streams, connections, events } = harness(() => Promise.resolve())
    streams[0]?.fire('final', '{"not":"an event"}')
    assert.deepEqual([events, connections], [[], ['reconnecting']])
  })

  it('stops for good', () => {
    const { streams, timers, connections, stop } = harness(() => Promise.resolve())
    stop()
    streams[0]?.fire('error')
    assert.deepEqual([streams[0]?.closed, timers.length, connections], [true, 0, []])
  })
})

describe('web calls', () => {
  it('fetches what the page shows, and every vote of the blocks it holds', async () => {
    const chain = smallChain()
    const server = await servePage(chain)
    try {
      for (let height = 0; height < 9; height++) {
        const block = chain.seal(height + 1, 1_760_000_100_000 + height)
        server.votes.set(block.header_hash, [chain.vote(block, 'house-ash')])
      }
      const api = createApi(fetch, server.url)
      const { headers } = await api.latestHeaders(100)
      let state: PageState = reduce(initialState(genesisBook(chain.genesis)), { type: 'snapshot', headers, at: 0 })
      await new Promise<void>((resolve) => {
        const loader = createVoteLoader({
          state: () => state,
          dispatch: (action) => {
            state = reduce(state, action)
            if (state.blocks.every(({ votesLoaded }) => votesLoaded)) resolve()
          },
          votes: api.votes,
        })
        loader.run()
      })
      assert.deepEqual(
        state.blocks.map(({ votes }) => votes.length),
        headers.map(() => 1),
      )
    } finally {
      await server.stop()
    }
  })

  it('says apart that a node refuses and that it does not answer', async () => {
    const server = await servePage(smallChain())
    await assert.rejects(createApi(fetch, server.url).votes('00'.repeat(32)), { code: 'refused' })
    await server.stop()
    await assert.rejects(createApi(fetch, server.url).latestHeaders(5), { code: 'unreachable' })
  })
})
