import type { Hash } from './bytes.ts'
import { invalid, type Verdict } from './errors.ts'
import type { Role } from './genesis.ts'
import type { Header, HeaderCode } from './header.ts'
import { historyLeaf, verifyInclusion, type InclusionProof } from './history.ts'
import type { MerkleProofCode } from './merkle.ts'
import { verifyRegistryEntry, type RegistryEntry } from './registry.ts'
import type { VoteCode } from './vote.ts'

/** What proofs of handovers, seals and quorums are made of (docs/protocol.md 7). */

export type HandoverCode =
  | HeaderCode
  | VoteCode
  | MerkleProofCode
  | 'bad_inclusion_proof'
  | 'wrong_slot'
  | 'unknown_sealer'
  | 'bad_recovery'
  | 'no_quorum'

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

/**
 * Checks that an entry of this id is under `root`, whatever its status: a recovery is of a revoked one, too.
 */
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
