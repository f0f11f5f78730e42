import assert from 'node:assert/strict'
import { createLightClient, type LightClient, type LightEvent } from '../../../src/engine/light-client.ts'
import type { LightStore } from '../../../src/ports/light-store.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Block } from '../../../src/protocol/block.ts'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import type { Membership } from '../../../src/protocol/membership.ts'
import { createStreet, namedKey, type Branch, type Street, trade } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers, type TestGossip } from '../../helpers/peers.ts'
import { signMembership } from '../../helpers/sign-now.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { namesake, NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const STALE_AFTER_MS = 60_000
const byAuthority = createStreet({ voters: ['ann', 'ben'] })
const byVotes = createStreet({ finality: { policy: 'votes', threshold: 1 }, voters: ['ann', 'ben'] })

describe('a light client', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  let opened: OpenedStore<LightStore>
  let peers: Peers
  let gossip: TestGossip
  let clock: VirtualClock
  let setAhead: number
  let client: LightClient
  let events: LightEvent[]

  /** A household of this street, beside a full node at the tip of `branch`; not started yet. */
  async function prepare(street: Street, branch: Branch): Promise<void> {
    folder = await replicaFolder(street)
    node = await folder.open()
    await node.acceptAll(branch)
    peers = createPeers()
    serveReplica(node, peers.of('full'))
    opened = await tempLightStore()
    clock = createVirtualClock(NOW)
    setAhead = 0
    events = []
    await openClient(street, opened.store)
  }

  async function openClient({ genesis }: Street, store: LightStore): Promise<void> {
    gossip = createTestGossip()
    client = await createLightClient({
      genesis,
      store,
      gossip,
      requests: peers.of('me'),
      clock: { ...clock, now: () => clock.now() + setAhead, monotonic: () => clock.now() },
      randomBytes: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
      logger: silentLogger,
      key: namedKey('ann'),
      windowSize: 5,
      staleAfterMs: STALE_AFTER_MS,
      pollMs: 3_600_000,
      onEvent: (event) => events.push(event),
    })
  }
  afterEach(async () => {
    await client.stop()
    await opened.cleanup()
    await folder.remove()
  })
  const state = () => client.status().state
  const votes = () => events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))
  const sealedOf = ({ header, signature }: Block) => ({ header, signature })

  describe('says how it is', () => {
    it('syncing before the first word of a peer, live after it, also of an empty chain', async () => {
      await prepare(byAuthority, byAuthority.start)
      client.start()
      assert.equal(state(), 'syncing')
      await assert.rejects(client.sync(), /no peer is connected/)
      clock.advance(10 * STALE_AFTER_MS)
      assert.equal(state(), 'syncing')
      peers.connect('me', 'full')
      await client.sync()
      assert.equal(state(), 'live')
      assert.deepEqual(client.status().tip, null)
    })

    it('ready with the first peer that could be followed, not before, and for good', async () => {
      await prepare(byAuthority, byAuthority.start.grow('t0'))
      let isReady = false
      void client.ready().then(() => (isReady = true))
      client.start()
      await assert.rejects(client.prove({ tx_id: 't0.0' }), /no peer is connected/)
      assert.equal(isReady, false)
      peers.connect('me', 'full')
      await client.ready()
      assert.equal(client.status().tip?.height, 0)
      peers.disconnect('me', 'full')
      await client.ready()
    })

    it('stale after a time without a final header, live again when a peer says that there is none', async () => {
      await prepare(byAuthority, byAuthority.start.grow('t0'))
      peers.connect('me', 'full')
      await client.sync()
      clock.advance(STALE_AFTER_MS)
      assert.equal(state(), 'live')
      clock.advance(1)
      assert.equal(state(), 'stale')
      await client.sync()
      assert.equal(state(), 'live', 'quiet that a peer confirms is news')
      clock.advance(STALE_AFTER_MS + 1)
      assert.equal(state(), 'stale')
      await node.acceptAll(byAuthority.start.grow('t0', 't1'))
      await client.sync()
      assert.equal(state(), 'live')
      assert.equal(client.status().tip?.height, 1)
    })

    it('stale also when its clock was set back meanwhile, or stood still while the device slept', async () => {
      await prepare(byAuthority, byAuthority.start.grow('t0'))
      peers.connect('me', 'full')
      await client.sync()
      setAhead = -STALE_AFTER_MS
      clock.advance(STALE_AFTER_MS)
      assert.equal(state(), 'live')
      clock.advance(1)
      assert.equal(state(), 'stale')
      await client.sync()
      assert.equal(state(), 'live')
      setAhead += STALE_AFTER_MS + 1
      assert.equal(state(), 'stale')
    })

    it('stale while blocks wait for finality, whatever peers say, and live once they are final', async () => {
      const branch = byVotes.start.grow('t0')
      await prepare(byVotes, branch)
      await node.cast(byVotes.vote('ben', branch.at(0)))
      peers.connect('me', 'full')
      await client.sync()
      assert.equal(state(), 'live')
      // The household of this test is the only one that acks the next block, and its ack is not taken.
      peers.of('full').serve('vote', () => Promise.reject(new Error('not taken')))
      const next = branch.grow('t1')
      await node.acceptAll(next)
      clock.advance(STALE_AFTER_MS + 1)
      await client.sync()
      assert.equal(client.status().tip?.height, 1)
      assert.equal(state(), 'stale')
      await client.sync()
      assert.equal(state(), 'stale')
      await node.cast(byVotes.vote('ben', next.at(1)))
      await client.sync()
      assert.equal(state(), 'live')
    })

    it('behind a peer that is behind, stale: that peer\u2019s quiet is no news', async () => {
      const branch = byAuthority.start.grow('t0', 't1')
      await prepare(byAuthority, branch)
      peers.connect('me', 'full')
      await client.sync()
      peers.disconnect('me', 'full')
      peers.of('behind').serve('status', () =>
        Promise.resolve({
          mode: 'authority',
          chain_id: byAuthority.chainId,
          tip: { height: 0, header_hash: branch.at(0).hash },
          final_height: 0,
        }),
      )
      peers.connect('me', 'behind')
      clock.advance(STALE_AFTER_MS + 1)
      await client.sync()
      assert.equal(state(), 'stale')
    })

    it('alarm from the moment it holds evidence against the authority, for good, over a restart', async () => {
      const base = byAuthority.start.grow('t0')
      const chain = base.grow('a1')
      await prepare(byAuthority, chain)
      peers.connect('me', 'full')
      client.start()
      await client.sync()
      assert.equal(state(), 'live')
      const other = base.grow('b1').blocks[1]!
      const verdict = await gossip.deliver('headers', canonicalBytes(sealedOf(other)))
      assert.notEqual(verdict, 'accept')
      await until(() => state() === 'alarm')
      assert.deepEqual(events.flatMap((event) => (event.type === 'alarm' ? [event.code] : [])).sort(), [
        'conflict',
        'evidence',
      ])
      assert.equal(events.filter(({ type }) => type === 'evidence').length, 1)
      assert.equal((await client.evidence(5)).length, 1)
      assert.equal(gossip.published.filter(({ topic }) => topic === 'evidence').length, 1)
      const cast = votes().length
      await node.acceptAll(chain.grow('a2'))
      await client.sync()
      assert.equal(client.status().tip?.height, 2, 'it follows what it saw first')
      await client.stop()
      assert.equal(votes().length, cast, 'and votes for that key no more')
      await openClient(byAuthority, await opened.reopen())
      assert.equal(state(), 'alarm')
    })
  })

  it('disputes a block that there is evidence against: it asks for it whole and keeps its own trades', async () => {
    const base = byAuthority.start.grow('t0')
    const chain = base.grow('a1')
    await prepare(byAuthority, chain)
    // The authority tells this household nothing of its trades.
    peers.of('full').serve('trades', () => Promise.resolve({ trades: [] }))
    peers.connect('me', 'full')
    client.start()
    await client.sync()
    await client.stop()
    assert.equal(await opened.store.trade({ tx_id: 'a1.1' }), undefined)
    await gossip.deliver('headers', canonicalBytes(sealedOf(base.grow('b1').blocks[1]!)))
    await until(() => events.some((event) => event.type === 'verified' && event.trades.length > 0))
    const kept = await opened.store.trade({ tx_id: 'a1.1' })
    assert.deepEqual(kept?.transaction, chain.blocks[1]!.transactions[0])
    assert.ok(peers.asked.some(({ asker, name }) => asker === 'me' && name === 'block'))
  })

  for (const [when, isRestarted] of [
    ['', false],
    [', after a restart too', true],
  ] as const) {
    it(`votes on its head once peers show what its check needs, and then asks no more${when}`, async () => {
      const chain = byAuthority.start.grow('t0')
      await prepare(byAuthority, chain)
      peers.of('full').serve('trades', () => Promise.reject(ledgerError('not_ready', { reason: 'restarting' })))
      peers.connect('me', 'full')
      await client.sync()
      await client.stop()
      assert.deepEqual([votes(), client.status().tip?.height], [[], 0])
      if (isRestarted) await openClient(byAuthority, await opened.reopen())
      serveReplica(node, peers.of('full'))
      await client.sync()
      await until(() => votes().length > 0)
      assert.deepEqual(
        votes().map(({ header_hash, decision }) => [header_hash, decision]),
        [[chain.tip.hash, 'ack']],
      )
      const asked = () => peers.asked.filter(({ asker, name }) => asker === 'me' && name === 'trades').length
      const before = asked()
      await client.sync()
      await client.stop()
      assert.equal(asked(), before)
    })
  }

  const claimed = (index: number) => ({
    transaction: trade('t0', `made-up-${index}`),
    merkle_proof: { index, tx_count: 100_000, path: [] },
  })
  const page = Array.from({ length: 256 }, (_, index) => claimed(index))
  for (const [what, trades, next_index] of [
    ['does not go forward', page, 1],
    ['has more trades than places', page, 255],
    ['has a trade twice', [...page, claimed(7)], 300],
    ['is too small', page.slice(1), 256],
    ['has nothing', [], 1],
  ] as const) {
    it(`takes no page of own trades that ${what} from a peer, and does not go on with it`, async () => {
      const chain = byAuthority.start.grow('t0')
      await prepare(byAuthority, chain)
      peers.of('full').serve('trades', () => Promise.resolve({ trades: [...trades], next_index }))
      peers.connect('me', 'full')
      await client.sync()
      await client.stop()
      assert.deepEqual(votes(), [])
      // Once by itself and once by this sync.
      assert.ok(peers.asked.filter(({ asker, name }) => asker === 'me' && name === 'trades').length <= 2)
    })
  }

  describe('as a device of a user', () => {
    const asked = (name: string) => peers.asked.filter((one) => one.asker === 'me' && one.name === name)
    /** What the full node issues from now on. */
    const issue = (change: (certificate: Membership) => object = (certificate) => certificate) =>
      peers
        .of('full')
        .serve('membership', () => Promise.resolve({ membership: change(namesake(node.chain, 'ann', clock.now())) }))
    const silent = () =>
      peers.of('full').serve('membership', () => Promise.reject(ledgerError('not_ready', { reason: 'away' })))

    it('signs nothing about a header that nobody has sealed', async () => {
      const chain = byAuthority.start.grow('t0')
      await prepare(byAuthority, chain)
      peers.connect('me', 'full')
      await client.sync()
      await until(() => votes().length === 1)
      const before = peers.asked.length
      const { header } = chain.grow('t1').blocks[1]!
      for (const tx_count of [1, 7]) {
        const madeUp = { header: { ...header, tx_count }, signature: 'cd'.repeat(64) }
        assert.notEqual(await gossip.deliver('headers', canonicalBytes(madeUp), 'full'), 'accept')
      }
      await client.stop()
      assert.deepEqual(
        peers.asked.slice(before).filter(({ params }) => 'credential' in params),
        [],
      )
    })

    it('shows validators its certificate, which outlives a restart, and renews it when a third of its life is over', async () => {
      const chain = byAuthority.start.grow('t0')
      await prepare(byAuthority, chain)
      issue()
      peers.connect('me', 'full')
      await client.sync()
      await until(() => votes().length === 1)
      assert.equal(client.user(), 'ann')
      assert.equal(asked('membership').length, 1)
      await client.stop()
      silent()
      const store = await opened.reopen()
      await openClient(byAuthority, store)
      await node.acceptAll(chain.grow('t1'))
      await client.sync()
      await until(() => votes().length === 2)
      assert.deepEqual([client.user(), asked('membership').length], ['ann', 2], 'the one that it has counts')
      clock.advance(86_400_000 / 3)
      issue()
      const { membership } = asked('trades').at(-1)!.params as { membership: Membership }
      await node.acceptAll(chain.grow('t1', 't2'))
      await client.sync()
      await until(() => asked('membership').length === 3)
      await client.stop()
      const renewed = await store.membership()
      assert.ok(renewed !== undefined && renewed.expires_at > membership.expires_at)
    })

    it('takes none but a newer certificate for a renewed one: who is shown the present one may give it back', async () => {
      const chain = byAuthority.start.grow('t0')
      await prepare(byAuthority, chain)
      issue()
      peers.connect('me', 'full')
      await client.sync()
      await until(() => votes().length === 1)
      const { issued_at } = (await opened.store.membership())!
      peers.disconnect('me', 'full')
      // Asked first, and faster than the authority.
      peers.connect('me', 'echo')
      peers.connect('me', 'full')
      peers.connect('echo', 'full')
      const echo = peers.of('echo')
      echo.serve('registry', async (params) => (await echo.request('full', 'registry', params as object)) as object)
      echo.serve('membership', (params) => {
        const { membership } = params as { membership: Membership }
        return Promise.resolve({ membership })
      })
      const late = async () => {
        await until(() => asked('membership').filter(({ peer }) => peer === 'echo').length === 1)
        await new Promise(setImmediate)
        return { membership: namesake(node.chain, 'ann', clock.now()) }
      }
      peers.of('full').serve('membership', late)
      clock.advance(86_400_000 / 3)
      await node.acceptAll(chain.grow('t1'))
      await client.sync()
      await until(() => asked('membership').length === 3)
      await client.stop()
      assert.equal((await opened.store.membership())?.issued_at, issued_at + 86_400_000 / 3)
    })

    it('takes no certificate that no authority has signed, or of another device, and asks without one then', async () => {
      await prepare(byAuthority, byAuthority.start.grow('t0'))
      peers
        .of('full')
        .serve('trades', () => Promise.reject(ledgerError('not_ready', { reason: 'it does not say why' })))
      const lies: readonly ((certificate: Membership) => object)[] = [
        (certificate) => ({ ...certificate, user_id: 'ben' }),
        (certificate) => signMembership({ ...without(certificate), user_id: 'ben' }, namedKey('ben')),
        (certificate) => signMembership({ ...without(certificate), issuer: 'ben' }, namedKey('ben')),
        (certificate) => signMembership({ ...without(certificate), voter_id: 'ben' }, namedKey('authority')),
      ]
      for (const lie of lies) {
        issue(lie)
        const before = [asked('membership').length, asked('trades').length] as const
        peers.connect('me', 'full')
        await client.sync()
        await until(() => asked('membership').length > before[0] && asked('trades').length > before[1])
        peers.disconnect('me', 'full')
        clock.advance(10_000)
      }
      await client.stop()
      assert.deepEqual([client.user(), await opened.store.membership()], [null, undefined])
      assert.ok(asked('trades').every(({ params }) => !('membership' in params)))
      assert.deepEqual(votes(), [])
    })
  })

  it('leaves no timer behind when it stops, whomever it was connected with', async () => {
    await prepare(byAuthority, byAuthority.start.grow('t0'))
    client.start()
    for (const name of ['full', 'second', 'third']) peers.connect('me', name)
    await client.sync()
    assert.ok(clock.waiting() > 0)
    await client.stop()
    await until(() => clock.waiting() === 0)
    assert.equal(clock.waiting(), 0)
  })
})

const without = (certificate: Membership): Omit<Membership, 'signature'> => {
  const { chain_id, voter_id, user_id, issued_at, expires_at, issuer } = certificate
  return { chain_id, voter_id, user_id, issued_at, expires_at, issuer }
}

/** For what happens in the background, over memory and LevelDB alone. */
async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 2_000, 'it did not happen')
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
