import type { Hash } from '../protocol/bytes.ts'
import { evidenceId, type Evidence } from '../protocol/evidence.ts'
import type { Role } from '../protocol/genesis.ts'
import type { Header } from '../protocol/header.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import type { Vote } from '../protocol/vote.ts'
import type { BlockStatus, ListedHeader, NodeEvent, ToldVote } from './answers.ts'
import type { Check, Outcome } from './checks.ts'
import { feedOf, type FeedItem } from './feed.ts'

/** Blocks that the page keeps: as many as one call of latest-headers gives. */
export const MAX_BLOCKS = 100
/** Votes on a block arrive within a few blocks; after a lost connection those of so many blocks are asked for again. */
const LATE_VOTE_BLOCKS = 10

export type Connection = 'connecting' | 'live' | 'reconnecting'

/** What this browser found about a vote; `role` is that of the voter, null if it is not registered. */
export interface VoteFinding {
  readonly outcome: Outcome
  readonly reason: string
  readonly role: Role | null
  /** How many registry entries the node had told by then: more may decide what is open. */
  readonly checkedWith: number
}

/** A vote and what was found about it; null until it is checked. */
export interface VoteRecord {
  readonly vote: Vote
  readonly finding: VoteFinding | null
}

/** A block as the node tells it, and what this browser found about it; `checks` is null until then. */
export interface BlockRecord {
  /** The node's word for the header's hash. */
  readonly hash: Hash
  readonly header: Header
  readonly signature: string
  readonly status: BlockStatus
  /** True if this block changes the registry: it then holds no trades (docs/protocol.md 6). */
  readonly changesRegistry: boolean
  readonly votes: readonly VoteRecord[]
  /** False while the votes that were cast before this page listened are still to be asked for. */
  readonly votesLoaded: boolean
  readonly checks: readonly Check[] | null
  /** As in `VoteFinding`, for `checks`. */
  readonly checkedWith: number
}

export interface PageState {
  /** Root of the genesis registry, which is in force before block 0. */
  readonly genesisRoot: Hash
  readonly connection: Connection
  /** False until the node has told its headers once. */
  readonly loaded: boolean
  /** Ascending by height. Two of one height can be there: that is a finding, not something to hide. */
  readonly blocks: readonly BlockRecord[]
  /** The block that is looked at; null follows the newest. */
  readonly selected: Hash | null
  /** Registry entries that the node named, each version once: claims, until a registry root proves them. */
  readonly told: readonly RegistryEntry[]
  /** Misbehaviour that this browser has found proven. */
  readonly evidence: readonly Evidence[]
  /** Newest first. */
  readonly feed: readonly FeedItem[]
}

export type Action =
  | { readonly type: 'connection'; readonly connection: Connection; readonly at: number }
  | { readonly type: 'snapshot'; readonly headers: readonly ListedHeader[]; readonly at: number }
  | { readonly type: 'event'; readonly event: NodeEvent; readonly at: number }
  | { readonly type: 'evidence'; readonly evidence: readonly Evidence[]; readonly at: number }
  | { readonly type: 'votes'; readonly hash: Hash; readonly votes: readonly ToldVote[] }
  | { readonly type: 'checked'; readonly findings: readonly Finding[] }
  | { readonly type: 'select'; readonly hash: Hash | null }

/** What the browser found out: about a header, or about one vote on it. */
export type Finding =
  | { readonly of: 'header'; readonly hash: Hash; readonly checks: readonly Check[]; readonly checkedWith: number }
  | { readonly of: 'vote'; readonly hash: Hash; readonly signature: string; readonly finding: VoteFinding }

/** The page before it has heard from the node. */
export const initialState = (genesisRoot: Hash): PageState => ({
  genesisRoot,
  connection: 'connecting',
  loaded: false,
  blocks: [],
  selected: null,
  told: [],
  evidence: [],
  feed: [],
})

/** The next state. Pure: time comes with the action. */
export function reduce(state: PageState, action: Action): PageState {
  const next = reduceBlocks(state, action)
  return { ...next, feed: feedOf(state, next, action) }
}

function reduceBlocks(state: PageState, action: Action): PageState {
  switch (action.type) {
    case 'connection':
      return { ...state, connection: action.connection }
    case 'select':
      return { ...state, selected: action.hash }
    case 'snapshot':
      return { ...state, loaded: true, blocks: mergeSnapshot(state, action.headers) }
    case 'evidence':
      return { ...state, evidence: mergeEvidence(state.evidence, action.evidence) }
    case 'votes':
      return mergeToldVotes(state, action.hash, action.votes)
    case 'event':
      return reduceEvent(state, action.event)
    case 'checked':
      return action.findings.reduce(applyFinding, state)
  }
}

function reduceEvent(state: PageState, event: NodeEvent): PageState {
  switch (event.type) {
    case 'header':
      // Its votes come through the same stream, so there is nothing to ask for.
      return { ...state, blocks: mergeHeaders(state, state.blocks, [event.listed], true) }
    case 'final':
      return updateBlock(state, event.header_hash, (block) => ({ ...block, status: 'final' }))
    case 'vote':
      return updateBlock(state, event.vote.header_hash, (block) => ({
        ...block,
        votes: mergeVotes(block.votes, [event.vote]),
        // An event brings no registry entry; a voter nobody has named yet is asked for.
        votesLoaded: block.votesLoaded && state.told.some(({ id }) => id === event.vote.voter_id),
      }))
    case 'evidence':
      // Counts once it is checked: then it comes as an action of its own.
      return state
  }
}

function mergeEvidence(known: readonly Evidence[], told: readonly Evidence[]): readonly Evidence[] {
  const ids = new Set(known.map(evidenceId))
  return [...known, ...told.filter((piece) => !ids.has(evidenceId(piece)))]
}

function mergeToldVotes(state: PageState, hash: Hash, votes: readonly ToldVote[]): PageState {
  const versionOf = (entry: RegistryEntry) => `${entry.slot} ${entry.since_height} ${entry.public_key} ${entry.status}`
  const known = new Set(state.told.map(versionOf))
  const fresh = new Map(votes.map(({ entry }) => [versionOf(entry), entry]))
  const told = [...state.told, ...[...fresh].flatMap(([version, entry]) => (known.has(version) ? [] : [entry]))]
  const merged = updateBlock(state, hash, (block) => ({
    ...block,
    votes: mergeVotes(
      block.votes,
      votes.map(({ vote }) => vote),
    ),
    votesLoaded: true,
  }))
  return { ...merged, told }
}

function applyFinding(state: PageState, finding: Finding): PageState {
  return updateBlock(state, finding.hash, (block) =>
    finding.of === 'header'
      ? { ...block, checks: finding.checks, checkedWith: finding.checkedWith }
      : {
          ...block,
          votes: block.votes.map((record) =>
            record.vote.signature === finding.signature ? { ...record, finding: finding.finding } : record,
          ),
        },
  )
}

function updateBlock(state: PageState, hash: Hash, update: (block: BlockRecord) => BlockRecord): PageState {
  return { ...state, blocks: state.blocks.map((block) => (block.hash === hash ? update(block) : block)) }
}

/** A header once seen stays, whatever the node lists later: if it contradicts itself, that must show. */
function mergeHeaders(
  state: PageState,
  blocks: readonly BlockRecord[],
  headers: readonly ListedHeader[],
  votesLoaded: boolean,
): readonly BlockRecord[] {
  const byHash = new Map(blocks.map((block) => [block.hash, block]))
  for (const { header, header_hash, signature, status } of headers) {
    const known = byHash.get(header_hash)
    if (known !== undefined) {
      byHash.set(header_hash, { ...known, status: known.status === 'final' ? 'final' : status })
      continue
    }
    const rootBefore = header.height === 0 ? state.genesisRoot : byHash.get(header.prev_hash)?.header.registry_root
    const changesRegistry = rootBefore !== undefined && rootBefore !== header.registry_root
    const unchecked = { votes: [], votesLoaded, checks: null, checkedWith: 0 }
    byHash.set(header_hash, { hash: header_hash, header, signature, status, changesRegistry, ...unchecked })
  }
  return [...byHash.values()].sort((a, b) => a.header.height - b.header.height).slice(-MAX_BLOCKS)
}

function mergeSnapshot(state: PageState, headers: readonly ListedHeader[]): readonly BlockRecord[] {
  const lateFrom = (state.blocks.at(-1)?.header.height ?? 0) - LATE_VOTE_BLOCKS
  const stale = state.blocks.map((block) => (block.header.height > lateFrom ? { ...block, votesLoaded: false } : block))
  return mergeHeaders(state, stale, headers, false)
}

function mergeVotes(records: readonly VoteRecord[], votes: readonly Vote[]): readonly VoteRecord[] {
  const known = new Set(records.map(({ vote }) => vote.signature))
  const fresh = votes.filter((vote) => !known.has(vote.signature))
  return [...records, ...fresh.map((vote): VoteRecord => ({ vote, finding: null }))]
}

/** The block that the page shows in full: the selected one, else the newest. */
export function shownBlock(state: PageState): BlockRecord | undefined {
  return state.blocks.find((block) => block.hash === state.selected) ?? state.blocks.at(-1)
}

/** Trades in a block; 0 for one that changes the registry. */
export const tradesIn = (block: BlockRecord): number => (block.changesRegistry ? 0 : block.header.tx_count)

export interface VoteTally {
  readonly ack: readonly string[]
  readonly reject: readonly string[]
}

/** Names of those who voted on a block, each once; votes that failed their check do not count. */
export function tally(block: BlockRecord): VoteTally {
  const valid = block.votes.filter(({ finding }) => finding?.outcome !== 'fail')
  const named = (decision: Vote['decision']) => [
    ...new Set(valid.filter(({ vote }) => vote.decision === decision).map(({ vote }) => vote.voter_id)),
  ]
  return { ack: named('ack'), reject: named('reject') }
}
