import type { Hash, Hex } from './bytes.ts'
import { firstFailure, invalid, VALID, type Failure, type Verdict } from './errors.ts'
import type { Finality, Genesis, Role } from './genesis.ts'
import { hashHeader, verifySeal, verifyWork, type Header, type HeaderCode } from './header.ts'
import { historyLeaf, verifyInclusion, type InclusionProof } from './history.ts'
import { verifyMerkleProof, type MerkleProofCode } from './merkle.ts'
import type { Handover, ProvenVote } from './messages.ts'
import { verifyRegistryEntry, verifyRegistryPolicy, type RegistryEntry } from './registry.ts'
import { isSignedBy } from './registry-transaction.ts'
import { hashTransaction } from './transaction.ts'
import { verifyVote, type VoteCode } from './vote.ts'

/**
 * How trust in the registry moves on (docs/protocol.md 4): a block that changes an authority, a validator or the policy is
 * believed because those who are trusted so far sealed it and, under policy `validators`, a quorum of them acked it.
 */
export type HandoverCode =
  | HeaderCode
  | VoteCode
  | MerkleProofCode
  | 'bad_inclusion_proof'
  | 'wrong_slot'
  | 'unknown_sealer'
  | 'bad_recovery'
  | 'no_quorum'

export interface ChainContext {
  readonly genesis: Genesis
  readonly chainId: Hash
}

/**
 * Checks one handover. It guarantees
 * a) the chain and the work of c, b) that c is in the history of `target`, or is it,
 * c) the seal: by an active authority under `root`, or by the key that a valid recovery of the sealer brings,
 * d) the policy under `root`, and if it is `validators` a quorum of validators under `root`.
 * Then `handover.header.registry_root` is the root to trust.
 */
export function verifyHandover(
  handover: Handover,
  root: Hash,
  target: Header,
  context: ChainContext,
): Verdict<HandoverCode> {
  const { header, policy, votes } = handover
  const hash = hashHeader(header)
  return firstFailure<HandoverCode>(
    () => verifyChain(header, context),
    () => (hash === hashHeader(target) ? VALID : verifyInHistory(hash, header.height, handover.history_proof, target)),
    () => verifyHandoverSeal(handover, root, context.chainId),
    () => verifyRegistryPolicy(policy, handover.policy_proof, root),
    () =>
      policy.finality.policy === 'validators'
        ? verifyQuorum(policy.finality, header, votes, root, context.chainId)
        : VALID,
  )
}

function verifyChain(header: Header, { genesis, chainId }: ChainContext): Verdict<HandoverCode> {
  if (header.chain_id !== chainId) return invalid('wrong_chain', `chain ${header.chain_id}, expected ${chainId}`)
  return verifyWork(header, genesis)
}

/** Checks that the header with this hash is at `height` in the history of `later`. */
export function verifyInHistory(
  hash: Hash,
  height: number,
  proof: InclusionProof | null | undefined,
  later: Header,
): Verdict<'bad_inclusion_proof'> {
  if (proof?.leaf_index !== height || proof.tree_size !== later.height) {
    return invalid('bad_inclusion_proof', `no inclusion of header ${height} in the history of ${later.height}`)
  }
  return verifyInclusion(historyLeaf(hash), proof, later.history_root)
}

/** Checks that an entry is under `root` and is an active holder of `role`. */
export function verifyHolder(
  entry: RegistryEntry,
  proof: InclusionProof,
  root: Hash,
  id: string,
  role: Role,
): Verdict<HandoverCode> {
  if (entry.id !== id || entry.role !== role || entry.status !== 'active') {
    return invalid(role === 'authority' ? 'unknown_sealer' : 'unknown_voter', `${id} is no active ${role} there`)
  }
  return verifyRegistryEntry(entry, proof, root)
}

/** Checks that an entry of this id is under `root`, whatever its status: a recovery is of a revoked one, too. */
export function verifyRegisteredAs(
  entry: RegistryEntry,
  proof: InclusionProof,
  root: Hash,
  id: string,
): Verdict<HandoverCode> {
  return entry.id === id
    ? verifyRegistryEntry(entry, proof, root)
    : invalid('unknown_sealer', `the entry is that of ${entry.id}, the block was sealed by ${id}`)
}

function verifyHandoverSeal(handover: Handover, root: Hash, chainId: Hash): Verdict<HandoverCode> {
  const { header, entry, registry_proof, recovery } = handover
  if (recovery === undefined) {
    const holder = verifyHolder(entry, registry_proof, root, header.miner_id, 'authority')
    return holder.ok ? verifySeal(handover, entry.public_key) : holder
  }
  const registered = verifyRegisteredAs(entry, registry_proof, root, header.miner_id)
  if (!registered.ok) return registered
  const recovered = verifyRecovery(recovery, header, root, chainId)
  return recovered.ok ? verifySeal(handover, recovered.publicKey) : recovered
}

/** A block that begins with the recovery of its own sealer is sealed by the new key. */
function verifyRecovery(
  recovery: NonNullable<Handover['recovery']>,
  header: Header,
  root: Hash,
  chainId: Hash,
): { readonly ok: true; readonly publicKey: Hex } | Failure<HandoverCode> {
  const { transaction: tx, entry, registry_proof, merkle_proof } = recovery
  if (
    tx.kind !== 'registry' ||
    tx.action !== 'recover' ||
    tx.subject_id !== header.miner_id ||
    entry.id !== header.miner_id
  ) {
    return bad(`not a recovery of ${header.miner_id}`)
  }
  if (entry.role !== 'authority' || entry.recovery_key === null)
    return bad(`${entry.id} is no authority with a recovery key`)
  if (merkle_proof.index !== 0) return bad('the recovery is not the first transaction of its block')
  const proven = firstFailure<HandoverCode>(
    () => verifyRegistryEntry(entry, registry_proof, root),
    () => verifyMerkleProof(hashTransaction(tx), merkle_proof, header),
  )
  if (!proven.ok) return proven
  return isSignedBy(tx, chainId, entry.recovery_key)
    ? { ok: true, publicKey: tx.public_key }
    : bad('not signed by the recovery key')
}

const bad = (reason: string) => ({ ok: false, code: 'bad_recovery', reason }) as const

/**
 * Counts the distinct active holders of the policy's role that ack the header, or a later one that has it in its history;
 * their entries are proven under `root`. A vote that does not hold is a failure.
 */
export function countAcks(
  finality: Exclude<Finality, { policy: 'authority' }>,
  header: Header,
  votes: readonly ProvenVote[],
  root: Hash,
  chainId: Hash,
): { readonly ok: true; readonly acks: number } | Failure<HandoverCode> {
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const voters = new Set<string>()
  for (const proven of votes) {
    const verdict = verifyProvenVote(proven, header, root, role, chainId)
    if (!verdict.ok) return verdict
    voters.add(proven.entry.id)
  }
  return { ok: true, acks: voters.size }
}

/** Checks that enough distinct holders of the policy's role ack the header: see `countAcks`. */
export function verifyQuorum(
  finality: Exclude<Finality, { policy: 'authority' }>,
  header: Header,
  votes: readonly ProvenVote[],
  root: Hash,
  chainId: Hash,
): Verdict<HandoverCode> {
  const counted = countAcks(finality, header, votes, root, chainId)
  if (!counted.ok || counted.acks >= finality.threshold) return counted.ok ? VALID : counted
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  return invalid('no_quorum', `${counted.acks} acks of ${role}s, block ${header.height} needs ${finality.threshold}`)
}

function verifyProvenVote(
  proven: ProvenVote,
  header: Header,
  root: Hash,
  role: Role,
  chainId: Hash,
): Verdict<HandoverCode> {
  const { vote, entry, registry_proof, history_proof } = proven
  const on = proven.header ?? header
  const target = { hash: hashHeader(on), height: on.height }
  if (vote.decision !== 'ack') return invalid('no_quorum', `${vote.voter_id} rejects`)
  return firstFailure<HandoverCode>(
    () => (on === header ? VALID : verifyInHistory(hashHeader(header), header.height, history_proof, on)),
    () => verifyHolder(entry, registry_proof, root, vote.voter_id, role),
    () => verifyVote(vote, chainId, target, entry),
  )
}
