import assert from 'node:assert/strict'
import { canonicalBytes } from '../../../src/protocol/canonical-json.ts'
import {
  evidenceId,
  evidenceShape,
  makeDoubleSeal,
  makeDoubleVote,
  misbehaviourOf,
  proveSigner,
  verifyEvidence,
  type Evidence,
  type EvidenceVerdict,
  type SignerProof,
} from '../../../src/protocol/evidence.ts'
import { chainIdOf, type Genesis, type Role } from '../../../src/protocol/genesis.ts'
import { merkleRoot } from '../../../src/protocol/merkle.ts'
import { EMPTY_HISTORY_ROOT } from '../../../src/protocol/history.ts'
import { hashHeader, type Header, type SealedHeader } from '../../../src/protocol/header.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import { decodePostedRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import type { Vote } from '../../../src/protocol/vote.ts'
import { testHeaderHash, testNonce, testSecret } from '../../vectors/keys.ts'
import {
  sealHeader,
  signingKeyFromSecret,
  signRegistryTransaction,
  signVote,
  type TestKey,
} from '../../helpers/sign-now.ts'

const key = (name: string): TestKey => signingKeyFromSecret(testSecret(name))
const entryOf = (id: string, role: Role, name = id) => ({
  id,
  role,
  public_key: key(name).publicKey,
  recovery_key: null,
})
const genesisOf = (keyName: (id: string) => string = (id) => id): Genesis => ({
  version: 1,
  name: 'Evidence',
  origin: 'evidence.example',
  created_at: 0,
  currency: 'EUR',
  amount_decimals: 2,
  seal: 'authority',
  difficulty: 0,
  finality: { policy: 'validators', threshold: 1 },
  registry: [
    entryOf('authority', 'authority', keyName('authority')),
    entryOf('v1', 'validator', keyName('v1')),
    entryOf('alice', 'voter', keyName('alice')),
  ],
})
const GENESIS = genesisOf()
const CHAIN_ID = chainIdOf(GENESIS)
const START = Registry.fromGenesis(GENESIS)
const HEIGHT = 6

/** v1 has a new key: what the genesis says of it no longer holds. */
const ROTATED = START.after(
  [
    decodePostedRegistryTransaction(
      signRegistryTransaction(
        {
          kind: 'registry',
          action: 'rotate',
          id: 'rotate-v1',
          subject_id: 'v1',
          public_key: key('v1 new').publicKey,
          timestamp: 1,
          nonce: testNonce('rotate'),
        },
        CHAIN_ID,
        key('v1'),
      ),
    ),
  ],
  3,
  new Set(),
)

function seal(height: number, change: Partial<Header> = {}, signer = 'authority'): SealedHeader {
  const header: Header = {
    version: 1,
    chain_id: CHAIN_ID,
    height,
    prev_hash: testHeaderHash(height - 1),
    merkle_root: merkleRoot([]),
    tx_count: 0,
    history_root: EMPTY_HISTORY_ROOT,
    registry_root: ROTATED.root,
    timestamp: 1_000,
    nonce: 0,
    difficulty: 0,
    miner_id: 'authority',
    ...change,
  }
  return sealHeader(header, key(signer))
}
const ack = (header: string, change: Partial<Vote> = {}, signer = 'v1 new'): Vote => {
  const { chain_id = CHAIN_ID, height = HEIGHT, voter_id = 'v1', decision = 'ack' } = change
  return signVote({ chain_id, header_hash: header.repeat(64), height, voter_id, decision }, key(signer))
}
const proofOf = (id: string, registry = ROTATED, header: SealedHeader | null = seal(HEIGHT - 1)): SignerProof =>
  proveSigner(registry, id, header)!

const SEALS = [seal(HEIGHT), seal(HEIGHT, { timestamp: 2_000 })] as const
const doubleSeal = (proof = proofOf('authority')): Evidence => makeDoubleSeal(...SEALS, proof)
const doubleVote = (proof = proofOf('v1')): Evidence => makeDoubleVote(ack('a'), ack('b'), proof)
const textOf = (verdict: EvidenceVerdict): string => (verdict.ok ? `${verdict.signer} by ${verdict.by}` : verdict.code)
/** The answer to somebody who knows the registry before that height. */
const codeOf = (evidence: Evidence, trusted = ROTATED.root): string =>
  textOf(verifyEvidence(evidence, GENESIS, CHAIN_ID, trusted))
/** The answer to somebody who knows nothing but the chain_id. */
const alone = (evidence: Evidence): string => textOf(verifyEvidence(evidence, GENESIS, CHAIN_ID))

describe('evidence', () => {
  it('of two seals or two acks at one height is proven under the registry before that height', () => {
    assert.equal(codeOf(doubleSeal()), 'proven by registry')
    assert.equal(codeOf(doubleVote()), 'proven by registry')
    const voter = makeDoubleVote(
      ack('a', { voter_id: 'alice' }, 'alice'),
      ack('b', { voter_id: 'alice' }, 'alice'),
      proofOf('alice'),
    )
    assert.equal(codeOf(voter), 'proven by registry')
  })

  it('is the same whichever statement came first, and whoever proves the signer', () => {
    const [one, other] = SEALS
    const evidence = doubleSeal()
    assert.deepEqual(makeDoubleSeal(other, one, proofOf('authority')), evidence)
    assert.deepEqual(makeDoubleVote(ack('b'), ack('a'), proofOf('v1')), doubleVote())
    const elsewhere = doubleSeal(proofOf('authority', START, null))
    assert.notDeepEqual(elsewhere, evidence)
    assert.equal(evidenceId(elsewhere), evidenceId(evidence))
    const hashes = SEALS.map(({ header }) => hashHeader(header)).sort()
    assert.deepEqual(misbehaviourOf(evidence), {
      kind: 'double-seal',
      chain_id: CHAIN_ID,
      height: HEIGHT,
      signer_id: 'authority',
      a: hashes[0],
      b: hashes[1],
    })
  })

  it('of other statements has another name', () => {
    const third = makeDoubleVote(ack('a'), ack('c'), proofOf('v1'))
    assert.equal(new Set([doubleSeal(), doubleVote(), third].map(evidenceId)).size, 3)
  })

  it('has one shape for each kind, and fits into a message', () => {
    for (const evidence of [doubleSeal(), doubleVote(), doubleSeal(proofOf('authority', START, null))]) {
      assert.deepEqual(evidenceShape(JSON.parse(JSON.stringify(evidence)), 'evidence'), evidence)
      assert.ok(canonicalBytes(evidence).length < 8 * 1024)
      for (const change of [{ kind: 'double' }, { a: ack('a'), b: SEALS[0] }, { proof: null }, { extra: 1 }]) {
        assert.throws(() => evidenceShape({ ...evidence, ...change }, 'evidence'), { code: 'malformed' })
      }
    }
    assert.throws(() => evidenceShape(null, 'evidence'), { code: 'malformed' })
    const mixed = { ...doubleSeal(), kind: 'double-vote' }
    assert.throws(() => evidenceShape(mixed, 'evidence'), { code: 'malformed' })
  })

  it('does not prove a signer that is not registered', () => {
    assert.equal(proveSigner(START, 'nobody', null), undefined)
  })
})

describe('evidence is refused', () => {
  const changed = (evidence: Evidence, change: object): Evidence => ({ ...evidence, ...change })

  it('if both statements are one, or are not in order', () => {
    const evidence = doubleSeal()
    assert.equal(codeOf(changed(evidence, { b: evidence.a })), 'same_statement')
    assert.equal(codeOf(changed(evidence, { a: evidence.b, b: evidence.a })), 'not_ordered')
    assert.equal(codeOf(makeDoubleVote(ack('a'), ack('a'), proofOf('v1'))), 'same_statement')
  })

  it('if one statement is for another chain', () => {
    const chain_id = '0'.repeat(64)
    assert.equal(codeOf(makeDoubleVote(ack('a', { chain_id }), ack('b'), proofOf('v1'))), 'wrong_chain')
    const far = [seal(HEIGHT, { chain_id }), seal(HEIGHT, { chain_id, timestamp: 2 })] as const
    assert.equal(codeOf(makeDoubleSeal(...far, proofOf('authority'))), 'wrong_chain')
  })

  it('if the heights differ', () => {
    assert.equal(codeOf(makeDoubleVote(ack('a', { height: HEIGHT + 1 }), ack('b'), proofOf('v1'))), 'different_heights')
    assert.equal(codeOf(makeDoubleSeal(seal(HEIGHT), seal(HEIGHT + 1), proofOf('authority'))), 'different_heights')
  })

  it('if the signers differ, or the entry is that of somebody else', () => {
    const alice = ack('b', { voter_id: 'alice' }, 'alice')
    assert.equal(codeOf(makeDoubleVote(ack('a'), alice, proofOf('v1'))), 'wrong_signer')
    assert.equal(codeOf(doubleVote(proofOf('alice'))), 'wrong_signer')
  })

  it('if a vote is a reject', () => {
    const rejected = makeDoubleVote(ack('a'), ack('b', { decision: 'reject' }), proofOf('v1'))
    assert.equal(codeOf(rejected), 'not_an_ack')
  })

  it('if the signer had nothing to say', () => {
    const byValidator = (timestamp: number) => seal(HEIGHT, { miner_id: 'v1', timestamp }, 'v1 new')
    assert.equal(codeOf(makeDoubleSeal(byValidator(1), byValidator(2), proofOf('v1'))), 'not_active')
    const proof = proofOf('v1')
    const revoked: SignerProof = { ...proof, entry: { ...proof.entry, status: 'revoked' } }
    assert.equal(codeOf(doubleVote(revoked)), 'not_active')
  })

  it('if the entry is not under the registry root of the header below', () => {
    const proof = proofOf('v1')
    const bad: readonly SignerProof[] = [
      { ...proof, entry: { ...proof.entry, public_key: key('stranger').publicKey } },
      { ...proof, entry: { ...proof.entry, slot: 2 } },
      { ...proof, registry_proof: ROTATED.proof(ROTATED.entry('alice')!) },
      { ...proof, registry_proof: null },
      { ...proof, header: null },
      proofOf('v1', START),
      proofOf('v1', ROTATED, null),
      proofOf('v1', ROTATED, seal(HEIGHT)),
      proofOf('v1', ROTATED, seal(HEIGHT - 2)),
      proofOf('v1', ROTATED, seal(HEIGHT - 1, { chain_id: '0'.repeat(64) })),
    ]
    for (const [i, one] of bad.entries()) assert.equal(codeOf(doubleVote(one)), 'bad_registry_proof', String(i))
  })

  it('if a signature is not by the key of the entry', () => {
    for (const signer of ['v1', 'stranger']) {
      assert.equal(codeOf(makeDoubleVote(ack('a'), ack('b', {}, signer), proofOf('v1'))), 'bad_signature', signer)
      assert.equal(codeOf(makeDoubleVote(ack('a', {}, signer), ack('b'), proofOf('v1'))), 'bad_signature', signer)
    }
    const other = seal(HEIGHT, { timestamp: 3_000 }, 'stranger')
    assert.equal(codeOf(makeDoubleSeal(SEALS[0], other, proofOf('authority'))), 'bad_signature')
    const [a, b] = SEALS
    const swapped = makeDoubleSeal(a, { ...b, signature: a.signature }, proofOf('authority'))
    assert.equal(codeOf(swapped), 'bad_signature')
  })

  it('if the key of the entry is none, without an exception', () => {
    const genesis = genesisOf()
    const registry = genesis.registry.map((entry) =>
      entry.id === 'alice' ? { ...entry, public_key: `01${'00'.repeat(31)}` } : entry,
    )
    const forged = Registry.fromGenesis({ ...genesis, registry })
    const votes = [ack('a', { voter_id: 'alice' }), ack('b', { voter_id: 'alice' })] as const
    const header = seal(HEIGHT - 1, { registry_root: forged.root })
    assert.equal(codeOf(makeDoubleVote(...votes, proofOf('alice', forged, header))), 'bad_signature')
  })
})

describe('what evidence proves', () => {
  /** A forger's registry: the ids of the chain, with keys that the forger has. */
  const forgedRegistry = Registry.fromGenesis(genesisOf((id) => `forged ${id}`))
  const forgedProof = (id: string) =>
    proofOf(id, forgedRegistry, seal(HEIGHT - 1, { registry_root: forgedRegistry.root }, 'forged authority'))

  it('is nothing about the signer if its registry is an invention', () => {
    const seals = [
      seal(HEIGHT, {}, 'forged authority'),
      seal(HEIGHT, { timestamp: 2_000 }, 'forged authority'),
    ] as const
    const votes = [ack('a', {}, 'forged v1'), ack('b', {}, 'forged v1')] as const
    for (const forged of [
      makeDoubleSeal(...seals, forgedProof('authority')),
      makeDoubleVote(...votes, forgedProof('v1')),
    ]) {
      assert.equal(alone(forged), 'unproven_signer')
      assert.equal(codeOf(forged), 'unproven_signer')
      assert.equal(codeOf(forged, forgedRegistry.root), 'proven by registry')
    }
  })

  it('is nothing alone if the key came after the genesis, unless the header is trusted', () => {
    assert.equal(alone(doubleVote()), 'unproven_signer')
    assert.equal(codeOf(doubleVote()), 'proven by registry')
    assert.equal(codeOf(doubleVote(), START.root), 'unproven_signer')
  })

  it('is, to somebody with the chain_id alone, what the holder of a genesis key signed', () => {
    assert.equal(alone(doubleSeal()), 'proven by genesis')
    assert.equal(alone(doubleSeal(proofOf('authority', START, null))), 'proven by genesis')
  })

  it('is not that the genesis key was still in force: a node that knows the registry does not take it for that', () => {
    // v1 rotated its key away before this height; now somebody else may have it.
    const votes = [ack('a', {}, 'v1'), ack('b', {}, 'v1')] as const
    const stolen = makeDoubleVote(...votes, proofOf('v1', START, null))
    assert.equal(alone(stolen), 'proven by genesis')
    assert.equal(codeOf(stolen), 'unproven_signer')
    assert.equal(codeOf({ ...stolen, proof: proofOf('v1') }), 'bad_signature')
  })

  it('is complete at height 0, where the registry is that of the genesis', () => {
    const first = makeDoubleSeal(seal(0), seal(0, { timestamp: 2_000 }), proofOf('authority', START, null))
    assert.equal(alone(first), 'proven by registry')
    assert.equal(codeOf(first, START.root), 'proven by registry')
    const votes = [ack('a', { height: 0 }), ack('b', { height: 0 })] as const
    assert.equal(alone(makeDoubleVote(...votes, proofOf('v1', ROTATED, null))), 'bad_registry_proof')
  })

  it('is proven again when a node puts its own proof in for one that it cannot trust', () => {
    const received = doubleSeal(proofOf('authority', START, null))
    assert.equal(codeOf(received), 'unproven_signer')
    const proven = { ...received, proof: proofOf('authority') }
    assert.equal(codeOf(proven), 'proven by registry')
    assert.equal(evidenceId(proven), evidenceId(received))
  })
})
