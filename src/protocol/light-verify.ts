import type { Hash } from './bytes.ts'
import { firstFailure, invalid, VALID, type Verdict } from './errors.ts'
import { verifyLink, verifyRecoveredSeal } from './handover.ts'
import type { HandoverCode } from './proven-entry.ts'
import type { Genesis } from './genesis.ts'
import {
  hashHeader,
  sealedHeaderShape,
  verifyHeaderLink,
  verifyNotFromFuture,
  verifySeal,
  type Header,
  type SealedHeader,
} from './header.ts'
import {
  appendToFrontier,
  HISTORY_PATH_MAX,
  foldSubtrees,
  historyLeaf,
  rootSubtrees,
  verifyConsistency,
  verifyInclusion,
} from './history.ts'
import { verifyMerkleProof, type MerkleProofCode } from './merkle.ts'
import type { AnchorAnswer, ProofAnswer, ProvenRecovery } from './messages.ts'
import { Registry, type RegistryEntry, registryEntryShape, registryPolicyShape } from './registry.ts'
import { array, hash32, nullable, object, type TypeOf } from './shape.ts'
import { countTargetAcks, followHandovers, verifyTargetSeal } from './target.ts'
import { timeWords } from './time-words.ts'

/**
 * What a light client checks, apart from where it gets it (docs/protocol.md 4). Time is passed in; the dear check, the
 * signature, comes last.
 */
export interface LightContext {
  readonly genesis: Genesis
  readonly chainId: Hash
  /** Unix milliseconds by this node's clock. */
  readonly now: number
}

/** A header and all that its trust stands on; as a light node stores it. */
export const trustedStateShape = object({
  /** null: only the genesis is trusted. */
  anchor: nullable(sealedHeaderShape),
  anchor_hash: hash32,
  /** Hashes of the complete subtrees of the anchor's history, left to right. */
  frontier: array(hash32, HISTORY_PATH_MAX),
  /**
   * The registry root under which `policy` and `sealers` are proven. They hold for the next block only while
   * the anchor states it.
   */
  registry_root: hash32,
  /** The policy under that root; null until it is proven, and after a header that changed the registry. */
  policy: nullable(registryPolicyShape),
  /** Active authorities that are proven under that root. */
  sealers: array(registryEntryShape, 1_000),
})
export type TrustedState = TypeOf<typeof trustedStateShape>

export type LightCode = HandoverCode | 'wrong_history' | 'bad_consistency_proof' | 'missing_proof'

/** Trust at the very start: nothing but the pinned genesis. */
export function trustGenesis(genesis: Genesis, chainId: Hash): TrustedState {
  const registry = Registry.fromGenesis(genesis)
  return {
    anchor: null,
    anchor_hash: chainId,
    frontier: [],
    registry_root: registry.root,
    policy: registry.policy,
    sealers: registry.activeOf('authority'),
  }
}

type Failed = Verdict<LightCode> & { readonly ok: false }
export type Advance = { readonly ok: true; readonly state: TrustedState } | Failed

/**
 * Moves to the direct successor of a header. It guarantees a) the link: chain, height, parent, time, work, b)
 * not from the future, c) its history is the known history and the header before, computed here, d) the seal
 * of an authority proven under the registry_root that the header before states, or by the key that a recovery
 * of the sealer brings, which that root proves as well. Under policy `authority` the result can be trusted;
 * under vote policies it is proposed. After a header that changes the registry neither
 * the policy nor a sealer is known any more: who trusts further asks for proofs (`verifyAdvance`).
 */
export function verifyNext(
  from: TrustedState,
  sealed: SealedHeader,
  context: LightContext,
  recovery?: ProvenRecovery,
): Advance {
  const { header } = sealed
  const parent = from.anchor === null ? null : { header: from.anchor.header, hash: from.anchor_hash }
  const frontier =
    parent === null ? [] : appendToFrontier(parent.header.height, from.frontier, historyLeaf(parent.hash))
  const policy = header.registry_root === from.registry_root ? from.policy : null
  const verdict = firstFailure<LightCode>(
    () => verifyHeaderLink(header, parent, context.genesis, context.chainId),
    () => verifyNotFromFuture(header, context.now),
    () => verifyHistoryRoot(header, frontier),
    () =>
      recovery === undefined
        ? verifyKnownSealer(sealed, knownSealers(from))
        : verifyRecoveredSeal(sealed, recovery, stateRoot(from), context.chainId),
  )
  return verdict.ok
    ? { ok: true, state: { ...from, anchor: sealed, anchor_hash: hashHeader(header), frontier, policy } }
    : verdict
}

/**
 * Moves trust from the anchor at t to a later header u by proofs alone; whatever they prove of the registry
 * begins with the registry_root of t itself, so that what changed up to t cannot be left out. It guarantees
 * a) the chain, time and work of u, b) that the history of t is a prefix of that of u (consistency), c) that
 * the header at t itself is in the history of u (inclusion), d) that the frontier is that of u, e) each
 * handover in between, in order, f) the seal of u and the policy under the last root, g) under vote policies
 * the quorum of u.
 */
export function verifyAdvance(trusted: TrustedState, answer: AnchorAnswer, context: LightContext): Advance {
  const { header, entry } = answer
  const verdict = firstFailure<LightCode>(
    () => verifyTarget(header, trusted, answer, context),
    () => verifyNotFromFuture(header, context.now),
    () => verifySameHistory(trusted, answer),
    () => verifyHistoryRoot(header, answer.frontier),
  )
  if (!verdict.ok) return verdict
  const from = { root: stateRoot(trusted), height: trusted.anchor?.header.height ?? null }
  const before = followHandovers(from, answer.handovers, header, context)
  if (!before.ok) return before
  const seal = verifyTargetSeal(answer, before.root, context)
  const quorum = seal.ok ? verifyTargetQuorum(answer, before.root, context.chainId) : seal
  if (!quorum.ok) return quorum
  const place = {
    anchor: { header, signature: answer.signature },
    anchor_hash: hashHeader(header),
    frontier: answer.frontier,
  }
  // Where the registry has changed since, only the root of the header says what is in force above it.
  const policy = header.registry_root === before.root ? answer.policy : null
  const known = before.root === trusted.registry_root ? trusted.sealers.filter(({ id }) => id !== entry.id) : []
  return { ok: true, state: { ...place, registry_root: before.root, policy, sealers: [...known, entry] } }
}

/** The registry root in force above a state: that of its header, of the genesis before the first. */
export const stateRoot = ({ anchor, registry_root }: TrustedState): Hash =>
  anchor?.header.registry_root ?? registry_root

/**
 * Sealers that may have sealed the next block; none after a header that changed the registry: the key may be
 * another now.
 */
export const knownSealers = (state: TrustedState): TrustedState['sealers'] =>
  stateRoot(state) === state.registry_root ? state.sealers : []

/** The policy in force at the target and, where it asks for votes, their quorum. */
function verifyTargetQuorum(answer: AnchorAnswer, root: Hash, chainId: Hash): Verdict<LightCode> {
  const counted = countTargetAcks(answer, root, chainId)
  if (!counted.ok || counted.acks >= counted.required) return counted.ok ? VALID : counted
  return invalid('no_quorum', `${counted.acks} acks, block ${answer.header.height} needs ${counted.required}`)
}

function verifyKnownSealer(sealed: SealedHeader, sealers: readonly RegistryEntry[]): Verdict<LightCode> {
  const sealer = sealers.find((entry) => entry.id === sealed.header.miner_id)
  if (sealer === undefined) return invalid('unknown_sealer', `${sealed.header.miner_id} is no proven authority`)
  return verifySeal(sealed, sealer.public_key)
}

function verifyTarget(
  header: Header,
  trusted: TrustedState,
  answer: AnchorAnswer,
  context: LightContext,
): Verdict<LightCode> {
  const { anchor } = trusted
  if (header.chain_id !== context.chainId)
    return invalid('wrong_chain', `chain ${header.chain_id}, expected ${context.chainId}`)
  if (anchor !== null && header.height <= anchor.header.height) {
    return invalid('wrong_height', `height ${header.height} is not above the trusted ${anchor.header.height}`)
  }
  if (anchor !== null && header.timestamp < anchor.header.timestamp) {
    return invalid(
      'wrong_timestamp',
      `timestamp ${timeWords(header.timestamp)} is before the trusted ${timeWords(anchor.header.timestamp)}`,
    )
  }
  return verifyLink(answer, context)
}

function verifySameHistory(trusted: TrustedState, answer: AnchorAnswer): Verdict<LightCode> {
  const { anchor } = trusted
  if (anchor === null) return VALID
  const t = anchor.header.height
  const u = answer.header.height
  const { consistency, inclusion } = answer
  if (inclusion?.leaf_index !== t || inclusion.tree_size !== u) {
    return invalid('missing_proof', `no inclusion of header ${t} in the history of ${u}`)
  }
  const included = verifyInclusion(historyLeaf(trusted.anchor_hash), inclusion, answer.header.history_root)
  if (!included.ok || t === 0) return included
  if (consistency?.from !== t || consistency.to !== u) {
    return invalid('missing_proof', `no consistency of the histories of ${t} and ${u}`)
  }
  return verifyConsistency(consistency, anchor.header.history_root, answer.header.history_root)
}

function verifyHistoryRoot(header: Header, frontier: readonly Hash[]): Verdict<LightCode> {
  if (frontier.length !== rootSubtrees(header.height).length) {
    return invalid('wrong_history', `${frontier.length} subtrees do not make a history of ${header.height} headers`)
  }
  const root = foldSubtrees(frontier)
  return root === header.history_root
    ? VALID
    : invalid('wrong_history', `history_root ${header.history_root}, the trusted history leads to ${root}`)
}

export type ProofCode = MerkleProofCode | 'bad_inclusion_proof' | 'missing_proof' | 'wrong_header' | 'wrong_transaction'

/**
 * Checks that a transaction is on the chain of a trusted header: tx hash -> merkle_root of its block -> that block in the
 * history of the trusted header, or the trusted header itself.
 */
export function verifyTransactionProof(
  txHash: Hash,
  answer: ProofAnswer,
  trusted: { readonly header: Header; readonly hash: Hash },
): Verdict<ProofCode> {
  if (answer.tx_hash !== txHash)
    return invalid('wrong_transaction', `the proof is for ${answer.tx_hash}, not ${txHash}`)
  const inBlock = verifyMerkleProof(txHash, answer.merkle_proof, answer.header)
  if (!inBlock.ok) return inBlock
  const blockHash = hashHeader(answer.header)
  if (blockHash === trusted.hash) return VALID
  const { header } = trusted
  if (answer.header.height >= header.height) {
    return invalid('wrong_header', `header ${blockHash} at height ${answer.header.height} is not in the trusted chain`)
  }
  const proof = answer.history_proof
  if (proof?.leaf_index !== answer.header.height || proof.tree_size !== header.height) {
    return invalid('missing_proof', `no inclusion of header ${answer.header.height} in the history of ${header.height}`)
  }
  return verifyInclusion(historyLeaf(blockHash), proof, header.history_root)
}
