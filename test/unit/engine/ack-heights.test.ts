import assert from 'node:assert/strict'
import { buildAnchor } from '../../../src/engine/anchor-builder.ts'
import { replicaAcks } from '../../../src/engine/branch-acks.ts'
import { trustGenesis, verifyAdvance } from '../../../src/protocol/light-verify.ts'
import { createStreet, namedKey, type Street } from '../../helpers/branches.ts'
import { NOW, replicaFolder, type TestReplica } from './replica-harness.ts'

/**
 * v1 gives its key up in block 1: what it acked with either counts where that key was in force, live and
 * after a restart.
 */
describe('a validator that changed its key', () => {
  const validators = createStreet({
    finality: { policy: 'validators', threshold: 3 },
    validators: ['v1', 'v2', 'v3', 'v4'],
  })
  const voters = createStreet({ finality: { policy: 'votes', threshold: 3 }, voters: ['v1', 'v2', 'v3', 'v4'] })
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  afterEach(() => folder.remove())

  const newKey = namedKey('v1 2')
  const grown = (street: Street) => {
    const fields = { action: 'rotate', subject_id: 'v1', public_key: newKey.publicKey } as const
    return street.start
      .grow('t0')
      .add([street.change('rotate', namedKey('v1'), fields)])
      .grow('t2', 't3')
  }

  /** A fresh light node reaches what this node calls final. */
  async function assertProven(street: Street): Promise<void> {
    const height = node.finalizer.finalHeight
    const acks = replicaAcks(node.store.chain, node.store.finality)
    const answer = await buildAnchor(
      { chain: node.chain, acks, clock: node.clock, anchorHeight: () => height },
      { from_height: null },
    )
    const context = { genesis: street.genesis, chainId: street.chainId, now: NOW }
    const advance = verifyAdvance(trustGenesis(street.genesis, street.chainId), answer, context)
    assert.ok(advance.ok, advance.ok ? '' : advance.reason)
    assert.equal(advance.state.anchor?.header.height, height)
  }

  it('makes nothing final by its new key that its old one has not acked', async () => {
    folder = await replicaFolder(validators)
    node = await folder.open()
    const branch = grown(validators)
    await node.acceptAll(branch)
    const vote = (id: string, height: number) => validators.vote(id, branch.at(height))
    await node.cast(vote('v2', 3), vote('v3', 3), validators.vote('v1', branch.at(3), 'ack', newKey))
    assert.equal(node.finalizer.finalHeight, -1, 'the change of the key has two acks')
    node = await folder.open()
    assert.equal(node.finalizer.finalHeight, -1)
    await node.cast(vote('v4', 1))
    assert.equal(node.finalizer.finalHeight, 3)
    await assertProven(validators)
  })

  for (const [policy, street] of [
    ['validators', validators],
    ['votes', voters],
  ] as const) {
    it(`loses no ack of its old key by one of its new key, under ${policy}`, async () => {
      folder = await replicaFolder(street)
      node = await folder.open()
      const branch = grown(street)
      await node.acceptAll(branch)
      const vote = (id: string, height: number) => street.vote(id, branch.at(height))
      await node.cast(vote('v1', 0), vote('v2', 0))
      await node.cast(vote('v1', 1), street.vote('v1', branch.at(3), 'ack', newKey))
      assert.equal(node.finalizer.finalHeight, -1)
      node = await folder.open()
      await node.cast(vote('v3', 1))
      assert.equal(node.finalizer.finalHeight, 0, 'v1, v2 and v3; block 1 has no ack of v2')
      node = await folder.open()
      await node.cast(vote('v2', 1))
      assert.equal(node.finalizer.finalHeight, 1)
      await assertProven(street)
      node = await folder.open()
      await node.cast(vote('v2', 3), vote('v4', 3))
      assert.equal(node.finalizer.finalHeight, 3)
      await assertProven(street)
    })
  }
})
