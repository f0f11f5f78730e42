import { base64ToBytes } from './base64.ts'
import type { Hash } from './bytes.ts'
import { verifyCheckpoint, type CheckpointCode } from './checkpoint.ts'
import { afterCorrection, refusalOfSum, sumOfTrade } from './corrected-sum.ts'
import { formatQuantity } from './decimal.ts'
import { firstFailure, invalid, VALID, type Failure, type ProtocolErrorCode, type Verdict } from './errors.ts'
import type { Genesis } from './genesis.ts'
import { verifyLink } from './handover.ts'
import { verifyHolder, type HandoverCode } from './proven-entry.ts'
import { hashHeader, verifySeal, type Header } from './header.ts'
import { historyLeaf, verifyInclusion, type InclusionProof } from './history.ts'
import { verifyTransactionProof, type ProofCode } from './light-verify.ts'
import { parseNoteBytes, type NoteKey } from './note.ts'
import type { ProvenVote } from './messages.ts'
import type { Receipt, ReceiptCorrection, ReceiptVote } from './receipt.ts'
import { registryLeaf, type Registry, type RegistryEntry } from './registry.ts'
import { countTargetAcks, followHandovers, verifyTargetSeal, type Target } from './target.ts'
import { checkTransaction, hashTransaction, type Correction } from './transaction.ts'

/** The single checks of a receipt (docs/protocol.md 7); `verifyReceipt` makes them in order. */

export type ReceiptCode =
  | ProtocolErrorCode
  | HandoverCode
  | ProofCode
  | CheckpointCode
  | 'foreign_votes'
  | 'bad_correction'
  | 'misplaced_anchor'

/** What is left of a trade after the corrections that the receipt shows. */
export interface NetTrade {
  readonly kwh: string
  readonly total_amount: string
}

export interface ReceiptOptions {
  /**
   * A newer header that the verifier trusts by itself: the block must be in its history as well. Without a proof the
   * header must be the target of the receipt.
   */
  readonly trusted?: { readonly header: Header; readonly history_proof?: InclusionProof }
  /** Cosigners that the verifier knows. */
  readonly witnesses?: readonly NoteKey[]
}

export type Outcome = Failure<ReceiptCode> | { readonly ok: true; readonly detail: string }
const passed = (detail: string) => ({ ok: true, detail }) as const

/** What the checks know of a decoded receipt; each adds what those after it build on. */
export interface Subject {
  readonly receipt: Receipt
  readonly chainId: Hash
  readonly options: ReceiptOptions
  readonly genesis: Genesis
  readonly registry: Registry
  /** The header that trust leads to: the anchor, or the transaction's block. */
  readonly target: Target
  readonly targetHash: Hash
}

/** What is told of a receipt that holds. */
export interface Found {
  isFinal: boolean
  net: NetTrade | null
  witnesses: readonly string[]
}

/** Leaf 0 is the policy: no entry is proven by it. */
const NO_PROOF: InclusionProof = { leaf_index: 0, tree_size: 1, path: [] }

interface ProvenEntry {
  readonly entry: RegistryEntry
  readonly registry_proof: InclusionProof
}

/** Puts the proof in that is left out where the genesis has the entry: it holds under the root of the genesis only. */
export function completed<T extends { readonly entry: RegistryEntry; readonly registry_proof: InclusionProof | null }>(
  proven: T,
  registry: Registry,
): T & ProvenEntry {
  if (proven.registry_proof !== null) return { ...proven, registry_proof: proven.registry_proof }
  const known = registry.entry(proven.entry.id)
  return { ...proven, registry_proof: known === undefined ? NO_PROOF : registry.proof(known) }
}

/** The same of a vote. What brought its voter is left out where the genesis has the entry as it is. */
export function completedVote(vote: ReceiptVote, registry: Registry): ProvenVote {
  const known = registry.entry(vote.entry.id)
  const isKnown = known !== undefined && registryLeaf(known) === registryLeaf(vote.entry)
  const isLeftOut = vote.trusted_proof === undefined && vote.brought_by === undefined
  const proof = isKnown && isLeftOut ? { trusted_proof: registry.proof(known) } : {}
  return { ...completed(vote, registry), ...proof }
}

export function checkBody({ receipt: { transaction }, genesis }: Subject): Outcome {
  checkTransaction(transaction, genesis.amount_decimals)
  return passed(`${transaction.kind} ${transaction.id} hashes to ${hashTransaction(transaction)}`)
}

export function checkPlace({ receipt, target, targetHash }: Subject): Outcome {
  const { anchor, header, merkle_proof } = receipt
  if (anchor !== undefined && receipt.parent_header !== null)
    return invalid('misplaced_anchor', 'the parent of the block does not belong into a receipt with an anchor')
  if (anchor !== undefined && anchor.header.height <= header.height)
    return invalid('misplaced_anchor', `the anchor has height ${anchor.header.height}, the block ${header.height}`)
  const place = verifyPlace(receipt, anchor?.history_proof ?? null, target.header, targetHash)
  if (!place.ok) return place
  const inBlock = `transaction ${merkle_proof.index} of ${merkle_proof.tx_count} in block ${header.height}`
  return passed(anchor === undefined ? inBlock : `${inBlock}, which is in the history of block ${anchor.header.height}`)
}

function verifyPlace(
  {
    transaction,
    merkle_proof,
    header,
    signature,
  }: Pick<Receipt, 'transaction' | 'merkle_proof' | 'header' | 'signature'>,
  history_proof: InclusionProof | null,
  within: Header,
  withinHash: Hash,
): { readonly ok: true } | Failure<ReceiptCode> {
  const tx_hash = hashTransaction(transaction)
  const answer = { tx_hash, merkle_proof, header, signature, history_proof }
  return verifyTransactionProof(tx_hash, answer, { header: within, hash: withinHash })
}

export function checkHandovers({ receipt, registry, target, genesis, chainId }: Subject): Outcome {
  const context = { genesis, chainId }
  const link = verifyLink(target, context)
  if (!link.ok) return link
  const before = followHandovers({ root: registry.root, height: null }, receipt.handovers, target.header, context)
  if (!before.ok) return before
  const count = receipt.handovers.length
  return passed(`${count === 0 ? 'none' : count} from the genesis to block ${target.header.height}`)
}

/** The registry root trusted before a height: of the last handover below it, all of which are checked by now. */
const rootBefore = ({ receipt, registry }: Subject, height: number): Hash =>
  receipt.handovers.findLast((c) => c.header.height < height)?.header.registry_root ?? registry.root

export function checkSeals(subject: Subject): Outcome {
  const { receipt, target, genesis, chainId } = subject
  const { header } = target
  const context = { genesis, chainId }
  const verdict = firstFailure<ReceiptCode>(
    () => verifyTargetSeal(target, rootBefore(subject, header.height), context),
    () => verifyBlockSeal(subject, receipt),
  )
  if (!verdict.ok) return verdict
  const which =
    receipt.anchor === undefined ? `block ${header.height}` : `blocks ${receipt.header.height} and ${header.height}`
  return passed(`${which} by ${header.miner_id}, a registered authority`)
}

/**
 * The seal of a block: that of the target, of its handover if that is there, else by an authority of its time: under the
 * root of the last handover below it, or under the header before it.
 */
function verifyBlockSeal(
  subject: Subject,
  sealed: Pick<ReceiptCorrection, 'header' | 'signature' | 'sealer'>,
): Verdict<ReceiptCode> {
  const { receipt, registry, target, chainId } = subject
  const { header, signature } = sealed
  const hash = hashHeader(header)
  const known = [target, ...receipt.handovers].find((c) => hashHeader(c.header) === hash)
  if (known !== undefined) {
    const same = sealed.sealer === undefined && signature === known.signature
    return same ? VALID : invalid('bad_seal', `not the seal of block ${header.height} that was checked`)
  }
  const { entry, registry_proof } = sealed.sealer === undefined ? target : completed(sealed.sealer, registry)
  const parent = sealed.sealer?.parent_header
  const root = parent?.registry_root ?? rootBefore(subject, header.height)
  return firstFailure<ReceiptCode>(
    () =>
      header.chain_id === chainId ? VALID : invalid('wrong_chain', `chain ${header.chain_id}, expected ${chainId}`),
    // The block is in the history of the target, and so is what it follows: what that states was in force at it.
    () => (parent === undefined ? VALID : verifyFollows(header, parent)),
    () => verifyHolder(entry, registry_proof, root, header.miner_id, 'authority'),
    () => verifySeal(sealed, entry.public_key),
  )
}

function verifyFollows({ height, prev_hash }: Header, parent: Header): Verdict<'wrong_parent'> {
  const hash = hashHeader(parent)
  return prev_hash === hash && parent.height === height - 1
    ? VALID
    : invalid('wrong_parent', `block ${height} follows ${prev_hash}, not the header ${hash} of its sealer`)
}

export function checkVotes(subject: Subject, found: Found): Outcome {
  const { target, chainId } = subject
  const counted = countTargetAcks(target, rootBefore(subject, target.header.height), chainId)
  if (!counted.ok) return counted
  const { acks, required } = counted
  found.isFinal = acks >= required
  if (target.policy.finality.policy === 'authority') {
    return target.votes.length === 0
      ? passed('none needed: under the policy authority a sealed block is final')
      : invalid('foreign_votes', 'votes decide nothing under the policy authority')
  }
  return passed(`${acks} of the ${required} acks that make block ${target.header.height} final`)
}

export function checkCorrections(subject: Subject, found: Found): Outcome | undefined {
  const { transaction, corrections = [] } = subject.receipt
  if (transaction.kind !== 'trade') {
    return corrections.length === 0 ? undefined : invalid('bad_correction', `${transaction.id} is no trade`)
  }
  let sum = sumOfTrade(transaction)
  let last: Pick<Receipt, 'header' | 'merkle_proof'> = subject.receipt
  for (const correction of corrections) {
    const verdict = verifyCorrection(subject, correction, last)
    if (!verdict.ok) return { ...verdict, reason: `${correction.transaction.id}: ${verdict.reason}` }
    sum = afterCorrection(sum, correction.transaction as Correction)
    const reason = refusalOfSum(sum, transaction.id)
    if (reason !== undefined) return invalid('bad_correction', `${correction.transaction.id}: ${reason}`)
    last = correction
  }
  found.net = { kwh: formatQuantity(sum.kwh), total_amount: formatQuantity(sum.amount) }
  const { length } = corrections
  return length === 0
    ? undefined
    : passed(
        `${length} up to block ${subject.target.header.height}: ${found.net.kwh} kWh for ${found.net.total_amount} left`,
      )
}

/** One correction: of this trade, after the one before, in the history of the target, sealed. */
function verifyCorrection(
  subject: Subject,
  correction: ReceiptCorrection,
  last: Pick<Receipt, 'header' | 'merkle_proof'>,
): Verdict<ReceiptCode> {
  const { receipt, genesis, target, targetHash } = subject
  const { transaction, header, merkle_proof } = correction
  if (transaction.kind !== 'correction' || transaction.corrects !== receipt.transaction.id) {
    return invalid('bad_correction', `no correction of ${receipt.transaction.id}`)
  }
  const isLater =
    header.height > last.header.height ||
    (header.height === last.header.height && merkle_proof.index > last.merkle_proof.index)
  if (!isLater) return invalid('bad_correction', 'corrections are not in the order of the chain')
  checkTransaction(transaction, genesis.amount_decimals)
  return firstFailure<ReceiptCode>(
    () => verifyPlace(correction, correction.history_proof, target.header, targetHash),
    () => verifyBlockSeal(subject, correction),
  )
}

export function checkCheckpoint({ receipt, genesis, target, options }: Subject, found: Found): Outcome | undefined {
  const { checkpoint, header } = receipt
  if (checkpoint === undefined) return undefined
  const note = parseNoteBytes(base64ToBytes(checkpoint.note))
  const signed = verifyCheckpoint(note, genesis.origin, target.entry.public_key, options.witnesses)
  if (!signed.ok) return signed
  const { size, root } = signed.checkpoint
  const { leaf_index, tree_size } = checkpoint.history_proof
  if (leaf_index !== header.height || tree_size !== size) {
    return invalid('bad_inclusion_proof', `leaf ${leaf_index} of ${tree_size}, not block ${header.height} of ${size}`)
  }
  const included = verifyInclusion(historyLeaf(hashHeader(header)), checkpoint.history_proof, root)
  if (!included.ok) return included
  found.witnesses = signed.witnesses.map(({ key }) => key.name)
  return passed(
    `block ${header.height} is in the tree of size ${size}, cosigned by ${found.witnesses.join(', ') || 'no known witness'}`,
  )
}

export function checkTrusted({ receipt, options, targetHash }: Subject): Outcome | undefined {
  const { trusted } = options
  if (trusted === undefined) return undefined
  const hash = hashHeader(trusted.header)
  const ownProof = hash === targetHash ? (receipt.anchor?.history_proof ?? null) : null
  const place = verifyPlace(receipt, trusted.history_proof ?? ownProof, trusted.header, hash)
  return place.ok ? passed(`the block is in the history of the trusted header ${trusted.header.height}`) : place
}
