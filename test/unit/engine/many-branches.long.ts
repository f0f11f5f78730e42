import assert from 'node:assert/strict'
import { createStreet } from '../../helpers/branches.ts'
import { createPeers } from '../../helpers/peers.ts'
import { replicaFolder, serveReplica, syncReplica, type TestReplica } from './replica-harness.ts'

describe('a replica that is shown many branches', () => {
  const street = createStreet({
    finality: { policy: 'validators', threshold: 3 },
    validators: ['v1', 'v2', 'v3', 'v4'],
    voters: ['ann'],
  })
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica

  beforeEach(async () => {
    folder = await replicaFolder(street)
    node = await folder.open()
  })
  afterEach(() => folder.remove())

  it('keeps at most 256 blocks beside the chain, and takes others again once some are forgotten', async () => {
    const base = street.start.grow('t0')
    const chain = base.grow('t1', 't2')
    await node.acceptAll(chain)
    for (let n = 0; n < 256; n++) assert.equal(await node.accept(base.grow(`side-${n}`).blocks[1]!), 'beside')
    assert.equal(await node.accept(base.grow('one-more').blocks[1]!), 'too_many_branches')
    const next = chain.grow('t3')
    assert.equal(await node.accept(next.blocks[3]!), 'on_chain', 'its own chain goes on')
    await node.cast(...['v1', 'v2', 'v3'].map((id) => street.vote(id, next.at(1))))
    assert.notEqual(await node.accept(chain.grow('late').blocks[3]!), 'too_many_branches')
  })

  it('follows all the same what a peer proves final', async () => {
    const base = street.start.grow('t0')
    await node.acceptAll(base.grow('mine'))
    for (let n = 0; n < 256; n++) await node.acceptAll(base.grow(`side-${n}`))
    const chain = base.grow('t1', 't2')
    assert.equal(await node.accept(chain.blocks[1]!), 'too_many_branches')
    const other = await replicaFolder(street)
    try {
      const full = await other.open()
      await full.acceptAll(chain)
      const peers = createPeers()
      serveReplica(full, peers.of('full'))
      peers.connect('me', 'full')
      const sync = () => syncReplica(node, peers.of('me'), 'full')
      await full.cast(...['v2', 'v3'].map((id) => street.vote(id, chain.tip)))
      await assert.rejects(sync(), { code: 'peer_refused' })
      await full.cast(street.vote('v4', chain.tip))
      await sync()
      assert.deepEqual([node.tip(), node.finalizer.finalHeight], [chain.tip, chain.tip.height])
    } finally {
      await other.remove()
    }
  })
})
