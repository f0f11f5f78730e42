import assert from 'node:assert/strict'
import { createLightClient, type LightClient, type LightEvent } from '../../../src/engine/light-client.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { eventually } from '../../helpers/network.ts'
import { createPeers, createTestGossip, type Peers } from '../../helpers/peers.ts'
import { tempLightStore } from '../../helpers/stores.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica } from './replica-harness.ts'

const street = createStreet({ finality: { policy: 'votes', threshold: 2 }, voters: ['ann', 'ben'] })
// With a change of the registry a peer can say that a key is not there any more.
const enrol = street.change('enrol-cat', namedKey('cat'), {
  action: 'enrol',
  role: 'voter',
  subject_id: 'cat',
  public_key: namedKey('cat').publicKey,
})
const chain = street.start.grow('t0').add([enrol]).grow('t1')

/** What a peer says that has the right blocks otherwise. */
const LIES: Readonly<Record<string, (peers: Peers) => void>> = {
  'that its key is not registered': (peers) => {
    const liar = peers.of('liar')
    peers.connect('liar', 'honest')
    liar.serve('registry', async (params) =>
      'public_key' in (params as object)
        ? { height: chain.tip.height, entry: null }
        : ((await liar.request('honest', 'registry', params as never)) as object),
    )
  },
  'that it has a trade which is not in the block': (peers) => {
    const [transaction] = street.start.grow('t9').blocks[0]?.transactions ?? []
    assert.ok(transaction !== undefined)
    const merkle_proof = { index: 0, tx_count: 1, path: [] }
    peers.of('liar').serve('trades', () => Promise.resolve({ trades: [{ transaction, merkle_proof }] }))
    peers.of('liar').serve('block', () => Promise.reject(new Error('no')))
  },
}

describe('a household that one peer lies to about the newest block', () => {
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })

  async function startHousehold(peers: Peers): Promise<{ client: LightClient; votes: () => string[] }> {
    const opened = await tempLightStore()
    const clock = createVirtualClock(NOW)
    const events: LightEvent[] = []
    const client = await createLightClient({
      genesis: street.genesis,
      store: opened.store,
      gossip: createTestGossip(),
      requests: peers.of('me'),
      clock,
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger: silentLogger,
      key: namedKey('ann'),
      windowSize: 5,
      staleAfterMs: 60_000,
      pollMs: 3_600_000,
      onEvent: (event) => events.push(event),
    })
    closing.push(
      () => opened.cleanup(),
      () => client.stop(),
    )
    client.start()
    const votes = () =>
      events.flatMap((event) => (event.type === 'vote' ? [`${event.vote.decision} ${event.vote.height}`] : []))
    return { client, votes }
  }

  for (const [lie, tell] of Object.entries(LIES)) {
    it(`(${lie}) acks that block once an honest one is there, and says no twice to nothing`, async () => {
      const folder = await replicaFolder(street)
      closing.push(() => folder.remove())
      const node = await folder.open()
      await node.acceptAll(chain)
      const peers = createPeers()
      for (const name of ['liar', 'honest']) serveReplica(node, peers.of(name))
      tell(peers)
      const { client, votes } = await startHousehold(peers)
      peers.connect('me', 'liar')
      await client.sync()
      await client.sync()
      assert.equal(client.status().tip?.height, chain.tip.height)
      peers.disconnect('me', 'liar')
      peers.connect('me', 'honest')
      await eventually('it acks', async () => {
        await client.sync()
        return votes().includes(`ack ${chain.tip.height}`)
      })
      const rejects = votes().filter((vote) => vote.startsWith('reject'))
      assert.deepEqual(rejects, [...new Set(rejects)])
    })
  }
})
