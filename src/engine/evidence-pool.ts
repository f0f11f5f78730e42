import type { EvidenceStore } from '../ports/finality-store.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import { CHECKED_IN_PLACE, type SignatureChecks } from '../ports/signature-checks.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { canonicalBytes } from '../protocol/canonical-json.ts'
import {
  makeDoubleSeal,
  makeDoubleVote,
  misbehaviourOf,
  verifyEvidence,
  type Evidence,
  type EvidenceCode,
  type SignerProof,
} from '../protocol/evidence.ts'
import type { Genesis } from '../protocol/genesis.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Vote } from '../protocol/vote.ts'

/** A signer's entry with its proof, under a registry root that this node trusts. */
export interface KnownSigner {
  readonly proof: SignerProof
  /** Root of the registry before the height in question; `undefined` for an entry that is proven by the genesis alone. */
  readonly registryRoot: Hash | undefined
}

export interface EvidencePoolParts {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly store: EvidenceStore
  readonly gossip: Gossip
  readonly logger: Logger
  /** Where signatures are checked; in place if absent. */
  readonly signatures?: SignatureChecks | undefined
  /** The entry that `id` had before `height`, as far as this node knows the registry there. */
  readonly signerBefore: (id: string, height: number) => Promise<KnownSigner | undefined>
  /** Called once for each new piece, after it is durable. */
  readonly onEvidence: (evidence: Evidence) => void
}

export type EvidenceOutcome =
  'new' | 'known' | { readonly refused: EvidenceCode | 'too_many' | 'unknown_height'; readonly reason: string }

/** Finds, checks and keeps proven misbehaviour, and tells everybody (docs/protocol.md 5). */
export interface EvidencePool {
  /** Gossiped evidence, which gossip itself passes on. One piece is kept for each kind, height and signer. */
  add(evidence: Evidence): Promise<EvidenceOutcome>
  /** Evidence that one peer gave when it was asked: what is new here may be new to the other peers, so it is gossiped. */
  learn(evidence: Evidence): Promise<EvidenceOutcome>
  /** Two seals of one height that this node has seen; what comes of them is gossiped. */
  foundSeals(one: SealedHeader, other: SealedHeader): Promise<EvidenceOutcome>
  /** Two acks of one height that this node has seen. */
  foundVotes(one: Vote, other: Vote): Promise<EvidenceOutcome>
  /** The newest first, at most `limit`. */
  list(limit: number): Promise<readonly Evidence[]>
  /** True if this key has sealed two headers of one height. */
  isAccused(publicKey: Hex): boolean
}

/** Who misbehaves once may do so at every height: this many pieces of one signer say enough. */
const MAX_PER_SIGNER = 100
/** What is read at the start to know who is accused. */
const MAX_REMEMBERED = 10_000

export async function openEvidencePool(parts: EvidencePoolParts): Promise<EvidencePool> {
  const { genesis, chainId, store, gossip, logger, signatures = CHECKED_IN_PLACE } = parts
  const accused = new Set<Hex>()
  const counts = new Map<string, number>()
  const known = new Set<string>()
  for (const evidence of await store.evidence(MAX_REMEMBERED)) remember(evidence)

  function remember(evidence: Evidence): void {
    const { kind, height, signer_id } = misbehaviourOf(evidence)
    known.add(`${kind} ${height} ${signer_id}`)
    counts.set(signer_id, (counts.get(signer_id) ?? 0) + 1)
    if (evidence.kind === 'double-seal') accused.add(evidence.proof.entry.public_key)
  }

  /** With this node's own proof of the signer, where it has one: what others say of the registry proves nothing. */
  async function check(evidence: Evidence): Promise<Evidence | Exclude<EvidenceOutcome, string>> {
    const { signer_id, height } = misbehaviourOf(evidence)
    const signer = await parts.signerBefore(signer_id, height)
    if (signer !== undefined && signer.proof.entry.public_key !== evidence.proof.entry.public_key) {
      // No fault of the sender: on another branch it may have had that key.
      return { refused: 'unproven_signer', reason: `${signer_id} has another key before height ${height} here` }
    }
    const own = signer === undefined ? evidence : { ...evidence, proof: signer.proof }
    await settleSignatures(own)
    const verdict = verifyEvidence(own, genesis, chainId, signer?.registryRoot)
    return verdict.ok ? own : { refused: verdict.code, reason: verdict.reason }
  }

  /** Ahead, where they are checked in other threads: a wrong one takes milliseconds. */
  async function settleSignatures({ kind, a, b, proof }: Evidence): Promise<void> {
    const publicKey = proof.entry.public_key
    const claims =
      kind === 'double-seal'
        ? [a, b].map(({ header, signature }) => ({ type: 'header', body: header, signature }) as const)
        : [a, b].map(({ signature, ...body }) => ({ type: 'vote', body, signature }) as const)
    await Promise.all(claims.map((claim) => signatures.settle({ ...claim, chainId, publicKey })))
  }

  async function add(evidence: Evidence): Promise<EvidenceOutcome> {
    const { kind, signer_id, height } = misbehaviourOf(evidence)
    if (known.has(`${kind} ${height} ${signer_id}`)) return 'known'
    const checked = await check(evidence)
    if ('refused' in checked) return checked
    if ((counts.get(signer_id) ?? 0) >= MAX_PER_SIGNER) {
      return { refused: 'too_many', reason: `there are ${MAX_PER_SIGNER} pieces of evidence against ${signer_id}` }
    }
    if ((await store.putEvidence(checked)) === 'known') return 'known'
    remember(checked)
    logger.error({ kind, signer_id, height }, `EVIDENCE ${kind} by ${signer_id} at height ${height}`)
    parts.onEvidence(checked)
    return 'new'
  }

  async function learn(evidence: Evidence): Promise<EvidenceOutcome> {
    const outcome = await add(evidence)
    if (outcome === 'new') await gossip.publish('evidence', canonicalBytes(evidence))
    return outcome
  }

  async function found(
    signerId: string,
    height: number,
    make: (proof: SignerProof) => Evidence,
  ): Promise<EvidenceOutcome> {
    const signer = await parts.signerBefore(signerId, height)
    if (signer === undefined) {
      return { refused: 'unknown_height', reason: `the entry of ${signerId} before height ${height} is not known here` }
    }
    return await learn(make(signer.proof))
  }

  return {
    add,
    learn,
    foundSeals: (one, other) =>
      found(one.header.miner_id, one.header.height, (proof) => makeDoubleSeal(one, other, proof)),
    foundVotes: (one, other) => found(one.voter_id, one.height, (proof) => makeDoubleVote(one, other, proof)),
    list: (limit) => store.evidence(limit),
    isAccused: (publicKey) => accused.has(publicKey),
  }
}
