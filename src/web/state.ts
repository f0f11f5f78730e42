import type { Hash } from '../protocol/bytes.ts'
import { evidenceId, type Evidence } from '../protocol/evidence.ts'
import type { Role } from '../protocol/genesis.ts'
import type { Header } from '../protocol/header.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Vote } from '../protocol/vote.ts'
import type { BlockStatus, ListedHeader, NodeEvent, ToldVote } from './answers.ts'
import type { Check, Outcome } from './checks.ts'
import { feedOf, type FeedItem } from './feed.ts'
import { bodyOf, type BlockBody } from './bodies.ts'
import { changeAt, registryAfter, type RegistryBook } from './registry-book.ts'

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
  /** The version of the registry book by then: a newer one may decide otherwise. */
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
  /** What was traded, for who may see it; null while that is not known here. */
  readonly body: BlockBody | null
}

/** An older stretch of the chain that the page looks at, apart from the newest blocks. */
export interface OlderStretch {
  readonly from: number
  readonly to: number
  /** Whether its last block is in the history of the newest ones; null while it is not checked. */
  readonly joined: Check | null
}

/** Whether this page may see what was traded. */
export type Access =
  | { readonly kind: 'none' }
  | { readonly kind: 'asked' }
  | { readonly kind: 'open' }
  | { readonly kind: 'refused'; readonly reason: string }

export interface PageState {
  /** The registry of the genesis and each change since that this browser has checked. */
  readonly registries: RegistryBook
  /** Up to this height the node has told every change; -1 if it has told none. */
  readonly registryHeight: number
  /** Grows with each change of the two. */
  readonly registryVersion: number
  /** What is wrong with the changes that the node has told; null if nothing is. */
  readonly registryProblem: string | null
  readonly connection: Connection
  /** False until the node has told its headers once. */
  readonly loaded: boolean
  /** Ascending by height. Two of one height can be there: that is a finding, not something to hide. */
  readonly blocks: readonly BlockRecord[]
  /** The block that is looked at; null follows the newest. */
  readonly selected: Hash | null
  readonly older: OlderStretch | null
  readonly access: Access
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
  | {
      readonly type: 'registry'
      readonly book: RegistryBook
      readonly upTo: number
      readonly problem: string | null
    }
  | { readonly type: 'older'; readonly headers: readonly ListedHeader[] }
  | { readonly type: 'joined'; readonly to: number; readonly check: Check }
  | { readonly type: 'newest' }
  | { readonly type: 'access'; readonly access: Access }
  | { readonly type: 'body'; readonly hash: Hash; readonly transactions: readonly ShownTransaction[] }

/** What the browser found out: about a header, or about one vote on it. */
export type Finding =
  | { readonly of: 'header'; readonly hash: Hash; readonly checks: readonly Check[]; readonly checkedWith: number }
  | { readonly of: 'vote'; readonly hash: Hash; readonly signature: string; readonly finding: VoteFinding }

/** The page before it has heard from the node. */
export const initialState = (registries: RegistryBook): PageState => ({
  registries,
  registryHeight: -1,
  registryVersion: 0,
  registryProblem: null,
  connection: 'connecting',
  loaded: false,
  blocks: [],
  selected: null,
  older: null,
  access: { kind: 'none' },
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
    case 'registry':
      return withRegistry(state, action)
    case 'older':
      return withOlder(state, action.headers)
    case 'joined':
      return state.older?.to === action.to ? { ...state, older: { ...state.older, joined: action.check } } : state
    case 'newest':
      return withOlder({ ...state, selected: null }, [])
    case 'access':
      return withAccess(state, action.access)
    case 'body':
      return updateBlock(state, action.hash, (block) => ({ ...block, body: bodyOf(block, action.transactions) }))
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
  const cast = votes.map(({ vote }) => vote)
  return updateBlock(state, hash, (block) => ({ ...block, votes: mergeVotes(block.votes, cast), votesLoaded: true }))
}

function withRegistry(state: PageState, { book, upTo, problem }: Action & { type: 'registry' }): PageState {
  const blocks = state.blocks.map((block) =>
    changeAt(book, block.header.height)?.hash === block.hash ? { ...block, changesRegistry: true } : block,
  )
  const registryVersion = state.registryVersion + 1
  return { ...state, registries: book, registryHeight: upTo, registryVersion, registryProblem: problem, blocks }
}

/** Another stretch takes the place of the one before; none brings the page back to the newest blocks. */
function withOlder(state: PageState, headers: readonly ListedHeader[]): PageState {
  const from = headers[0]?.header.height
  const to = headers[headers.length - 1]?.header.height
  const older = from === undefined || to === undefined ? null : { from, to, joined: null }
  const next = { ...state, older }
  return { ...next, blocks: mergeHeaders(next, state.blocks, headers, false) }
}

/** Without a token nothing stays of what only it showed. */
function withAccess(state: PageState, access: Access): PageState {
  const keeps = access.kind === 'open' || access.kind === 'asked'
  return { ...state, access, blocks: keeps ? state.blocks : state.blocks.map((block) => ({ ...block, body: null })) }
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
    const unchecked = { votes: [], votesLoaded, checks: null, checkedWith: 0, body: null }
    const changesRegistry = isChange(state.registries, header, header_hash, byHash.get(header.prev_hash))
    byHash.set(header_hash, { hash: header_hash, header, signature, status, changesRegistry, ...unchecked })
  }
  const sorted = [...byHash.values()].sort((a, b) => a.header.height - b.header.height)
  const { older } = state
  const firstNew = sorted.length - MAX_BLOCKS
  return sorted.filter(
    ({ header: { height } }, index) =>
      index >= firstNew || (older !== null && height >= older.from && height <= older.to),
  )
}

/** Known from the changes that were checked, or from the parent's root before they are. */
function isChange(book: RegistryBook, header: Header, hash: Hash, parent: BlockRecord | undefined): boolean {
  if (changeAt(book, header.height)?.hash === hash) return true
  const before = header.height === 0 ? registryAfter(book, -1).root : parent?.header.registry_root
  return before !== undefined && before !== header.registry_root
}

/** A block that the newest headers pass over has lost its place, unless it was final: then that must show. */
function mergeSnapshot(state: PageState, headers: readonly ListedHeader[]): readonly BlockRecord[] {
  const listed = new Set(headers.map(({ header_hash }) => header_hash))
  const lowest = headers[0]?.header.height ?? Infinity
  const lateFrom = (state.blocks[state.blocks.length - 1]?.header.height ?? 0) - LATE_VOTE_BLOCKS
  const known = state.blocks.map((block): BlockRecord => {
    const isLeft = block.header.height >= lowest && block.status === 'proposed' && !listed.has(block.hash)
    const votesLoaded = block.votesLoaded && block.header.height <= lateFrom
    return { ...block, status: isLeft ? 'orphaned' : block.status, votesLoaded }
  })
  return mergeHeaders(state, known, headers, false)
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

/** The held blocks that stand in one row, without a gap, around `shown` or up to the newest. */
export function runOf({ blocks }: Pick<PageState, 'blocks'>, shown: BlockRecord | undefined): readonly BlockRecord[] {
  const at = shown === undefined ? blocks.length - 1 : blocks.indexOf(shown)
  const isNext = (index: number) =>
    (blocks[index]?.header.height ?? Infinity) - (blocks[index - 1]?.header.height ?? -Infinity) <= 1
  let start = at
  while (start > 0 && isNext(start)) start -= 1
  let end = at + 1
  while (end < blocks.length && isNext(end)) end += 1
  return blocks.slice(Math.max(0, start), end)
}

/** Trades and corrections in a block; 0 for one that changes the registry. */
export const transactionsIn = (block: BlockRecord): number => (block.changesRegistry ? 0 : block.header.tx_count)

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
