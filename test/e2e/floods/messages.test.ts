import assert from 'node:assert/strict'
import { multiaddr } from '@multiformats/multiaddr'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import { topicName } from '../../../src/network/names.ts'
import { sha256 } from '../../../src/protocol/hash.ts'
import { isSolarError, protocolError } from '../../../src/protocol/errors.ts'
import { CHAIN, connected, eventually, networkGroup, rawPeer, TCP } from '../../helpers/network.ts'

type RawPeer = Awaited<ReturnType<typeof rawPeer>>

const bytes = (text: string) => new TextEncoder().encode(text)

/** Asks on one stream until that ends, and notes what is not an empty answer. */
async function askForEver(flood: RawPeer, hub: PeerNetwork, name: string, others: string[] = []): Promise<void> {
  const stream = await flood.open(hub, name)
  const ended = stream.ended().then(() => undefined)
  for (;;) {
    // Neither comes to an end on a connection that is gone.
    const answer = await Promise.race([stream.send('{}').then(() => stream.receive()), ended])
    if (answer === undefined) return
    if (answer !== '{}') others.push(answer)
  }
}

/** Uses the processor for a while, as a large question does. */
function work(ms: number): void {
  const { user } = process.cpuUsage()
  while (process.cpuUsage().user - user < ms * 1_000);
}

describe('a flood of messages by one peer', () => {
  const networks = networkGroup()
  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
    await networks.stopAll()
  })

  const startHub = (prepare: (network: PeerNetwork) => void) =>
    networks.start('hub', { hub: true, listen: [TCP] }, (network) => {
      network.requests.serve('status', () => Promise.resolve({ mode: 'authority' }))
      prepare(network)
    })

  async function startLight(hub: PeerNetwork, name: string): Promise<PeerNetwork> {
    const light = await networks.start(name, { peers: [...hub.multiaddrs()] })
    await connected(light, hub)
    return light
  }

  async function startFlood(hub: PeerNetwork) {
    const flood = await rawPeer({ globalSignaturePolicy: 'StrictNoSign', msgIdFn: ({ data }) => sha256(data) })
    stops.push(() => flood.node.stop())
    await flood.node.dial(multiaddr(hub.multiaddrs()[0]))
    const isConnected = () => flood.node.getConnections().some(({ status }) => status === 'open')
    return { ...flood, isConnected, publish: (topic: 'votes', data: string) => publish(flood, topic, data) }
  }
  const publish = async ({ gossipsub }: RawPeer, topic: 'votes', data: string) =>
    await gossipsub.publish(topicName(CHAIN, topic), bytes(data)).catch(() => undefined)

  for (const [verdict, many] of [
    ['ignore', 20_000],
    ['reject', 40],
  ] as const) {
    it(`that come to nothing (${verdict}) ends with its connection, and it stays out; others are heard`, async () => {
      let heard = 0
      const honest: string[] = []
      const hub = await startHub(({ gossip }) =>
        gossip.subscribe('votes', (payload) => {
          const text = new TextDecoder().decode(payload)
          if (text.startsWith('junk')) heard++
          else honest.push(text)
          return Promise.resolve(text.startsWith('junk') ? verdict : 'accept')
        }),
      )
      const light = await startLight(hub, 'light')
      const flood = await startFlood(hub)
      await eventually('the hub listens', () => flood.gossipsub.getSubscribers(topicName(CHAIN, 'votes')).length > 0)
      for (let n = 0; n < many && flood.isConnected(); n++) {
        await flood.publish('votes', `junk ${n}`)
        if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await eventually('it is cut off', () => !flood.isConnected())
      assert.ok(heard > 0 && heard < many, `${heard} of ${many} were looked at`)
      await assert.rejects(async () => {
        await flood.node.dial(multiaddr(hub.multiaddrs()[0]))
        await eventually('it is out again', () => !flood.isConnected())
        throw new Error('cut off')
      })
      await eventually('the hub listens to the light node', () => light.listeners('votes') === 1)
      assert.equal(await light.gossip.publish('votes', bytes('honest')), 1)
      await eventually('the honest vote is heard', () => honest.includes('honest'))
    })
  }

  it('of dear questions is answered at the pace of its share, while others are answered at once', async () => {
    let answered = 0
    const hub = await startHub(({ requests }) =>
      requests.serve('anchor', () => {
        work(200)
        answered++
        return Promise.resolve({})
      }),
    )
    const flood = await startFlood(hub)
    const refusals: string[] = []
    const asking = Promise.allSettled(Array.from({ length: 8 }, () => askForEver(flood, hub, 'anchor', refusals)))
    await eventually('it is told that it asks too much, or cut off', () => refusals.length > 0 || !flood.isConnected())
    const before = answered
    const light = await startLight(hub, 'light')
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { mode: 'authority' })
    await flood.node.stop()
    await asking
    assert.ok(before < 100, `${before} questions were answered`)
    for (const refusal of refusals) assert.match(refusal, /"code":"too_many_requests"/)
  })

  it('of questions that are none costs it its place', async () => {
    const hub = await startHub(({ requests }) =>
      requests.serve('vote', () => {
        throw protocolError('malformed', { path: 'vote', expected: 'a vote', got: 'nothing' })
      }),
    )
    const light = await startLight(hub, 'light')
    const flood = await startFlood(hub)
    await Promise.allSettled(Array.from({ length: 8 }, () => askForEver(flood, hub, 'vote')))
    await eventually('it is cut off', () => !flood.isConnected())
    await assert.rejects(light.requests.request(hub.peerId, 'vote', {}), (error) => isSolarError(error, 'peer_refused'))
  })

  it('is forgiven who has shown that it is known here', async () => {
    let flooded = 0
    const hub = await startHub(({ gossip }) =>
      gossip.subscribe('votes', () => {
        flooded++
        return Promise.resolve('ignore')
      }),
    )
    const light = await startLight(hub, 'a validator')
    hub.requests.vouch(light.peerId, 'key of a validator', () => 'member')
    await eventually('the hub listens', () => light.listeners('votes') === 1)
    for (let n = 0; n < 5_000; n++) await light.gossip.publish('votes', bytes(`early ${n}`))
    await eventually('all are looked at', () => flooded === 5_000)
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { mode: 'authority' })
  })
})
