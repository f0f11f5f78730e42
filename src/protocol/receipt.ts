import { base64ToBytes } from './base64.ts'
import { genesisAsIs } from './genesis.ts'
import { headerShape } from './header.ts'
import { inclusionProofShape } from './history.ts'
import { MAX_CORRECTIONS_PER_TRADE, MAX_HANDOVERS_PER_RECEIPT, MAX_THRESHOLD } from './limits.ts'
import { merkleProofShape } from './merkle.ts'
import { handoverShape, provenPolicyOptions, provenVoteOptions } from './messages.ts'
import { registryEntryShape, registryPolicyShape } from './registry.ts'
import {
  array,
  isJsonObject,
  literal,
  nullable,
  object,
  refuse,
  signatureHex,
  text,
  type Shape,
  type TypeOf,
} from './shape.ts'
import { transactionShape } from './transaction.ts'
import { voteShape } from './vote.ts'

/**
 * Proof of a transaction without anybody who can be asked (docs/protocol.md 7): checkable offline with nothing but the
 * chain_id. A `registry_proof` or `policy_proof` is null where the root that it would lead to is that of the genesis, which is
 * here: the entry is looked up there.
 */
const provenEntryFields = { entry: registryEntryShape, registry_proof: nullable(inclusionProofShape) }
const sealerShape = object(provenEntryFields, {
  /** The header before the block, where the entry is proven under that: the handovers do not lead to the key. */
  parent_header: headerShape,
})

/** A transaction with the block that holds it, and that block's place in the history of the target. */
const placedFields = {
  transaction: transactionShape,
  merkle_proof: merkleProofShape,
  header: headerShape,
  signature: signatureHex,
}
const placedOptions = {
  /** Who sealed the block, where that is not the sealer of the target under the same root. */
  sealer: sealerShape,
}
const correctionShape = object(
  {
    ...placedFields,
    /** The block in the history of the target; null if it is the target. */
    history_proof: nullable(inclusionProofShape),
  },
  placedOptions,
)
/** Nor is a `trusted_proof` needed where the genesis has the entry. */
const receiptVoteShape = object({ vote: voteShape, ...provenEntryFields }, provenVoteOptions)
const anchorShape = object({
  header: headerShape,
  signature: signatureHex,
  /** The header before; the anchor is never height 0. */
  parent_header: headerShape,
  /** The block of the transaction in the history of the anchor. */
  history_proof: inclusionProofShape,
})

const base64Text = text(/^[A-Za-z0-9+/=]{1,65536}$/, 'base64')
/** Canonical JSON has neither the line breaks nor the dash of a note, so the note goes as base64 of its UTF-8 bytes. */
const noteShape: Shape<string> = (value, path) => {
  const note = base64Text(value, path)
  base64ToBytes(note, path)
  return note
}
const checkpointShape = object({
  note: noteShape,
  /** The block of the transaction in the tree of the checkpoint. */
  history_proof: inclusionProofShape,
})

const receiptFields = {
  version: literal(1),
  genesis: genesisAsIs,
  ...placedFields,
  /** The header before, if this block is the target; null at height 0 and with an anchor. */
  parent_header: nullable(headerShape),
  /** The handovers from the genesis to the target; those that nobody needs to check it are left out. */
  handovers: array(handoverShape, MAX_HANDOVERS_PER_RECEIPT),
  /** The sealer of the target and the policy in force at it, under the registry root of the last handover before it. */
  ...provenEntryFields,
  policy: registryPolicyShape,
  policy_proof: nullable(inclusionProofShape),
  /** Acks of the target; voters are proven under the header before it. */
  votes: array(receiptVoteShape, MAX_THRESHOLD),
}
const receiptOptions = {
  ...placedOptions,
  ...provenPolicyOptions,
  /** The final header that is the target; absent if the target is the transaction's block itself. */
  anchor: anchorShape,
  /** Corrections of the trade up to the target, ascending. */
  corrections: array(correctionShape, MAX_CORRECTIONS_PER_TRADE),
  checkpoint: checkpointShape,
}
const receiptShapeV1 = object(receiptFields, receiptOptions)
export type Receipt = TypeOf<typeof receiptShapeV1>
export type ReceiptCorrection = TypeOf<typeof correctionShape>
export type ReceiptVote = TypeOf<typeof receiptVoteShape>

/** Formats of receipts by version: one that was ever given out keeps its place here, so that it verifies for ever. */
const receiptShapes = { 1: receiptShapeV1 } as const

/** A receipt of any version. Throws `malformed`. */
export const receiptShape: Shape<Receipt> = (value, path) => {
  const version = isJsonObject(value) ? value.version : undefined
  if (version === 1) return receiptShapes[version](value, path)
  return refuse(`${path}.version`, `one of ${Object.keys(receiptShapes).join(', ')}`, version)
}
