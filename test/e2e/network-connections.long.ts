import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { NetworkOptions, PeerNetwork } from '../../src/network/peer-network.ts'
import { createNodeNetwork } from '../../src/network/node-network.ts'
import {
  CHAIN,
  connected,
  eventually,
  networkGroup,
  networkOptions,
  OTHER_CHAIN,
  portOf,
  relayTo,
  TCP,
  WS,
} from '../helpers/network.ts'
import { spentMs } from '../helpers/patience.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const serveStatus = ({ requests }: PeerNetwork) =>
  requests.serve('status', () => Promise.resolve({ mode: 'authority' }))

describe('connections', () => {
  const networks = networkGroup()
  const cleanups: (() => Promise<void>)[] = []
  afterEach(async () => {
    await networks.stopAll()
    for (const cleanup of cleanups.splice(0)) await cleanup()
  })

  const startHub = (options: Partial<NetworkOptions> = {}) =>
    networks.start('hub', { hub: true, listen: [TCP, WS], ...options }, serveStatus)

  it('are told by multiaddrs that end in the peer id, with the real ports', async () => {
    const hub = await startHub()
    assert.equal(hub.multiaddrs().length, 2)
    for (const address of hub.multiaddrs()) {
      assert.ok(address.endsWith(`/p2p/${hub.peerId}`))
      assert.ok(portOf(address) > 0)
    }
    assert.equal((await createNodeNetwork(networkOptions('hub'))).peerId, hub.peerId)
  })

  for (const [what, rewrite] of [
    ['without a peer id', (address: string) => address.replace(/\/p2p\/.*/, '')],
    ['by name', (address: string) => address.replace('/ip4/127.0.0.1', '/dns4/localhost')],
  ] as const) {
    it(`are made to addresses ${what}, over TCP and WebSocket`, async () => {
      const hub = await startHub()
      for (const address of hub.multiaddrs()) {
        const light = await networks.start(`light of ${address}`, { peers: [rewrite(address)] })
        await connected(light, hub)
        assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { mode: 'authority' })
      }
    })
  }

  for (const [transport, listen] of [
    ['TCP', '/ip4/127.0.0.1/tcp/0'],
    ['WebSocket', '/ip4/127.0.0.1/tcp/0/ws'],
  ] as const) {
    it(`come back over ${transport} when the hub restarts on its port, and requests and gossip with them`, async () => {
      const hub = await startHub({ listen: [listen] })
      const address = hub.multiaddrs()[0] ?? ''
      const heard: string[] = []
      let connections = 0
      const light = await networks.start('light', { peers: [address] }, ({ gossip, requests }) => {
        gossip.subscribe('headers', (payload) => {
          heard.push(new TextDecoder().decode(payload))
          return Promise.resolve('accept')
        })
        requests.onConnect(() => connections++)
      })
      await connected(light, hub)
      await hub.stop()
      await eventually('the loss is noticed', () => light.requests.peers().length === 0)
      const again = await startHub({ listen: [address.replace(/\/p2p\/.*/, '')] })
      const restartedAt = spentMs()
      await connected(light, again)
      assert.ok(spentMs() - restartedAt < 1_500, 'redialled within about a second')
      assert.equal(connections, 2)
      assert.deepEqual(await light.requests.request(again.peerId, 'status', {}), { mode: 'authority' })
      await eventually('the light node listens', () => again.listeners('headers') === 1)
      await eventually('sent', async () => (await again.gossip.publish('headers', bytes('after the restart'))) === 1)
      await eventually('heard', () => heard.includes('after the restart'))
    })
  }

  it('are made when the hub comes up later than the light node', async () => {
    const hub = await startHub()
    const address = hub.multiaddrs()[0] ?? ''
    await hub.stop()
    const light = await networks.start('light', { peers: [address] })
    const later = await startHub({ listen: [address.replace(/\/p2p\/.*/, '')] })
    await connected(light, later)
  })

  it('are renewed within some seconds when they fall silent without being closed', async () => {
    const hub = await startHub()
    const relay = await relayTo(portOf(hub.multiaddrs()[1]))
    cleanups.push(relay.close)
    const light = await networks.start('light', { peers: [`/ip4/127.0.0.1/tcp/${relay.port}/ws`] })
    await connected(light, hub)
    const lost = new Promise<void>((resolve) => {
      light.requests.onConnect(() => resolve())
    })
    relay.fallSilent()
    const silentAt = spentMs()
    await lost
    assert.ok(spentMs() - silentAt < 9_000)
    assert.deepEqual(await light.requests.request(hub.peerId, 'status', {}), { mode: 'authority' })
  })

  it('of two chains do not mix, though both may ask for the genesis', async () => {
    const heard: string[] = []
    const hub = await networks.start('hub', { hub: true, listen: [TCP] }, (network) => {
      serveStatus(network)
      network.requests.serve('genesis', () => Promise.resolve({ genesis: 'of this chain' }))
      network.gossip.subscribe('votes', (_, from) => {
        heard.push(from)
        return Promise.resolve('accept')
      })
    })
    const options = { peers: [hub.multiaddrs()[0] ?? ''] }
    const light = await networks.start('light', options, ({ gossip }) =>
      gossip.subscribe('headers', () => Promise.resolve('accept')),
    )
    const strangerHeard: Uint8Array[] = []
    const stranger = await networks.start('stranger', { ...options, chainId: OTHER_CHAIN }, (network) => {
      serveStatus(network)
      network.gossip.subscribe('headers', (payload) => {
        strangerHeard.push(payload)
        return Promise.resolve('accept')
      })
    })
    await Promise.all([connected(light, hub), connected(stranger, hub), connected(hub, stranger)])
    assert.deepEqual(await stranger.requests.request(hub.peerId, 'genesis', {}), { genesis: 'of this chain' })
    await assert.rejects(stranger.requests.request(hub.peerId, 'status', {}), { code: 'peer_unreachable' })
    await assert.rejects(hub.requests.request(stranger.peerId, 'status', {}), { code: 'peer_unreachable' })

    await eventually('the light node listens', () => hub.listeners('headers') === 1)
    await eventually('sent', async () => (await hub.gossip.publish('headers', bytes(`header ${Date.now()}`))) === 1)
    assert.equal(await stranger.gossip.publish('votes', bytes('vote')), 0)
    await eventually('the hub listens', () => light.listeners('votes') === 1)
    assert.equal(await light.gossip.publish('votes', bytes('vote')), 1)
    await eventually('the vote is heard', () => heard.length === 1)
    assert.deepEqual(heard, [light.peerId])
    assert.deepEqual(strangerHeard, [])
  })

  it('of a node without a chain carry the genesis and nothing else', async () => {
    const hub = await networks.start('hub', { hub: true, listen: [WS] }, (network) => {
      serveStatus(network)
      network.requests.serve('genesis', () => Promise.resolve({ chain_id: CHAIN }))
    })
    const newcomer = await networks.start('light', { chainId: undefined, peers: [hub.multiaddrs()[0] ?? ''] })
    await connected(newcomer, hub)
    assert.deepEqual(await newcomer.requests.request(hub.peerId, 'genesis', {}), { chain_id: CHAIN })
    await assert.rejects(newcomer.requests.request(hub.peerId, 'status', {}), { code: 'not_ready' })
    assert.throws(() => newcomer.gossip.subscribe('headers', () => Promise.resolve('accept')), { code: 'not_ready' })
    await newcomer.stop()
    const member = await networks.start('light', { peers: [hub.multiaddrs()[0] ?? ''] })
    await connected(member, hub)
    assert.deepEqual(await member.requests.request(hub.peerId, 'status', {}), { mode: 'authority' })
  })

  it('are closed by stop within two seconds, also when a peer has fallen silent', async () => {
    const hub = await startHub()
    const relay = await relayTo(portOf(hub.multiaddrs()[0]))
    cleanups.push(relay.close)
    const light = await networks.start('light', { peers: [`/ip4/127.0.0.1/tcp/${relay.port}`] })
    await connected(light, hub)
    await light.requests.request(hub.peerId, 'status', {})
    relay.fallSilent()
    for (const network of [light, hub]) {
      const before = spentMs()
      await network.stop()
      assert.ok(spentMs() - before < 2_000)
    }
  })

  it('keep a stopped process alive by nothing', async () => {
    const script = `
      import { networkGroup, connected, TCP, WS } from '${new URL('../helpers/network.ts', import.meta.url).href}'
      const networks = networkGroup()
      const hub = await networks.start('hub', { hub: true, listen: [TCP, WS] }, ({ requests, gossip }) => {
        requests.serve('status', () => Promise.resolve({}))
        gossip.subscribe('headers', () => Promise.resolve('accept'))
      })
      const peers = [...hub.multiaddrs(), '/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/1/ws']
      const light = await networks.start('light', { peers })
      await connected(light, hub)
      await light.requests.request(hub.peerId, 'status', {})
      await networks.stopAll()
      console.log('stopped')`
    const run = promisify(execFile)(process.execPath, ['--import=tsx', '--input-type=module', '-e', script])
    const { stdout, stderr } = await run
    assert.equal(stdout, 'stopped\n')
    assert.equal(stderr, '')
  })

  it('refuse a listen address in use, a peer that is no address and a key of the wrong length, saying which', async () => {
    const hub = await startHub({ listen: [TCP] })
    const taken = hub.multiaddrs()[0]?.replace(/\/p2p\/.*/, '') ?? ''
    const second = await createNodeNetwork(networkOptions('second', { listen: [taken] }))
    await assert.rejects(second.start(), { code: 'not_ready', message: /EADDRINUSE/ })
    await assert.rejects(createNodeNetwork(networkOptions('x', { peers: ['localhost:4001'] })), {
      code: 'malformed',
      message: /peers\[0\]/,
    })
    await assert.rejects(createNodeNetwork(networkOptions('x', { privateKey: new Uint8Array(64) })), {
      code: 'malformed',
      message: /privateKey/,
    })
  })
})
