import type { Hash, Hex } from './bytes.ts'
import { firstFailure, invalid, VALID, type Failure, type Verdict } from './errors.ts'
import type { Genesis } from './genesis.ts'
import { hashHeader, verifySeal, verifyWork, type Header, type SealedHeader } from './header.ts'
import { verifyMerkleProof } from './merkle.ts'
import type { Handover, ProvenRecovery } from './messages.ts'
import { verifyHolder, verifyInHistory, verifyRegisteredAs, type HandoverCode } from './proven-entry.ts'
import { rootsAt, verifyPolicy, verifyQuorum } from './quorum.ts'
import { verifyRegistryEntry } from './registry.ts'
import { isSignedBy } from './registry-transaction.ts'
import { hashTransaction } from './transaction.ts'

/** The chain that everything is checked for. */
export interface ChainContext {
  readonly genesis: Genesis
  readonly chainId: Hash
}

/**
 * Checks one handover: how trust in the registry moves on (docs/protocol.md 7). A block that changes an
 * authority, a validator or the policy is believed because those who are trusted so far sealed it and, where
 * votes count, a quorum acked it. It guarantees a) the chain, parent and work of c, b) that c is in the history
 * of `target`, or is it, c) the seal: by an active authority under `root`, or by the key that a valid
 * recovery of the sealer brings, and the policy under `root`, in force until c, d) the quorum that it asks for:
 * a change of the policy is no exception. Then `handover.header.registry_root` is the root to trust. What was
 * changed between `root` and c need not be shown: whoever could make up such a c, with these keys, could as well
 * have made it the first block after `root`.
 */
export function verifyHandover(
  handover: Handover,
  root: Hash,
  target: Header,
  context: ChainContext,
): Verdict<HandoverCode> {
  const sealed = verifyUncounted(handover, root, target, context)
  return sealed.ok ? verifyHandoverQuorum(handover, root, context.chainId) : sealed
}

/**
 * Checks the handover that a target itself is. Votes may be left out: the quorum is that of the target, under the same
 * roots. Those that are there are a quorum.
 */
export function verifyOwnHandover(
  handover: Handover,
  root: Hash,
  target: Header,
  context: ChainContext,
): Verdict<HandoverCode> {
  return handover.votes.length === 0
    ? verifyUncounted(handover, root, target, context)
    : verifyHandover(handover, root, target, context)
}

/** All but d). */
function verifyUncounted(handover: Handover, root: Hash, target: Header, context: ChainContext): Verdict<HandoverCode> {
  const { header, parent_header = null } = handover
  const hash = hashHeader(header)
  return firstFailure<HandoverCode>(
    () => verifyLink({ header, parent_header }, context),
    () => (hash === hashHeader(target) ? VALID : verifyInHistory(hash, header.height, handover.history_proof, target)),
    () => verifyHandoverSeal(handover, root, context.chainId),
    () => verifyPolicy(handover, rootsAt(root, parent_header)),
  )
}

function verifyHandoverQuorum(
  { header, parent_header, policy: { finality }, votes }: Handover,
  root: Hash,
  chainId: Hash,
): Verdict<HandoverCode> {
  return finality.policy === 'authority'
    ? VALID
    : verifyQuorum(finality, header, votes, rootsAt(root, parent_header), chainId)
}

/** Checks the chain, the link to the parent that came along (null at height 0), and the work of a header. */
export function verifyLink(
  { header, parent_header }: { readonly header: Header; readonly parent_header: Header | null },
  { genesis, chainId }: ChainContext,
): Verdict<HandoverCode> {
  if (header.chain_id !== chainId) return invalid('wrong_chain', `chain ${header.chain_id}, expected ${chainId}`)
  const parentHash = parent_header === null ? chainId : hashHeader(parent_header)
  if ((header.height === 0) !== (parent_header === null) || header.prev_hash !== parentHash) {
    return invalid('wrong_parent', `prev_hash ${header.prev_hash}, the parent that came along is ${parentHash}`)
  }
  return verifyWork(header, genesis)
}

function verifyHandoverSeal(handover: Handover, root: Hash, chainId: Hash): Verdict<HandoverCode> {
  const { header, entry, registry_proof, recovery } = handover
  if (recovery === undefined) {
    const holder = verifyHolder(entry, registry_proof, root, header.miner_id, 'authority')
    return holder.ok ? verifySeal(handover, entry.public_key) : holder
  }
  const registered = verifyRegisteredAs(entry, registry_proof, root, header.miner_id)
  return registered.ok ? verifyRecoveredSeal(handover, recovery, root, chainId) : registered
}

/**
 * Checks the seal of a block that begins with the recovery of its own sealer: by the new key, which the recovery
 * key under `root` has signed.
 */
export function verifyRecoveredSeal(
  sealed: SealedHeader,
  recovery: ProvenRecovery,
  root: Hash,
  chainId: Hash,
): Verdict<HandoverCode> {
  const recovered = verifyRecovery(recovery, sealed.header, root, chainId)
  return recovered.ok ? verifySeal(sealed, recovered.publicKey) : recovered
}

function verifyRecovery(
  recovery: ProvenRecovery,
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
  if (entry.revoked_by !== undefined)
    return bad(`${entry.id} was revoked by ${entry.revoked_by}: another authority seals its recovery`)
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
