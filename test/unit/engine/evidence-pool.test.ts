import { hearEvidence } from '../../../src/engine/evidence-exchange.ts'
import {
  openEvidencePool,
  type EvidenceOutcome,
  type EvidencePool,
  type EvidencePoolParts,
} from '../../../src/engine/evidence-pool.ts'
import type { EvidenceStore } from '../../../src/ports/finality-store.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { SignatureClaim } from '../../../src/ports/signature-checks.ts'
import { canonicalBytes, canonicalText, parseCanonicalBytes } from '../../../src/protocol/canonical-json.ts'
import {
  evidenceShape,
  makeDoubleSeal,
  makeDoubleVote,
  misbehaviourOf,
  proveSigner,
  verifyEvidence,
  type Evidence,
} from '../../../src/protocol/evidence.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { verifyObject } from '../../../src/protocol/signature.ts'
import { createStreet, namedKey } from '../../helpers/branches.ts'
import { createTestGossip, type TestGossip } from '../../helpers/peers.ts'
import { tempLightStore, type OpenedStore } from '../../helpers/stores.ts'
import assert from 'node:assert/strict'

const street = createStreet({ finality: { policy: 'validators', threshold: 2 }, validators: ['v1', 'v2', 'v3'] })
const stranger = createStreet({ validators: ['v1', 'v2', 'v3'] })
const base = street.start.grow('t0')
const [here, there] = [base.grow('a1').blocks[1]!, base.grow('b1').blocks[1]!]
const genesis = base.state.registries[0].registry
/** Of an entry that is still as the genesis has it, without a header that proves it. */
const proofOf = (id: string) => proveSigner(genesis, id, null)!
const ack = (voter: string, height: number, header: string, key = namedKey(voter), chain = street) =>
  chain.vote(voter, { hash: sha256Hex(header), height }, 'ack', key)
const doubleVote = (voter: string, height: number): Evidence =>
  makeDoubleVote(ack(voter, height, 'a'), ack(voter, height, 'b'), proofOf(voter))
const doubleSeal = (): Evidence => makeDoubleSeal(sealedOf(here), sealedOf(there), proofOf('authority'))
const sealedOf = ({ header, signature }: typeof here) => ({ header, signature })

describe('the pool of evidence', () => {
  let opened: OpenedStore<EvidenceStore>
  let store: EvidenceStore
  let gossip: TestGossip
  let told: Evidence[]
  let pool: EvidencePool

  beforeEach(async () => {
    opened = await tempLightStore()
    store = opened.store
    gossip = createTestGossip()
    told = []
    pool = await open()
  })
  afterEach(() => opened.cleanup())
  /** What a node with the chain `base` knows. */
  const signerBefore: EvidencePoolParts['signerBefore'] = (id, height) => {
    if (height > base.size) return Promise.resolve(undefined)
    const header = height === 0 ? null : sealedOf(base.blocks[0]!)
    const proof = proveSigner(genesis, id, header)
    return Promise.resolve(proof && { proof, registryRoot: genesis.root })
  }
  const open = (changes: Partial<EvidencePoolParts> = {}): Promise<EvidencePool> =>
    openEvidencePool({
      genesis: street.genesis,
      chainId: street.chainId,
      store,
      gossip,
      logger: silentLogger,
      signerBefore,
      onEvidence: (evidence) => told.push(evidence),
      ...changes,
    })
  const codeOf = (outcome: EvidenceOutcome): string => (typeof outcome === 'object' ? outcome.refused : outcome)

  it('makes evidence of two seals or two acks, keeps it, tells it once, and gossips it for anybody to check', async () => {
    assert.equal(await pool.foundSeals(sealedOf(here), sealedOf(there)), 'new')
    assert.equal(await pool.foundSeals(sealedOf(there), sealedOf(here)), 'known')
    assert.equal(await pool.foundVotes(ack('v1', 1, 'a'), ack('v1', 1, 'b')), 'new')
    assert.deepEqual(
      told.map((evidence) => misbehaviourOf(evidence)).map(({ kind, signer_id, height }) => [kind, signer_id, height]),
      [
        ['double-seal', 'authority', 1],
        ['double-vote', 'v1', 1],
      ],
    )
    assert.deepEqual(await pool.list(10), told.toReversed())
    const heard = gossip.published.map(({ payload }) => evidenceShape(parseCanonicalBytes(payload), 'evidence'))
    assert.deepEqual(heard, told)
    for (const piece of heard) {
      const { genesis: pinned, chainId } = street
      assert.deepEqual(verifyEvidence(piece, pinned, chainId, genesis.root), {
        ok: true,
        signer: 'proven',
        by: 'registry',
      })
      assert.ok(verifyEvidence(piece, pinned, chainId).ok, 'also by the genesis alone')
    }
  })

  it('is durable before anybody is told of it', async () => {
    const kept: number[] = []
    pool = await open({ onEvidence: () => void store.evidence(5).then((pieces) => kept.push(pieces.length)) })
    await pool.add(doubleVote('v1', 1))
    await store.evidence(5)
    assert.deepEqual(kept, [1])
    pool = await open({ store: { ...store, putEvidence: () => Promise.reject(new Error('the disk is full')) } })
    await assert.rejects(pool.add(doubleVote('v2', 1)), /the disk is full/)
    assert.deepEqual(told, [])
  })

  it('proves nothing to itself by what a peer says of the registry', async () => {
    const forger = namedKey('forger')
    const entry = { ...proofOf('v1').entry, public_key: forger.publicKey }
    const forged = makeDoubleVote(ack('v1', 1, 'a', forger), ack('v1', 1, 'b', forger), { ...proofOf('v1'), entry })
    assert.equal(codeOf(await pool.add(forged)), 'unproven_signer')
    // Its own proof takes the place of the one that came.
    await pool.add(doubleVote('v1', 1))
    assert.notEqual((await pool.list(1))[0]?.proof.header, null)
  })

  it('takes what the genesis proves where it does not know the registry, and nothing else', async () => {
    assert.equal(await pool.add(doubleVote('v1', 77)), 'new')
    const rotated = namedKey('v2 new')
    const entry = { ...proofOf('v2').entry, public_key: rotated.publicKey }
    const proof = { ...proofOf('v2'), entry }
    const unknown = makeDoubleVote(ack('v2', 77, 'a', rotated), ack('v2', 77, 'b', rotated), proof)
    assert.equal(codeOf(await pool.add(unknown)), 'bad_registry_proof')
    assert.equal(
      codeOf(await pool.foundVotes(ack('v2', 77, 'a'), ack('v2', 77, 'b'))),
      'unknown_height',
      'it makes none that it cannot prove',
    )
  })

  it('has both signatures checked where the node checks those of strangers', async () => {
    const settled: SignatureClaim[] = []
    pool = await open({ signatures: { settle: (claim) => Promise.resolve(void settled.push(claim)) } })
    const votes = doubleVote('v1', 1)
    const seals = doubleSeal()
    assert.equal(await pool.add(votes), 'new')
    assert.equal(await pool.add(seals), 'new')
    const signed = settled.map(({ type, chainId, body, signature, publicKey }) => [
      ...[type, signature],
      verifyObject(type, chainId, body, signature, publicKey),
    ])
    assert.deepEqual(signed, [
      ...[votes.a, votes.b].map(({ signature }) => ['vote', signature, true]),
      ...[seals.a, seals.b].map(({ signature }) => ['header', signature, true]),
    ])
  })

  it('gossips on what is new, ignores what is known or cannot be judged, and rejects what no honest node sends', async () => {
    hearEvidence(gossip, pool, silentLogger)
    const hear = (value: object) => gossip.deliver('evidence', canonicalBytes(value))
    assert.equal(await hear(doubleSeal()), 'accept')
    assert.equal(await hear(doubleSeal()), 'ignore')
    assert.equal(await hear(doubleVote('v1', 1)), 'accept')
    const good = doubleVote('v2', 1)
    assert.ok(good.kind === 'double-vote')
    const unordered = { ...good, a: good.b, b: good.a }
    const foreign = makeDoubleVote(
      ack('v2', 1, 'a', namedKey('v2'), stranger),
      ack('v2', 1, 'b', namedKey('v2'), stranger),
      proofOf('v2'),
    )
    const cases: readonly (readonly [string, object])[] = [
      ['not evidence', { kind: 'double-trouble' }],
      ['one vote twice', { ...good, b: good.a }],
      ['the higher hash first', unordered],
      ['another chain', foreign],
      ['two heights', makeDoubleVote(ack('v2', 1, 'a'), ack('v2', 0, 'b'), proofOf('v2'))],
      ['a forged signature', { ...good, a: { ...good.a, signature: good.b.signature } }],
    ]
    for (const [what, value] of cases) assert.equal(await hear(value), 'reject', what)
    const pretty = new TextEncoder().encode(JSON.stringify(good, null, 1))
    assert.equal(await gossip.deliver('evidence', pretty), 'reject', 'bytes that are not canonical')
    // Whose registry it is by may be another.
    const bad = { ...doubleVote('v3', 50), proof: { ...proofOf('v3'), entry: { ...proofOf('v3').entry, slot: 0 } } }
    assert.equal(await hear(bad), 'ignore', 'its registry may be another')
    assert.equal(told.length, 2)
    assert.equal(await hear(good), 'accept')
  })

  it('keeps 100 pieces of one signer, also over a restart, and still hears of others', async () => {
    for (let height = 0; height < 100; height++) assert.equal(await pool.add(doubleVote('v1', height)), 'new')
    assert.equal(codeOf(await pool.add(doubleVote('v1', 100))), 'too_many')
    store = await opened.reopen()
    pool = await open()
    assert.equal(codeOf(await pool.add(doubleVote('v1', 100))), 'too_many')
    assert.equal(await pool.add(doubleVote('v1', 7)), 'known')
    assert.equal(await pool.add(doubleVote('v2', 100)), 'new')
    hearEvidence(gossip, pool, silentLogger)
    assert.equal(await gossip.deliver('evidence', canonicalBytes(doubleVote('v1', 101))), 'ignore')
    assert.equal((await pool.list(1_000)).length, 101)
  })

  it('takes one of several that come at once', async () => {
    const outcomes = await Promise.all([1, 2, 3].map(() => pool.add(doubleSeal())))
    assert.deepEqual(outcomes.toSorted(), ['known', 'known', 'new'])
    assert.equal(told.length, 1)
  })

  it('accuses the key of who sealed twice, also after a restart, and of nobody who voted twice', async () => {
    const key = namedKey('authority').publicKey
    assert.equal(pool.isAccused(key), false)
    await pool.add(doubleVote('v1', 1))
    await pool.add(doubleSeal())
    for (const current of [pool, await open()]) {
      assert.equal(current.isAccused(key), true)
      assert.equal(current.isAccused(namedKey('v1').publicKey), false)
      assert.equal(current.isAccused(namedKey('authority 2').publicKey), false, 'a new key is not accused')
    }
  })

  it('gossips on what a peer gave when it was asked, if it is new', async () => {
    await pool.learn(doubleSeal())
    await pool.learn(doubleSeal())
    const heard = gossip.published.map(({ payload }) => evidenceShape(parseCanonicalBytes(payload), 'evidence'))
    assert.deepEqual(heard, [doubleSeal()])
  })

  it('fits an answer of 100 pieces, whatever they are, into a message', () => {
    const path = Array.from({ length: 64 }, (_, n) => sha256Hex(`${n}`))
    const proof = {
      ...proofOf('authority'),
      registry_proof: { leaf_index: 1, tree_size: 2, path },
      header: sealedOf(here),
    }
    const largest = canonicalText(makeDoubleSeal(sealedOf(here), sealedOf(there), proof)).length
    assert.ok(largest * 100 < 4 * 1024 * 1024, String(largest))
  })
})
