import assert from 'node:assert/strict'
import { passingOn } from '../../../src/engine/vote-passing.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { createTestGossip, type TestGossip } from '../../helpers/peers.ts'
import { replicaFolder, type TestReplica } from './replica-harness.ts'

const street = createStreet({
  finality: { policy: 'validators', threshold: 2 },
  validators: ['v1', 'v2'],
})
const chain = street.start.grow('t0')

describe('a vote that one node is handed', () => {
  let folder: Awaited<ReturnType<typeof replicaFolder>>
  let node: TestReplica
  let gossip: TestGossip

  beforeEach(async () => {
    folder = await replicaFolder(street)
    node = await folder.open()
    await node.acceptAll(chain)
    gossip = createTestGossip()
  })
  afterEach(() => folder.remove())

  it('is told to all, once', async () => {
    const counter = passingOn(node.votes, gossip, silentLogger)
    const votes = ['v1', 'v2'].map((id) => street.vote(id, chain.tip))
    const told = votes.map((vote) => ({ topic: 'votes', payload: canonicalBytes(vote) }))
    for (let round = 0; round < 2; round++) {
      for (const vote of votes) await counter.cast(vote)
      assert.deepEqual(gossip.published, told)
    }
  })

  it('is not if it does not count', async () => {
    const counter = passingOn(node.votes, gossip, silentLogger)
    await assert.rejects(counter.cast(street.vote('v1', chain.tip, 'ack', namedKey('thief'))))
    await assert.rejects(counter.cast(street.vote('eve', chain.tip)))
    assert.deepEqual(gossip.published, [])
  })

  it('counts here also where nothing can be published', async () => {
    const broken = { ...gossip, publish: () => Promise.reject(new Error('no network')) }
    const { outcome } = await passingOn(node.votes, broken, silentLogger).cast(street.vote('v1', chain.tip))
    assert.equal(outcome, 'stored')
  })
})
