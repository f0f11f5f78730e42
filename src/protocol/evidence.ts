import type { Hash } from './bytes.ts'
import { firstFailure, invalid, isSolarError, VALID, type Verdict } from './errors.ts'
import type { Genesis } from './genesis.ts'
import { hashObject } from './hash.ts'
import { hashHeader, sealedHeaderShape, verifySeal, type SealedHeader } from './header.ts'
import { inclusionProofShape } from './history.ts'
import { registryEntryShape, verifyRegistryEntry, type Registry, type RegistryEntry } from './registry.ts'
import { isJsonObject, literal, nullable, object, refuse, type Shape, type TypeOf } from './shape.ts'
import { verifyVote, voteShape, type Vote } from './vote.ts'

/**
 * Whose key it is: the signer's registry entry before the height in question. `header` is the sealed header of height - 1,
 * whose registry_root has the entry; `header` and `registry_proof` are null for an entry that is still as the genesis has it.
 */
const signerProofShape = object({
  entry: registryEntryShape,
  registry_proof: nullable(inclusionProofShape),
  header: nullable(sealedHeaderShape),
})
export type SignerProof = TypeOf<typeof signerProofShape>

const doubleSealShape = object({
  kind: literal('double-seal'),
  a: sealedHeaderShape,
  b: sealedHeaderShape,
  proof: signerProofShape,
})
const doubleVoteShape = object({ kind: literal('double-vote'), a: voteShape, b: voteShape, proof: signerProofShape })

/** Two signed statements of one key that exclude each other; `a` is the one with the lower header hash. */
export type Evidence = TypeOf<typeof doubleSealShape> | TypeOf<typeof doubleVoteShape>

export const evidenceShape: Shape<Evidence> = (value, path) => {
  const kind = isJsonObject(value) ? value.kind : undefined
  if (kind === 'double-seal') return doubleSealShape(value, path)
  if (kind === 'double-vote') return doubleVoteShape(value, path)
  return refuse(`${path}.kind`, 'one of double-seal, double-vote', kind)
}

/**
 * The proof that `signerId` had its key at some height; `undefined` if it is not registered there.
 *
 * @param registry the registry before that height
 * @param header the sealed header below that height, whose registry_root is that of `registry`; null at height 0
 */
export function proveSigner(
  registry: Registry,
  signerId: string,
  header: SealedHeader | null,
): SignerProof | undefined {
  const entry = registry.entry(signerId)
  if (entry === undefined) return undefined
  return { entry, registry_proof: header === null ? null : registry.proof(entry), header }
}

/** Evidence of two seals of one height, in whichever order they came. `verifyEvidence` says if it is any. */
export function makeDoubleSeal(one: SealedHeader, other: SealedHeader, proof: SignerProof): Evidence {
  const [a, b] = hashHeader(one.header) < hashHeader(other.header) ? [one, other] : [other, one]
  return { kind: 'double-seal', a, b, proof }
}

/** Evidence of two acks at one height, in whichever order they came. `verifyEvidence` says if it is any. */
export function makeDoubleVote(one: Vote, other: Vote, proof: SignerProof): Evidence {
  const [a, b] = one.header_hash < other.header_hash ? [one, other] : [other, one]
  return { kind: 'double-vote', a, b, proof }
}

/** What a piece of evidence is about. */
export interface Misbehaviour {
  readonly kind: Evidence['kind']
  readonly chain_id: Hash
  readonly height: number
  readonly signer_id: string
  /** Header hashes. */
  readonly a: Hash
  readonly b: Hash
}

export function misbehaviourOf(evidence: Evidence): Misbehaviour {
  const [a, b] = statementsOf(evidence)
  return { kind: evidence.kind, chain_id: a.chainId, height: a.height, signer_id: a.signerId, a: a.hash, b: b.hash }
}

/**
 * Names evidence by what it is about, not by its bytes: the same misbehaviour with another proof of the signer, or signed
 * again, is the same evidence.
 */
export const evidenceId = (evidence: Evidence): Hash => hashObject(misbehaviourOf(evidence))

export type EvidenceCode =
  | 'not_ordered'
  | 'same_statement'
  | 'wrong_chain'
  | 'different_heights'
  | 'wrong_signer'
  | 'not_an_ack'
  | 'not_active'
  | 'bad_registry_proof'
  | 'bad_signature'
  | 'unproven_signer'

/** `by` tells what the key was proven with: see `verifyEvidence`. */
export type EvidenceVerdict =
  | { readonly ok: true; readonly signer: 'proven'; readonly by: 'registry' | 'genesis' }
  | (Verdict<EvidenceCode> & { readonly ok: false })

/**
 * Checks evidence. It guarantees
 * a) other hashes, the lower one first (`same_statement`, `not_ordered`), b) this chain (`wrong_chain`),
 * c) one height (`different_heights`), d) one signer, whose entry it is (`wrong_signer`), e) that two votes are acks
 * (`not_an_ack`), f) an entry that may say such things: active, and an authority for seals (`not_active`),
 * g) that the entry is under the registry_root of the header of height - 1 that came along, or is in the genesis
 * (`bad_registry_proof`), h) both signatures by the entry's key (`bad_signature`), i) that the key was the signer's
 * (`unproven_signer`).
 *
 * What i) rests on: a header is only bytes, and anybody can write one with a registry of his own making, in which the
 * victim's id has a key of the forger. So the header that comes along proves nothing unless its registry_root is
 * trusted from elsewhere.
 * - With `trustedRegistryRoot` (a node has it from its own chain; a light client from an anchor, to which seals and
 *   handovers led from the genesis) the answer is `proven` by `registry`: at that height this key was the signer's.
 *   A node that has the registry itself may put its own proof in (`proveSigner`): the evidence stays the same.
 * - With nothing but the genesis that hashes to chain_id, the answer is `proven` by `genesis` if the entry is still as
 *   the genesis has it: whoever held the key of the genesis signed both. Whether that key was in force at that height
 *   is not known, as it may have been rotated away and stolen; at height 0 it was (`registry`).
 * - Otherwise `unproven_signer`: one key signed both statements, and nothing tells whose key it is. All other checks
 *   hold then.
 *
 * No evidence by this rule: two blocks sealed by a key that a `recover` in those same blocks brings, as it is not in
 * the registry before them.
 *
 * @param trustedRegistryRoot root of the registry before the height in question, if the caller knows it
 */
export function verifyEvidence(
  evidence: Evidence,
  genesis: Genesis,
  chainId: Hash,
  trustedRegistryRoot?: Hash,
): EvidenceVerdict {
  const [a, b] = statementsOf(evidence)
  const { proof } = evidence
  const verdict = firstFailure<EvidenceCode>(
    () => verifyContradiction(a, b, chainId),
    () => verifySigner(evidence, a, b),
    () => verifySignerProof(proof, a.height, genesis, chainId),
    () => verifySignatures([a, b], proof.entry),
  )
  if (!verdict.ok) return verdict
  const trusted = trustedRegistryRoot !== undefined && proof.header?.header.registry_root === trustedRegistryRoot
  if (trusted || a.height === 0) return { ok: true, signer: 'proven', by: 'registry' }
  // Somebody who knows the registry of that height does not fall back on an older one.
  if (trustedRegistryRoot === undefined && isGenesisEntry(proof.entry, genesis)) {
    return { ok: true, signer: 'proven', by: 'genesis' }
  }
  return {
    ok: false,
    code: 'unproven_signer',
    reason: `the entry of ${proof.entry.id} is under no registry that is trusted here`,
  }
}

/** A seal or a vote, as far as they are alike. */
interface Statement {
  readonly chainId: Hash
  /** Header hash. */
  readonly hash: Hash
  readonly height: number
  readonly signerId: string
  verify(entry: RegistryEntry): Verdict
}

function sealStatement(sealed: SealedHeader): Statement {
  const { chain_id, height, miner_id } = sealed.header
  return {
    chainId: chain_id,
    hash: hashHeader(sealed.header),
    height,
    signerId: miner_id,
    verify: (entry) => verifySeal(sealed, entry.public_key),
  }
}

function voteStatement(vote: Vote): Statement {
  const { chain_id, header_hash, height, voter_id } = vote
  return {
    chainId: chain_id,
    hash: header_hash,
    height,
    signerId: voter_id,
    verify: (entry) => verifyVote(vote, chain_id, { hash: header_hash, height }, entry),
  }
}

const statementsOf = (evidence: Evidence): readonly [Statement, Statement] =>
  evidence.kind === 'double-seal'
    ? [sealStatement(evidence.a), sealStatement(evidence.b)]
    : [voteStatement(evidence.a), voteStatement(evidence.b)]

function verifyContradiction(a: Statement, b: Statement, chainId: Hash): Verdict<EvidenceCode> {
  if (a.hash === b.hash) return invalid('same_statement', `both are about header ${a.hash}`)
  if (a.hash > b.hash) return invalid('not_ordered', `${a.hash} comes before ${b.hash}`)
  const stranger = [a, b].find((statement) => statement.chainId !== chainId)
  if (stranger !== undefined) return invalid('wrong_chain', `chain ${stranger.chainId}, expected ${chainId}`)
  if (a.height !== b.height) return invalid('different_heights', `heights ${a.height} and ${b.height}`)
  return VALID
}

function verifySigner(evidence: Evidence, a: Statement, b: Statement): Verdict<EvidenceCode> {
  const { entry } = evidence.proof
  if (a.signerId !== b.signerId || a.signerId !== entry.id) {
    return invalid('wrong_signer', `signed by ${a.signerId} and ${b.signerId}, the entry is that of ${entry.id}`)
  }
  if (evidence.kind === 'double-vote' && (evidence.a.decision !== 'ack' || evidence.b.decision !== 'ack')) {
    return invalid('not_an_ack', 'rejects may be as many as there are headers')
  }
  if (entry.status !== 'active' || (evidence.kind === 'double-seal' && entry.role !== 'authority')) {
    return invalid('not_active', `${entry.id} is ${entry.status} as ${entry.role}: what it signed did not count`)
  }
  return VALID
}

function verifySignerProof(
  { entry, registry_proof, header: sealed }: SignerProof,
  height: number,
  genesis: Genesis,
  chainId: Hash,
): Verdict<EvidenceCode> {
  const bad = (reason: string) => invalid('bad_registry_proof', reason)
  if (sealed === null || registry_proof === null) {
    if (sealed !== registry_proof) return bad('a header and a registry proof go together')
    return isGenesisEntry(entry, genesis) ? VALID : bad(`${entry.id} is not in the genesis like that`)
  }
  const { header } = sealed
  if (header.chain_id !== chainId || header.height !== height - 1) {
    return bad(`the header is of height ${header.height} on chain ${header.chain_id}, not of height ${height - 1} here`)
  }
  const included = verifyRegistryEntry(entry, registry_proof, header.registry_root)
  return included.ok ? VALID : bad(included.reason)
}

function isGenesisEntry(entry: RegistryEntry, { registry }: Genesis): boolean {
  const known = registry[entry.slot]
  return (
    entry.id === known?.id &&
    entry.role === known.role &&
    entry.public_key === known.public_key &&
    entry.recovery_key === known.recovery_key &&
    entry.status === 'active' &&
    entry.since_height === 0
  )
}

function verifySignatures(statements: readonly Statement[], entry: RegistryEntry): Verdict<EvidenceCode> {
  try {
    const verdict = firstFailure(...statements.map((statement) => () => statement.verify(entry)))
    return verdict.ok ? VALID : invalid('bad_signature', verdict.reason)
  } catch (error) {
    // A made up entry may have any 32 bytes as its key.
    if (isSolarError(error, 'bad_public_key')) return invalid('bad_signature', error.message)
    throw error
  }
}
