import assert from 'node:assert/strict'
import { auditReplica } from '../../../src/engine/audit-replica.ts'
import { buildAnchor } from '../../../src/engine/anchor-builder.ts'
import { replicaAcks } from '../../../src/engine/branch-acks.ts'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import { trustGenesis, verifyAdvance } from '../../../src/protocol/light-verify.ts'
import { createStreet, type Branch } from '../../helpers/branches.ts'
import { NOW, replicaFolder, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 3 },
  validators: ['v1', 'v2', 'v3', 'v4'],
})
const { genesis, chainId } = street
let folder: Awaited<ReturnType<typeof replicaFolder>>
let node: TestReplica

const grown = (base: Branch, letter: string, count: number): Branch =>
  base.grow(...Array.from({ length: count }, (_, n) => `${letter}${base.size + n}`))

const anchor = ({ chain, store, finalizer, clock }: TestReplica) =>
  buildAnchor(
    { chain, acks: replicaAcks(store.chain, store.finality), clock, anchorHeight: () => finalizer.finalHeight },
    { from_height: null },
  )

/** A chain whose last block of `shared` is final by acks on a branch that it has left: v1 and v2 acked nothing else. */
async function leaveBranch(shared: Branch, length: number): Promise<Branch> {
  const left = grown(shared, 'a', length)
  await node.acceptAll(left)
  await node.cast(street.vote('v1', left.tip), street.vote('v2', left.at(shared.size)), street.vote('v3', shared.tip))
  assert.equal(node.finalizer.finalHeight, shared.tip.height)
  const chain = grown(shared, 'b', length)
  await node.acceptAll(chain)
  await node.cast(street.vote('v4', chain.tip), street.vote('v3', chain.tip))
  await node.acceptAll(grown(chain, 'c', 1))
  assert.equal(node.tip().height, shared.size + length, 'the chain is the other branch')
  return left
}

describe('acks beside the chain of a replica', () => {
  beforeEach(async () => {
    folder = await replicaFolder(street)
    node = await folder.open()
  })
  afterEach(() => folder.remove())

  for (const size of [1, 2, 3, 4, 7, 8, 13]) {
    for (const length of [1, 2, 3, 4]) {
      it(`prove what they made final: ${size} blocks of the chain, a branch of ${length} on them`, async () => {
        const shared = grown(street.start, 't', size)
        const left = await leaveBranch(shared, length)
        const tree = new MemoryTree(left.blocks.map((_, height) => historyLeaf(left.at(height).hash)))
        for (const restart of [false, true]) {
          if (restart) node = await folder.open()
          const answer = await anchor(node)
          const context = { genesis, chainId, now: NOW }
          assert.equal(verifyAdvance(trustGenesis(genesis, chainId), answer, context).ok, true)
          assert.deepEqual(answer.votes.map(({ vote }) => vote.voter_id).sort(), ['v1', 'v3', 'v4'])
          const { header, history_proof } = answer.votes.find(({ vote }) => vote.voter_id === 'v1')!
          assert.deepEqual(header, left.blocks.at(-1)!.header)
          assert.deepEqual(history_proof, tree.inclusion(shared.tip.height, left.size - 1))
        }
      })
    }
  }

  it('count for an audit, as far as the chain shares the branch, and no further', async () => {
    await leaveBranch(grown(street.start, 't', 3), 2)
    const parts = { genesis, chain: node.store.chain, finality: node.store.finality, onProgress: () => undefined }
    const audit = (claimed: number) =>
      auditReplica({ ...parts, finalizedAt: (height) => Promise.resolve(height <= claimed ? NOW : null) })
    assert.deepEqual((await audit(2)).findings, [])
    assert.deepEqual(
      (await audit(3)).findings.map(({ place, expected }) => `${place}: ${expected}`),
      ['blocks called final: at most up to height 2, by the votes'],
    )
  })

  it('are left out where the branch has another block at the height, or is not kept here', async () => {
    const shared = grown(street.start, 't', 2)
    const left = await leaveBranch(shared, 2)
    const acks = replicaAcks(node.store.chain, node.store.finality)
    const voters = async (height: number) => {
      const hash = (await node.chain.hashAt(height)) ?? ''
      return (await acks.acksBeside!({ hash, height })).map(({ vote }) => vote.voter_id)
    }
    assert.deepEqual(await voters(shared.tip.height), ['v1', 'v2'])
    assert.deepEqual(await voters(0), ['v1', 'v2'])
    assert.deepEqual(await voters(left.size - 2), [], 'the branch has another block there')
    const elsewhere = grown(shared, 'unknown', 1)
    await node.store.finality.putVotes([street.vote('v4', elsewhere.tip)])
    assert.deepEqual(await voters(0), ['v1', 'v2'], 'its header is not here')
  })
})
