import {
  evidenceShape,
  makeDoubleSeal,
  makeDoubleVote,
  proveSigner,
  verifyEvidence,
} from '../../src/protocol/evidence.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { inclusionProofShape } from '../../src/protocol/history.ts'
import {
  Registry,
  registryEntryShape,
  registryPolicyShape,
  verifyRegistryEntry,
  verifyRegistryPolicy,
} from '../../src/protocol/registry.ts'
import { sealHeader, signVote } from '../helpers/sign-now.ts'
import { createTestChain, entryOf, genesisOf, namedKey } from '../helpers/test-chain.ts'
import { copyOf, outcomeOf, type VectorFile } from './case.ts'
import { CHAIN_ID, GENESIS, REGISTRY, sealTestChain } from './chain-cases.ts'
import { all, drop, flip, put, set, type Edit } from './edit.ts'
import { testKey } from './keys.ts'

const SIZES = [1, 2, 3, 4, 5, 8, 9, 17, 33]
const voters = (count: number) => Array.from({ length: count - 1 }, (_, i) => entryOf(`voter-${i}`, 'voter'))
const registryOf = (count: number) =>
  Registry.fromGenesis(
    genesisOf({ policy: 'votes', threshold: 1 }, entryOf('authority', 'authority'), ...voters(count)),
  )

type Change = readonly [name: string, edit: Edit]
const ENTRY_CHANGES: readonly Change[] = [
  ['another key', flip('entry.public_key')],
  ['another role', set('entry.role', 'authority')],
  ['another status', set('entry.status', 'revoked')],
  ['another height', set('entry.since_height', 1)],
  ['another slot', set('entry.slot', 1)],
  ['another leaf', set('proof.leaf_index', 2)],
  ['another root', flip('root')],
  ['a node changed', flip('proof.path.0')],
  ['a node too few', drop('proof.path.0')],
  ['a node too many', put('proof.path.4', 'proof.path.0')],
  ['a smaller tree', set('proof.tree_size', 4)],
  ['a negative index', set('proof.leaf_index', -1)],
  ['an index beyond 2^53', set('proof.leaf_index', 2 ** 53)],
  ['a node of 31 bytes', set('proof.path.0', 'ab'.repeat(31))],
  ['an unknown field', set('entry.note', 'x')],
  ['the policy as an entry', all(put('entry', 'policy'), set('proof.leaf_index', 0))],
]

interface RegistryCase {
  readonly name: string
  readonly entry?: object
  readonly policy?: object
  readonly proof: object
  readonly root: string
}

/** Entries and policies under registry roots. */
export function registryProofs(): VectorFile {
  const honest = SIZES.flatMap((count): RegistryCase[] => {
    const registry = registryOf(count)
    const entries = registry.entries.map((entry) => {
      return { name: `entry ${entry.slot} of ${count}`, entry, proof: registry.proof(entry), root: registry.root }
    })
    const policy = { name: `the policy above ${count} entries`, policy: registry.policy, proof: registry.policyProof() }
    return [...entries, { ...policy, root: registry.root }]
  })
  const base = honest.find(({ name }) => name === 'entry 3 of 9')!
  const changed = ENTRY_CHANGES.map(([name, apply]) => {
    const draft = copyOf({ ...base, name, policy: REGISTRY.policy })
    apply(draft)
    Reflect.deleteProperty(draft, 'policy')
    return draft
  })
  const wrongPolicy = { ...honest.find(({ name }) => name === 'the policy above 9 entries')!, name: 'another policy' }
  return {
    about: 'Inclusion of an entry (leaf slot + 1) or of the policy (leaf 0) under a registry_root.',
    cases: [...honest, ...changed, { ...wrongPolicy, policy: GENESIS_POLICY }].map((c) => ({
      ...c,
      ...proofOutcome(c),
    })),
  }
}

const GENESIS_POLICY = { finality: { policy: 'authority' }, since_height: 0 }

const proofOutcome = ({ entry, policy, proof, root }: RegistryCase) =>
  outcomeOf(() => {
    const shaped = inclusionProofShape(proof, 'proof')
    return policy === undefined
      ? verifyRegistryEntry(registryEntryShape(entry, 'entry'), shaped, root)
      : verifyRegistryPolicy(registryPolicyShape(policy, 'policy'), shaped, root)
  })

const EVIDENCE_CHANGES: readonly Change[] = [
  ['the same header twice', put('evidence.b', 'evidence.a')],
  [
    'in another order',
    all(
      put('evidence.c', 'evidence.a'),
      put('evidence.a', 'evidence.b'),
      put('evidence.b', 'evidence.c'),
      drop('evidence.c'),
    ),
  ],
  ['another chain', set('chain_id', '0'.repeat(64))],
  ['another height', set('evidence.a.header.height', 2)],
  ['a signature of nobody', flip('evidence.a.signature')],
  ['the entry of somebody else', set('evidence.proof.entry.id', 'alice')],
  ['an entry that is not in the genesis', set('evidence.proof.entry.since_height', 1)],
  ['a revoked entry', set('evidence.proof.entry.status', 'revoked')],
  ['an unknown kind', set('evidence.kind', 'double-spend')],
  ['an unknown field', set('evidence.note', 'x')],
]

const [, SECOND] = sealTestChain([1, 1])
const FORK = sealHeader(
  { ...SECOND!.sealed.header, timestamp: SECOND!.sealed.header.timestamp + 1 },
  testKey('authority'),
)

async function laterSigner() {
  const made = await createTestChain(genesisOf({ policy: 'authority' }, entryOf('authority', 'authority')))
  await made.trade()
  const dave = namedKey('dave').publicKey
  await made.change({ action: 'enrol', subject_id: 'dave', role: 'voter', public_key: dave }, 'dave')
  await made.trade()
  const [below] = await made.chain.headers(1, 1)
  const vote = await made.ack('dave', 2)
  const { chain_id, height, voter_id, decision } = vote
  const other = signVote({ chain_id, height, voter_id, decision, header_hash: '0'.repeat(64) }, namedKey('dave'))
  const proof = proveSigner(made.chain.registry, 'dave', { header: below!.header, signature: below!.signature })!
  const evidence = makeDoubleVote(vote, other, proof)
  return {
    chain_id: made.chain.chainId,
    genesis: made.chain.genesis,
    evidence,
    trusted_root: below!.header.registry_root,
  }
}
const LATER = await laterSigner()

/** Two seals or two acks of one height, alone and with what a verifier trusts. */
export function evidenceCases(): VectorFile {
  const authority = proveSigner(REGISTRY, 'authority-1', null)!
  const alice = proveSigner(REGISTRY, 'alice', null)!
  const acks = [SECOND!.hash, hashHeader(FORK.header)].map((header_hash) =>
    signVote({ chain_id: CHAIN_ID, header_hash, height: 1, voter_id: 'alice', decision: 'ack' }, testKey('alice')),
  )
  const base = { chain_id: CHAIN_ID, genesis: GENESIS, trusted_root: null }
  const seals = { ...base, name: 'two seals of one height', evidence: makeDoubleSeal(SECOND!.sealed, FORK, authority) }
  const votes = { ...base, name: 'two acks of one height', evidence: makeDoubleVote(acks[0]!, acks[1]!, alice) }
  const changed = EVIDENCE_CHANGES.map(([name, apply]) => {
    const draft = copyOf({ ...seals, name })
    apply(draft)
    return draft
  })
  const cases = [
    seals,
    votes,
    { ...LATER, name: 'a signer proven under a trusted root' },
    { ...LATER, name: 'a signer under a root that nobody trusts', trusted_root: null },
    { ...LATER, name: 'a signer under another root than the trusted one', trusted_root: '0'.repeat(64) },
    ...changed,
  ]
  return {
    about:
      'Evidence of misbehaviour, checked with the genesis and, where there is one, the registry root before the height that the verifier trusts ("trusted_root").',
    cases: cases.map((c) => ({ ...copyOf(c), ...evidenceOutcome(c) })),
  }
}

function evidenceOutcome({
  chain_id,
  evidence,
  trusted_root,
}: Omit<typeof LATER, 'trusted_root'> & { trusted_root: string | null }) {
  const genesis = chain_id === LATER.chain_id ? LATER.genesis : GENESIS
  return outcomeOf(() => {
    const verdict = verifyEvidence(
      evidenceShape(copyOf(evidence), 'evidence'),
      genesis,
      chain_id,
      trusted_root ?? undefined,
    )
    return verdict.ok ? undefined : verdict
  })
}
