import assert from 'node:assert/strict'
import { keepAskingForVotes } from '../../../src/engine/vote-asking.ts'
import { createVoteSync } from '../../../src/engine/vote-sync.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { createStreet } from '../../helpers/branches.ts'
import { eventually } from '../../helpers/patience.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import { NOW, replicaFolder, serveReplica, type TestReplica } from './replica-harness.ts'

const street = createStreet({ finality: { policy: 'validators', threshold: 2 }, validators: ['v1', 'v2'] })
const chain = street.start.grow('t0', 't1', 't2', 't3', 't4')

describe('votes that did not come', () => {
  let folders: Awaited<ReturnType<typeof replicaFolder>>[]
  let peers: Peers
  let clock: VirtualClock
  let me: TestReplica
  let other: TestReplica
  let stop: () => void

  beforeEach(async () => {
    folders = [await replicaFolder(street), await replicaFolder(street)]
    peers = createPeers()
    clock = createVirtualClock(NOW)
    me = await folders[0]!.open()
    other = await folders[1]!.open()
    for (const node of [me, other]) await node.acceptAll(chain)
    await other.cast(street.vote('v1', chain.tip))
    serveReplica(other, peers.of('other'))
    for (const name of ['silent', 'other']) peers.connect('me', name)
    const { store, votes: counter, finalizer } = me
    const shared = { chain: me.chain, finalizer, requests: peers.of('me'), logger: silentLogger }
    const votes = createVoteSync({
      ...shared,
      votes: store.finality,
      counter,
      hashAt: (_, height) => me.chain.hashAt(height),
      onCounted: () => Promise.resolve(),
    })
    stop = keepAskingForVotes({ ...shared, votes, clock })
  })
  afterEach(async () => {
    stop()
    for (const folder of folders) await folder.remove()
  })

  it('are asked for in turn while the tip is not final, and no longer', async () => {
    await other.cast(street.vote('v2', chain.at(3)))
    const askedOf = () => peers.asked.map(({ peer }) => peer)
    assert.deepEqual(askedOf(), [])
    clock.advance(20_000)
    await eventually('the first is asked', () => askedOf().includes('silent'))
    assert.equal(me.finalizer.finalHeight, -1)
    clock.advance(20_000)
    await eventually('all but the tip is final', () => me.finalizer.finalHeight === 3)
    await me.cast(street.vote('v2', chain.tip))
    assert.equal(me.finalizer.finalHeight, chain.tip.height)
    const asked = askedOf().length
    clock.advance(100_000)
    assert.equal(askedOf().length, asked)
  })

  it('are asked for on older blocks too, where a peer has more final by them', async () => {
    await other.cast(street.vote('v2', chain.at(0)))
    assert.equal(other.finalizer.finalHeight, 0)
    for (let turn = 0; turn < 2; turn++) clock.advance(20_000)
    await eventually('what is final there is final here', () => me.finalizer.finalHeight === 0)
  })

  it('are asked of the next peer in the same turn where the first is a light node', async () => {
    await other.cast(street.vote('v2', chain.at(3)))
    const light = { mode: 'light', chain_id: me.chain.chainId, tip: null, final_height: null }
    peers.of('silent').serve('status', () => Promise.resolve(light))
    clock.advance(20_000)
    await eventually('all but the tip is final', () => me.finalizer.finalHeight === 3)
  })

  it('are asked for no more once it is stopped', () => {
    stop()
    clock.advance(100_000)
    assert.deepEqual(peers.asked, [])
  })
})
