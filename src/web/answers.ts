import { shownBlockShape } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { evidenceShape, type Evidence } from '../protocol/evidence.ts'
import { headerShape } from '../protocol/header.ts'
import { merkleProofShape } from '../protocol/merkle.ts'
import { inclusionProofShape } from '../protocol/history.ts'
import { parseJson } from '../protocol/json.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from '../protocol/limits.ts'
import { registryEntryShape } from '../protocol/registry.ts'
import { shownTransactionShape } from '../protocol/transaction.ts'
import {
  array,
  blockHeight,
  hash32,
  isJsonObject,
  nullable,
  object,
  oneOf,
  refuse,
  signatureHex,
  type Shape,
  type TypeOf,
} from '../protocol/shape.ts'
import { voteShape } from '../protocol/vote.ts'

/**
 * The node's public HTTP answers and events (docs/protocol.md 9). What is hashed or signed keeps its strict shape; around
 * it unknown fields are passed over, so that a page that is still open survives an update of the node.
 */
function answer<const R extends Readonly<Record<string, Shape<unknown>>>>(fields: R) {
  const strict = object(fields)
  return (value: unknown, path: string) => {
    if (!isJsonObject(value)) return strict(value, path)
    return strict(Object.fromEntries(Object.entries(value).filter(([name]) => Object.hasOwn(fields, name))), path)
  }
}

const anyText: Shape<string> = (value) => (typeof value === 'string' ? value : '')

export const blockStatus = oneOf('proposed', 'final', 'orphaned')
export type BlockStatus = TypeOf<typeof blockStatus>

export const genesisAnswer = answer({ chain_id: hash32, genesis: (value: unknown) => value })

export const nodeAnswer = answer({
  mode: anyText,
  peer_id: anyText,
  multiaddrs: array(anyText, 100),
  version: anyText,
})
export type NodeInfo = TypeOf<typeof nodeAnswer>

/** A header as the node lists it. `header_hash` is a claim until it is recomputed. */
export const listedHeader = answer({
  header: headerShape,
  header_hash: hash32,
  signature: signatureHex,
  status: blockStatus,
})
export type ListedHeader = TypeOf<typeof listedHeader>

export const headersAnswer = answer({
  headers: array(listedHeader, 100),
})
export type HeadersAnswer = TypeOf<typeof headersAnswer>

const votedEntry = answer({ vote: voteShape, entry: registryEntryShape })
/** A vote with the registry entry that the node names for its voter. */
export type ToldVote = TypeOf<typeof votedEntry>
export const votesAnswer = answer({ votes: array(votedEntry, 10_000) })

/** The blocks that changed the registry: `height` is that of the tip, `next` where the list goes on. */
export const registryChangesAnswer = answer({
  height: nullable(blockHeight),
  changes: array(shownBlockShape, 100),
  next: nullable(blockHeight),
})
export type RegistryChangesAnswer = TypeOf<typeof registryChangesAnswer>

const flag: Shape<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : refuse(path, 'true or false', value)

/** Where a transaction is: in the block of `header`, and that block in the history of the header that was named. */
export const proofAnswer = answer({
  tx_hash: hash32,
  merkle_proof: merkleProofShape,
  header: headerShape,
  signature: signatureHex,
  history_proof: nullable(inclusionProofShape),
  status: blockStatus,
  redacted: flag,
})
export type ProofAnswer = TypeOf<typeof proofAnswer>

/** A whole block, for who may see it. */
export const blockAnswer = answer({
  header: headerShape,
  signature: signatureHex,
  transactions: array(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK),
})
export type BlockAnswer = TypeOf<typeof blockAnswer>

export const statusAnswer = answer({ block_hash: hash32, height: blockHeight, status: blockStatus })
export type StatusAnswer = TypeOf<typeof statusAnswer>

export const evidenceAnswer = answer({ evidence: array(evidenceShape, 1_000) })

const finalEvent = answer({ header_hash: hash32 })
const voteEvent = answer({ vote: voteShape })
const evidenceEvent = answer({ evidence: evidenceShape })

/** What the node tells in its event stream. */
export type NodeEvent =
  | { readonly type: 'header'; readonly listed: ListedHeader }
  | { readonly type: 'final'; readonly header_hash: Hash }
  | { readonly type: 'vote'; readonly vote: TypeOf<typeof voteShape> }
  | { readonly type: 'evidence'; readonly evidence: Evidence }

export const EVENT_NAMES = ['header', 'final', 'vote', 'evidence'] as const
export type EventName = (typeof EVENT_NAMES)[number]

/** Decodes the data of one event. Throws `malformed`, or a SyntaxError for what is not JSON. */
export function decodeEvent(name: EventName, data: string): NodeEvent {
  const value = parseJson(data)
  switch (name) {
    case 'header':
      return { type: 'header', listed: listedHeader(value, 'header') }
    case 'final':
      return { type: 'final', header_hash: finalEvent(value, 'final').header_hash }
    case 'vote':
      return { type: 'vote', vote: voteEvent(value, 'vote').vote }
    case 'evidence':
      return { type: 'evidence', evidence: evidenceEvent(value, 'evidence').evidence }
  }
}
