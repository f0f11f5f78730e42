import type { Hash } from './bytes.ts'
import { invalid, VALID, type Verdict } from './errors.ts'
import type { Genesis } from './genesis.ts'
import {
  hashHeader,
  verifyHeaderLink,
  verifyNotFromFuture,
  verifySeal,
  verifyWork,
  type Header,
  type HeaderCode,
  type SealedHeader,
} from './header.ts'
import {
  appendToFrontier,
  foldSubtrees,
  historyLeaf,
  rootSubtrees,
  verifyConsistency,
  verifyInclusion,
} from './history.ts'
import { verifyMerkleProof, type MerkleProofCode } from './merkle.ts'
import type { AnchorAnswer, ProofAnswer } from './messages.ts'
import type { Registry } from './registry.ts'

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

/** A header and all that its trust stands on. */
export interface TrustedState {
  /** null: only the genesis is trusted. */
  readonly anchor: SealedHeader | null
  readonly anchorHash: Hash
  /** Hashes of the complete subtrees of the anchor's history, left to right. */
  readonly frontier: readonly Hash[]
  /** Who may seal and vote after the anchor. */
  readonly registry: Registry
}

export type LightCode =
  | HeaderCode
  | 'unknown_sealer'
  | 'wrong_registry'
  | 'wrong_history'
  | 'bad_inclusion_proof'
  | 'bad_consistency_proof'
  | 'missing_proof'

/** Trust at the very start: nothing but the pinned genesis. */
export function trustGenesis(chainId: Hash, registry: Registry): TrustedState {
  return { anchor: null, anchorHash: chainId, frontier: [], registry }
}

type Advance = { readonly ok: true; readonly state: TrustedState } | (Verdict<LightCode> & { readonly ok: false })

/**
 * Moves trust to the direct successor of the anchor. It guarantees
 * a) the link: chain, height, parent, time, work, b) not from the future, c) the registry is the one trusted so far,
 * d) its history is the trusted history and the anchor, computed here, e) the seal of an active authority.
 */
export function verifyNext(trusted: TrustedState, sealed: SealedHeader, context: LightContext): Advance {
  const { header } = sealed
  const parent = trusted.anchor === null ? null : { header: trusted.anchor.header, hash: trusted.anchorHash }
  const frontier =
    parent === null ? [] : appendToFrontier(parent.header.height, trusted.frontier, historyLeaf(parent.hash))
  const verdict = firstFailure(
    () => verifyHeaderLink(header, parent, context.genesis, context.chainId),
    () => verifyNotFromFuture(header, context.now),
    () => verifyHistoryRoot(header, frontier),
    () => verifySealer(sealed, trusted.registry),
  )
  return verdict.ok ? { ok: true, state: advanced(trusted, sealed, frontier) } : verdict
}

/**
 * Moves trust from the anchor at t to a later header u by proofs alone. It guarantees
 * a) the chain, time and work of u, b) that the history of t is a prefix of that of u (consistency), c) that the header
 * at t itself is in the history of u (inclusion), d) that the frontier is that of u, e) the registry and seal of u.
 */
export function verifyAdvance(trusted: TrustedState, answer: AnchorAnswer, context: LightContext): Advance {
  const sealed: SealedHeader = { header: answer.header, signature: answer.signature }
  const { header } = sealed
  const verdict = firstFailure(
    () => verifyTarget(header, trusted, answer, context),
    () => verifyNotFromFuture(header, context.now),
    () => verifySameHistory(trusted, answer),
    () => verifyHistoryRoot(header, answer.frontier),
    () => verifySealer(sealed, trusted.registry),
  )
  return verdict.ok ? { ok: true, state: advanced(trusted, sealed, answer.frontier) } : verdict
}

function advanced(trusted: TrustedState, sealed: SealedHeader, frontier: readonly Hash[]): TrustedState {
  return { anchor: sealed, anchorHash: hashHeader(sealed.header), frontier, registry: trusted.registry }
}

/** The first check that fails, or VALID. */
function firstFailure<Code extends string>(...checks: (() => Verdict<Code>)[]): Verdict<Code> {
  for (const check of checks) {
    const verdict = check()
    if (!verdict.ok) return verdict
  }
  return VALID
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
    return invalid('wrong_timestamp', `timestamp ${header.timestamp} is before the trusted ${anchor.header.timestamp}`)
  }
  const parentHash = answer.parent_header === null ? context.chainId : hashHeader(answer.parent_header)
  if ((header.height === 0) !== (answer.parent_header === null) || header.prev_hash !== parentHash) {
    return invalid('wrong_parent', `prev_hash ${header.prev_hash}, the parent that came along is ${parentHash}`)
  }
  return verifyWork(header, context.genesis)
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
  const included = verifyInclusion(historyLeaf(trusted.anchorHash), inclusion, answer.header.history_root)
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

function verifySealer(sealed: SealedHeader, registry: Registry): Verdict<LightCode> {
  const { header } = sealed
  if (header.registry_root !== registry.root) {
    return invalid('wrong_registry', `registry_root ${header.registry_root}, trusted is ${registry.root}`)
  }
  const sealer = registry.active(header.miner_id, 'authority')
  if (sealer === undefined) return invalid('unknown_sealer', `${header.miner_id} is no active authority`)
  return verifySeal(sealed, sealer.public_key)
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
