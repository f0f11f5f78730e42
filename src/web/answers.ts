import type { Hash } from '../protocol/bytes.ts'
import { evidenceShape, type Evidence } from '../protocol/evidence.ts'
import { headerShape } from '../protocol/header.ts'
import { merkleProofShape } from '../protocol/merkle.ts'
import { registryEntryShape } from '../protocol/registry.ts'
import {
  array,
  hash32,
  integer,
  isJsonObject,
  object,
  oneOf,
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

/** A Merkle proof with the root that the node says it leads to. */
export const blockProofAnswer = answer({
  tx_hash: hash32,
  index: integer(),
  tx_count: integer(1),
  path: (value: unknown, path: string) => merkleProofShape({ index: 0, tx_count: 1, path: value }, path).path,
  merkle_root: hash32,
})
export type BlockProofAnswer = TypeOf<typeof blockProofAnswer>

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
  const value: unknown = JSON.parse(data)
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
