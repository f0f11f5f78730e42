import type { Hash } from './bytes.ts'
import { firstFailure, invalid, VALID, type Failure, type Verdict } from './errors.ts'
import type { Finality } from './genesis.ts'
import { verifyHolder, verifyInHistory, type HandoverCode } from './proven-entry.ts'
import { hashHeader, type Header } from './header.ts'
import { verifyMerkleProof } from './merkle.ts'
import type { ProvenPolicy, ProvenVote } from './messages.ts'
import { verifyRegistryEntry, verifyRegistryPolicy, type RegistryEntry } from './registry.ts'
import { isSignedBy } from './registry-transaction.ts'
import { hashTransaction } from './transaction.ts'
import { verifyVote } from './vote.ts'

/** A policy that counts votes. */
export type VotePolicy = Exclude<Finality, { policy: 'authority' }>

/** Where the policy in force at a header and its voters are proven: under both roots. */
export interface RegistryRoots {
  /**
   * The registry before the header, as its parent states it. Where it is not the trusted one it is the word of
   * a sealer alone; but what it no longer has was changed by a handover that nobody shows.
   */
  readonly before: Hash
  /** The root that is trusted: acked, handed over, or that of the genesis. */
  readonly trusted: Hash
}

/** `parent`: absent at height 0, where the registry is that of the genesis. */
export const rootsAt = (trusted: Hash, parent: Header | null | undefined): RegistryRoots => ({
  before: parent?.registry_root ?? trusted,
  trusted,
})

/**
 * Checks the policy in force at a header: that of the trusted root, which the registry before the header still
 * has. Else a server could leave out the handover that asks for more votes.
 */
export function verifyPolicy(
  { policy, policy_proof, parent_policy_proof }: ProvenPolicy,
  { before, trusted }: RegistryRoots,
): Verdict<HandoverCode> {
  const proven = verifyRegistryPolicy(policy, policy_proof, trusted)
  if (!proven.ok || before === trusted) return proven
  return parent_policy_proof === undefined
    ? invalid('bad_inclusion_proof', 'the registry has changed, and nothing shows that its policy is the same')
    : verifyRegistryPolicy(policy, parent_policy_proof, before)
}

/**
 * Counts the distinct active holders of the policy's role that ack the header, or a later one that has it in
 * its history, by the key that they have there. A vote that does not hold is a failure.
 */
export function countAcks(
  finality: VotePolicy,
  header: Header,
  votes: readonly ProvenVote[],
  roots: RegistryRoots,
  chainId: Hash,
): { readonly ok: true; readonly acks: number } | Failure<HandoverCode> {
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  const voters = new Set<string>()
  for (const proven of votes) {
    const { vote, entry, registry_proof, history_proof } = proven
    if (vote.decision !== 'ack') return { ok: false, code: 'no_quorum', reason: `${vote.voter_id} rejects` }
    const on = proven.header ?? header
    const verdict = firstFailure<HandoverCode>(
      () => (on === header ? VALID : verifyInHistory(hashHeader(header), header.height, history_proof, on)),
      () => verifyHolder(entry, registry_proof, roots.before, vote.voter_id, role),
      () => (roots.before === roots.trusted ? VALID : verifyOnRecord(proven, header, roots.trusted, chainId)),
      () => verifyVote(vote, chainId, { hash: hashHeader(on), height: on.height }, entry),
    )
    if (!verdict.ok) return verdict
    voters.add(entry.id)
  }
  return { ok: true, acks: voters.size }
}

/** Checks that enough distinct holders of the policy's role ack the header: see `countAcks`. */
export function verifyQuorum(
  finality: VotePolicy,
  header: Header,
  votes: readonly ProvenVote[],
  roots: RegistryRoots,
  chainId: Hash,
): Verdict<HandoverCode> {
  const counted = countAcks(finality, header, votes, roots, chainId)
  if (!counted.ok || counted.acks >= finality.threshold) return counted.ok ? VALID : counted
  const role = finality.policy === 'votes' ? 'voter' : 'validator'
  return invalid('no_quorum', `${counted.acks} acks of ${role}s, block ${header.height} needs ${finality.threshold}`)
}

/**
 * An entry that is under the trusted root as it is, or that a transaction below the header has made so: of a
 * user only, since validators come and go by handovers alone.
 */
function verifyOnRecord(
  { entry, trusted_proof, brought_by }: ProvenVote,
  header: Header,
  trusted: Hash,
  chainId: Hash,
): Verdict<HandoverCode> {
  if (trusted_proof !== undefined) return verifyRegistryEntry(entry, trusted_proof, trusted)
  if (brought_by === undefined || entry.role !== 'voter')
    return invalid('unknown_voter', `no block is shown in which ${entry.id} got its key`)
  const { transaction, merkle_proof, header: block, history_proof } = brought_by
  if (!bringsKey(transaction, entry, chainId) || block.height !== entry.since_height) {
    return invalid('unknown_voter', `block ${block.height} is not the one in which ${entry.id} got its key`)
  }
  return firstFailure<HandoverCode>(
    () => verifyMerkleProof(hashTransaction(transaction), merkle_proof, block),
    () => verifyInHistory(hashHeader(block), block.height, history_proof, header),
  )
}

function bringsKey(
  tx: NonNullable<ProvenVote['brought_by']>['transaction'],
  { id, role, public_key }: RegistryEntry,
  chainId: Hash,
): boolean {
  if (tx.kind !== 'registry' || tx.subject_id !== id) return false
  if (tx.action === 'revoke' || tx.action === 'policy' || tx.public_key !== public_key) return false
  return tx.action !== 'enrol' || (tx.role === role && isSignedBy(tx, chainId, public_key))
}
