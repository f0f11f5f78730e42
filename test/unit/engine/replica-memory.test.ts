import assert from 'node:assert/strict'
import { createReplicaRedactor } from '../../../src/engine/redactor.ts'
import { createStreet, trade } from '../../helpers/branches.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { ledgerOf, replicaFolder } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 3 },
  validators: ['v1', 'v2', 'v3', 'v4'],
})
const base = street.start.grow('t0')
const [left, taken] = [base.grow('a1'), base.grow('b1')]

describe('a replica forgets nothing that counts', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  beforeEach(async () => (folder = await replicaFolder(street)))
  afterEach(() => folder.remove())

  it('votes on a branch that its chain has left are shown, and count when it comes back, also after a restart', async () => {
    let node = await folder.open()
    await node.acceptAll(left)
    await node.cast(street.vote('v1', left.tip))
    await node.acceptAll(taken)
    await node.cast(street.vote('v3', taken.tip), street.vote('v4', taken.tip))
    assert.deepEqual(node.tip(), taken.tip)
    node = await folder.open()
    const asked = { voter_id: 'v1', from_height: 0 }
    assert.deepEqual(
      (await ledgerOf(node).acksOf(asked)).votes.map(({ vote }) => vote),
      [street.vote('v1', left.tip)],
    )
    // v4 is faulty and acks both.
    await node.acceptAll(left)
    await node.cast(street.vote('v2', left.tip))
    await node.votes.cast(street.vote('v4', left.tip)).catch(() => undefined)
    await node.replica.reconsider()
    assert.deepEqual(node.tip(), left.tip)
    assert.equal(node.finalizer.finalHeight, 1, 'with the vote of before it left the branch')
  })

  it('ids of transactions that it redacted by itself are used up', async () => {
    const node = await folder.open()
    const { chain, finalizer, clock, store } = node
    await node.acceptAll(base)
    await node.cast(...['v1', 'v2', 'v3'].map((id) => street.vote(id, base.tip)))
    const redactor = createReplicaRedactor({ chain, finalizer, clock, blocks: store.chain, logger: silentLogger })
    await redactor.redact({ tx_id: 't0.1', redacted_by: 'mia', reason: 'erasure' })
    const again = base.add([trade('again', 't0.1')])
    assert.equal(await node.accept(again.blocks[1]!), 'repeats_redacted')
    assert.equal(await node.accept(base.grow('t1').blocks[1]!), 'on_chain')
  })
})
