import assert from 'node:assert/strict'
import { StrictNoSign } from '@chainsafe/libp2p-gossipsub'
import { multiaddr } from '@multiformats/multiaddr'
import { MAX_GOSSIP_BYTES } from '../../src/protocol/limits.ts'
import type { GossipTopic } from '../../src/ports/gossip.ts'
import { gossipSettings } from '../../src/network/gossip-settings.ts'
import type { NetworkOptions, PeerNetwork } from '../../src/network/peer-network.ts'
import { CHAIN, eventually, networkGroup, rawPeer, TCP, WS } from '../helpers/network.ts'

const HEADERS = `/solar-node/1/${CHAIN.slice(0, 16)}/headers`
const bytes = (text: string) => new TextEncoder().encode(text)
const text = (payload: Uint8Array) => new TextDecoder().decode(payload)

describe('gossip', () => {
  const networks = networkGroup()
  const raw: Awaited<ReturnType<typeof rawPeer>>[] = []
  afterEach(async () => {
    await networks.stopAll()
    await Promise.all(raw.splice(0).map(async ({ node }) => node.stop()))
  })

  async function startRaw(gossip: Parameters<typeof rawPeer>[0]) {
    const peer = await rawPeer(gossip)
    raw.push(peer)
    return peer
  }

  /** A network that notes what arrives: payload and sender. What starts with "bad" it rejects, with "old" it ignores. */
  async function startListening(name: string, topics: readonly GossipTopic[], options: Partial<NetworkOptions>) {
    const heard: { readonly payload: string; readonly from: string }[] = []
    const network = await networks.start(name, options, ({ gossip }) => {
      for (const topic of topics) {
        gossip.subscribe(topic, (payload, from) => {
          heard.push({ payload: text(payload), from })
          if (text(payload).startsWith('bad')) return Promise.resolve('reject')
          return Promise.resolve(text(payload).startsWith('old') ? 'ignore' : 'accept')
        })
      }
    })
    return { network, heard }
  }

  const startHub = () => startListening('hub', ['headers', 'votes', 'evidence'], { hub: true, listen: [TCP, WS] })
  const peersOf = ({ network }: { network: PeerNetwork }, index = 0) => ({ peers: [network.multiaddrs()[index] ?? ''] })

  it('brings each of 50 headers to each of 12 light nodes, half of them over WebSocket', async () => {
    const hub = await startHub()
    const lights = await Promise.all(
      Array.from({ length: 12 }, (_, index) => startListening(`light ${index}`, ['headers'], peersOf(hub, index % 2))),
    )
    await eventually('12 listeners', () => hub.network.listeners('headers') === 12)
    await eventually(
      'a message sent to all 12',
      async () => (await hub.network.gossip.publish('headers', bytes(`old ${Date.now()}`))) === 12,
    )
    const headers = Array.from({ length: 50 }, (_, height) => `header ${height}`)
    for (const header of headers) assert.equal(await hub.network.gossip.publish('headers', bytes(header)), 12)
    for (const { heard } of lights) {
      await eventually('all headers', () => heard.filter(({ payload }) => payload.startsWith('header')).length >= 50)
      const payloads = heard.map(({ payload }) => payload).filter((payload) => payload.startsWith('header'))
      assert.deepEqual(payloads.sort(), [...headers].sort())
    }
  })

  it('takes votes of light nodes that do not subscribe, to the hub alone', async () => {
    const hub = await startHub()
    const lights = await Promise.all(
      [0, 1, 2].map((index) => startListening(`light ${index}`, ['headers'], peersOf(hub, index % 2))),
    )
    for (const [index, { network }] of lights.entries()) {
      await eventually('the hub listens to votes', () => network.listeners('votes') === 1)
      assert.equal(await network.gossip.publish('votes', bytes(`vote ${index}`)), 1)
    }
    await eventually('three votes', () => hub.heard.length === 3)
    const expected = lights.map(({ network }, index) => ({ payload: `vote ${index}`, from: network.peerId }))
    assert.deepEqual(
      [...hub.heard].sort((a, b) => a.payload.localeCompare(b.payload)),
      expected,
    )
    assert.deepEqual(
      lights.flatMap(({ heard }) => heard),
      [],
    )
  })

  it('says that nobody was there, and sends the same bytes when somebody is', async () => {
    const light = await startListening('light', ['headers'], { listen: [TCP] })
    assert.equal(await light.network.gossip.publish('votes', bytes('vote')), 0)
    const hub = await startListening('hub', ['votes'], { hub: true, ...peersOf(light) })
    await eventually('sent', async () => (await light.network.gossip.publish('votes', bytes('vote'))) === 1)
    await eventually('heard', () => hub.heard.length === 1)
  })

  it('refuses to publish more than 8 KiB, and takes 8 KiB', async () => {
    const hub = await startHub()
    const light = await startListening('light', ['headers'], peersOf(hub))
    await eventually('a listener', () => hub.network.listeners('headers') === 1)
    await assert.rejects(hub.network.gossip.publish('headers', new Uint8Array(MAX_GOSSIP_BYTES + 1)), {
      code: 'malformed',
    })
    await eventually(
      'sent',
      async () => (await hub.network.gossip.publish('headers', new Uint8Array(MAX_GOSSIP_BYTES))) === 1,
    )
    await eventually('heard', () => light.heard.length === 1)
  })

  it('keeps hearing a peer after a few rejected messages and any number of ignored ones', async () => {
    const hub = await startHub()
    const light = await startListening('light', [], peersOf(hub))
    await eventually('a listener', () => light.network.listeners('headers') === 1)
    const payloads = [
      ...Array.from({ length: 5 }, (_, index) => `bad ${index}`),
      ...Array.from({ length: 200 }, (_, index) => `old ${index}`),
      'good',
    ]
    for (const payload of payloads) await light.network.gossip.publish('headers', bytes(payload))
    await eventually('the good one', () => hub.heard.some(({ payload }) => payload === 'good'))
    assert.equal(hub.heard.length, payloads.length)
  })

  it('stops reading a peer that goes on sending rejected messages, and only that peer', async () => {
    const hub = await startHub()
    const honest = await startListening('honest', ['headers'], peersOf(hub))
    const hostile = await startRaw({ globalSignaturePolicy: StrictNoSign })
    await hostile.node.dial(multiaddr(hub.network.multiaddrs()[0]))
    await eventually('topics known', () => hostile.gossipsub.getSubscribers(HEADERS).length === 1)
    const heardOf = (peer: string) => hub.heard.filter(({ from }) => from === peer).length
    let sent = 0
    await eventually('nothing of it is read any more', async () => {
      const before = heardOf(hostile.node.peerId.toString())
      for (let count = 0; count < 20; count++) await hostile.gossipsub.publish(HEADERS, bytes(`bad ${sent++}`))
      await new Promise((resolve) => setTimeout(resolve, 100))
      return before > 0 && heardOf(hostile.node.peerId.toString()) === before
    })
    assert.ok(heardOf(hostile.node.peerId.toString()) < sent)
    await eventually('the honest one is heard', async () => {
      await honest.network.gossip.publish('headers', bytes(`good ${Date.now()}`))
      return heardOf(honest.network.peerId) > 0
    })
    assert.ok(
      honest.heard.every(({ payload }) => !payload.startsWith('bad')),
      'rejected messages were passed on',
    )
  })

  it('rejects what is larger than 8 KiB or signed by libp2p, before any handler', async () => {
    const hub = await startHub()
    const unsigned = await startRaw({ globalSignaturePolicy: StrictNoSign })
    const signed = await startRaw({})
    for (const { node, gossipsub } of [unsigned, signed]) {
      await node.dial(multiaddr(hub.network.multiaddrs()[0]))
      await eventually('topics known', () => gossipsub.getSubscribers(HEADERS).length === 1)
    }
    await unsigned.gossipsub.publish(HEADERS, new Uint8Array(MAX_GOSSIP_BYTES + 1))
    await signed.gossipsub.publish(HEADERS, bytes('signed'))
    await unsigned.gossipsub.publish(HEADERS, bytes('last'))
    await eventually('the last', () => hub.heard.length > 0)
    assert.deepEqual(
      hub.heard.map(({ payload }) => payload),
      ['last'],
    )
  })

  it('remembers no topics but those of its chain, whatever a peer announces', async () => {
    const node = await startRaw(gossipSettings(CHAIN, true))
    const greedy = await startRaw({})
    const foreign = Array.from({ length: 3_000 }, (_, index) => `/spam/${index}`)
    greedy.gossipsub.subscribe('/spam/first')
    greedy.gossipsub.subscribe(HEADERS)
    await greedy.node.dial(multiaddr(node.address))
    await eventually('the topic of the chain', () => node.gossipsub.getSubscribers(HEADERS).length === 1)
    for (const topic of foreign) greedy.gossipsub.subscribe(topic)
    greedy.gossipsub.unsubscribe(HEADERS)
    await eventually('all announcements read', () => node.gossipsub.getSubscribers(HEADERS).length === 0)
    const known = ['/spam/first', ...foreign].filter((topic) => node.gossipsub.getSubscribers(topic).length > 0)
    assert.deepEqual(known, [])
  })

  it('calls a handler that fails an ignored message, and goes on', async () => {
    const hub = await networks.start('hub', { hub: true, listen: [TCP] }, ({ gossip }) =>
      gossip.subscribe('headers', () => Promise.reject(new Error('the database is gone'))),
    )
    const light = await startListening('light', [], { peers: [hub.multiaddrs()[0] ?? ''] })
    await eventually('a listener', () => light.network.listeners('headers') === 1)
    for (let index = 0; index < 30; index++) {
      assert.equal(await light.network.gossip.publish('headers', bytes(`header ${index}`)), 1)
    }
  })
})
