import assert from 'node:assert/strict'
import { hashHeader } from '../../../src/protocol/header.ts'
import { historyLeaf, MemoryTree } from '../../../src/protocol/history.ts'
import type { AnchorAnswer } from '../../../src/protocol/messages.ts'
import { createStreet, namedKey, type Branch } from '../../helpers/branches.ts'
import { createPeers, type Peers } from '../../helpers/peers.ts'
import { replicaFolder, serveReplica, syncReplica, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 3 },
  validators: ['v1', 'v2', 'v3', 'v4'],
})
const shared = street.start.grow('t0', 't1')
const left = shared.grow('a2', 'a3')
const chain = shared.grow('b2', 'b3', 'b4')

describe('a replica that comes when the chain has left the branch whose acks made it final', () => {
  const folders: Awaited<ReturnType<typeof replicaFolder>>[] = []
  let peers: Peers
  let full: TestReplica

  async function open(): Promise<TestReplica> {
    const folder = await replicaFolder(street)
    folders.push(folder)
    return await folder.open()
  }

  beforeEach(async () => {
    peers = createPeers()
    full = await open()
    await full.acceptAll(left)
    await full.cast(street.vote('v1', left.tip), street.vote('v2', left.at(2)), street.vote('v3', shared.tip))
    await full.acceptAll(chain)
    await full.cast(street.vote('v4', chain.at(3)), street.vote('v3', chain.at(3)))
    assert.deepEqual([full.tip(), full.finalizer.finalHeight], [chain.tip, shared.tip.height])
    serveReplica(full, peers.of('full'))
    peers.connect('late', 'full')
  })
  afterEach(async () => {
    for (const folder of folders.splice(0)) await folder.remove()
  })

  const known: readonly (readonly [name: string, branches: readonly Branch[]])[] = [
    ['nothing of either', []],
    ['the chain', [chain]],
    ['the branch, without its acks', [left]],
    ['both, without their acks', [chain, left]],
  ]
  for (const [name, branches] of known) {
    it(`sees it final as well: it knows ${name}`, async () => {
      const late = await open()
      for (const branch of branches) await late.acceptAll(branch)
      await syncReplica(late, peers.of('late'), 'full')
      assert.deepEqual([late.tip(), late.finalizer.finalHeight], [chain.tip, shared.tip.height])
    })
  }

  it('asks for no block of a branch that nobody who votes has acked', async () => {
    const made = left.grow('a4')
    const { header } = made.blocks.at(-1)!
    peers.of('forger').serve('status', () =>
      Promise.resolve({
        mode: 'validator',
        chain_id: street.chainId,
        tip: { height: chain.tip.height, header_hash: chain.tip.hash },
        final_height: shared.tip.height,
      }),
    )
    peers.of('forger').serve('votes', () => Promise.resolve({ votes: [] }))
    const signed = street.vote('v1', made.tip, 'ack', namedKey('thief'))
    const answer = (await peers.of('late').request('full', 'anchor', { from_height: null })) as AnchorAnswer
    const [vote] = answer.votes
    const tree = new MemoryTree(made.blocks.map((_, height) => historyLeaf(made.at(height).hash)))
    const proof = tree.inclusion(shared.tip.height, header.height)
    peers
      .of('forger')
      .serve('anchor', () =>
        Promise.resolve({ ...answer, votes: [{ ...vote, vote: signed, header, history_proof: proof }] }),
      )
    peers.disconnect('late', 'full')
    peers.connect('late', 'forger')
    const late = await open()
    await late.acceptAll(chain)
    const requests = peers.asked.length
    await syncReplica(late, peers.of('late'), 'forger')
    const blocks = peers.asked.slice(requests).filter(({ name }) => name === 'block')
    assert.deepEqual(blocks, [], hashHeader(header))
  })
})
