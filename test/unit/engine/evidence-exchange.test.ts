import assert from 'node:assert/strict'
import { askForEvidence, keepAskingForEvidence, serveEvidence } from '../../../src/engine/evidence-exchange.ts'
import { openEvidencePool, type EvidencePool } from '../../../src/engine/evidence-pool.ts'
import type { EvidenceStore } from '../../../src/ports/finality-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { makeDoubleVote, misbehaviourOf, proveSigner, type Evidence } from '../../../src/protocol/evidence.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { createPeers, createTestGossip, type Peers } from '../../helpers/peers.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'

import { eventually } from '../../helpers/patience.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'

const street = createStreet({ validators: ['v1', 'v2', 'v3'] })
const genesis = street.start.state.registries[0].registry
const proofOf = (id: string) => proveSigner(genesis, id, null)!
const ack = (voter: string, height: number, header: string) =>
  street.vote(voter, { hash: sha256Hex(header), height }, 'ack', namedKey(voter))
const doubleVote = (voter: string, height: number) =>
  makeDoubleVote(ack(voter, height, 'a'), ack(voter, height, 'b'), proofOf(voter))

describe('the exchange of evidence', () => {
  let stores: OpenedStore<EvidenceStore>[]
  let peers: Peers
  let clock: VirtualClock
  let mine: EvidencePool
  let theirs: EvidencePool
  let learnt: Evidence[]

  beforeEach(async () => {
    stores = [await tempLightStore(), await tempLightStore()]
    peers = createPeers()
    clock = createVirtualClock(0)
    learnt = []
    const open = (at: number, onEvidence: (evidence: Evidence) => void) =>
      openEvidencePool({
        genesis: street.genesis,
        chainId: street.chainId,
        store: stores[at]!.store,
        gossip: createTestGossip(),
        logger: silentLogger,
        signerBefore: () => Promise.resolve(undefined),
        onEvidence,
      })
    mine = await open(0, (evidence) => learnt.push(evidence))
    theirs = await open(1, () => undefined)
  })
  afterEach(() => Promise.all(stores.map((store) => store.cleanup())))

  it('answers peers with the newest 100 pieces, and takes from them what holds', async () => {
    for (const name of ['full', 'liar', 'broken']) peers.connect('me', name)
    for (let height = 0; height < 99; height++) await theirs.add(doubleVote('v1', height))
    for (const height of [3, 4]) await theirs.add(doubleVote('v2', height))
    serveEvidence(peers.of('full'), theirs)
    await askForEvidence(peers.of('me'), mine, 'full')
    assert.equal(learnt.length, 100)
    assert.equal(
      learnt.some((piece) => misbehaviourOf(piece).height === 0),
      false,
    )
    const good = doubleVote('v3', 1)
    assert.ok(good.kind === 'double-vote')
    const forged = { ...good, a: { ...good.a, signature: good.b.signature } }
    peers.of('liar').serve('evidence', () => Promise.resolve({ evidence: [forged, good] }))
    await askForEvidence(peers.of('me'), mine, 'liar')
    assert.deepEqual(misbehaviourOf((await mine.list(1))[0]!), misbehaviourOf(good))
    peers.of('broken').serve('evidence', () => Promise.resolve({ evidence: 'none' }))
    await assert.rejects(askForEvidence(peers.of('me'), mine, 'broken'), (error) => isSolarError(error, 'malformed'))
  })

  it('asks who connects, and everybody in turn from then on, until it is stopped', async () => {
    const asked = () => peers.asked.map(({ peer }) => peer).toSorted()
    for (const name of ['a', 'b']) serveEvidence(peers.of(name), theirs)
    const requests = peers.of('me')
    const stop = keepAskingForEvidence({ requests, evidence: mine, clock, logger: silentLogger })
    for (const name of ['a', 'b']) peers.connect('me', name)
    assert.deepEqual(asked(), ['a', 'b'])
    // Found after both were asked, and never gossiped to this node.
    await theirs.add(doubleVote('v1', 1))
    clock.advance(40_000)
    assert.deepEqual(asked(), ['a', 'a', 'b', 'b'])
    await eventually('what they found since is known here', () => learnt.length === 1)
    stop()
    peers.disconnect('me', 'a')
    peers.connect('me', 'a')
    clock.advance(100_000)
    assert.equal(asked().length, 4)
  })
})
