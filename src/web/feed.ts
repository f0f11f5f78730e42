import type { Action, BlockRecord, PageState } from './state.ts'
import { count, nameList } from './format.ts'
import { misbehaviourOf, type Evidence } from '../protocol/evidence.ts'
import type { Vote } from '../protocol/vote.ts'

const MAX_FEED = 60
/** Blocks that are told of when the page opens, so that it does not begin empty. */
const FIRST_FEED = 6

/** One line of "what happened". */
export interface FeedItem {
  /** Unique; a later item with the same key takes the earlier one's place. */
  readonly key: string
  readonly kind: 'sealed' | 'final' | 'ack' | 'reject' | 'evidence' | 'connection'
  /** Unix milliseconds. */
  readonly at: number
  readonly text: string
  /** Voters named so far, for lines that gather votes. */
  readonly names: readonly string[]
  /** The block that the line is about; null for lines about the connection. */
  readonly hash: string | null
}

/** The feed after `action` took `before` to `after`. */
export function feedOf(before: PageState, after: PageState, action: Action): readonly FeedItem[] {
  switch (action.type) {
    case 'connection':
      return connectionLines(before, action)
    case 'snapshot':
      return snapshotLines(before, after)
    case 'event':
      return eventLines(before, after, action)
    case 'evidence':
      return after.evidence
        .filter((piece) => !before.evidence.includes(piece))
        .map((piece) => evidenceLine(piece, action.at))
        .reduce(put, before.feed)
    case 'votes':
    case 'checked':
    case 'select':
    case 'registry':
    case 'older':
    case 'joined':
    case 'newest':
    case 'access':
    case 'body':
      return before.feed
  }
}

function put(feed: readonly FeedItem[], item: FeedItem): readonly FeedItem[] {
  return [item, ...feed.filter(({ key }) => key !== item.key)].slice(0, MAX_FEED)
}

function connectionLines(before: PageState, action: Action & { type: 'connection' }): readonly FeedItem[] {
  const { connection, at } = action
  if (connection === before.connection || connection === 'connecting') return before.feed
  if (connection === 'live' && before.connection === 'connecting') return before.feed
  const text = connection === 'live' ? 'Connected again.' : 'The node does not answer. Trying again by itself.'
  return put(before.feed, { key: `connection:${at}`, kind: 'connection', at, text, names: [], hash: null })
}

function sealedLine(block: BlockRecord): FeedItem {
  const { header, hash } = block
  const what = block.changesRegistry ? 'a change of the registry' : count(header.tx_count, 'transaction')
  const text = `${header.miner_id} sealed block ${header.height} with ${what}.`
  return { key: `sealed:${hash}`, kind: 'sealed', at: header.timestamp, text, names: [], hash }
}

/** "authority sealed two blocks of height 3." */
export function evidenceWords(evidence: Evidence): string {
  const { kind, signer_id, height } = misbehaviourOf(evidence)
  return kind === 'double-seal'
    ? `${signer_id} sealed two blocks of height ${height}.`
    : `${signer_id} confirmed two blocks of height ${height}.`
}

function evidenceLine(evidence: Evidence, at: number): FeedItem {
  const { kind, signer_id, height } = misbehaviourOf(evidence)
  const key = `evidence:${kind}:${signer_id}:${height}`
  return { key, kind: 'evidence', at, text: evidenceWords(evidence), names: [], hash: null }
}

/** Blocks that the page did not know: all that were missed, or the newest few when it opens. */
function snapshotLines(before: PageState, after: PageState): readonly FeedItem[] {
  const known = new Set(before.blocks.map(({ hash }) => hash))
  const fresh = after.blocks.filter(({ hash }) => !known.has(hash))
  return (before.loaded ? fresh : fresh.slice(-FIRST_FEED)).map(sealedLine).reduce(put, before.feed)
}

function eventLines(before: PageState, after: PageState, action: Action & { type: 'event' }): readonly FeedItem[] {
  const { event, at } = action
  switch (event.type) {
    case 'header':
      return after.blocks
        .filter(({ hash }) => !before.blocks.some((known) => known.hash === hash))
        .map((block) => ({ ...sealedLine(block), at }))
        .reduce(put, before.feed)
    case 'final': {
      const hash = event.header_hash
      const was = before.blocks.find((block) => block.hash === hash)
      if (was === undefined || was.status === 'final') return before.feed
      const text = `Block ${was.header.height} is final.`
      return put(before.feed, { key: `final:${hash}`, kind: 'final', at, text, names: [], hash })
    }
    case 'vote':
      return after.blocks.some(({ hash }) => hash === event.vote.header_hash)
        ? put(before.feed, voteLine(before.feed, event.vote, at))
        : before.feed
    case 'evidence':
      return before.feed
  }
}

/** Votes on one block share a line: a hundred households would push everything else out of sight. */
function voteLine(feed: readonly FeedItem[], vote: Vote, at: number): FeedItem {
  const key = `${vote.decision}:${vote.header_hash}`
  const earlier = feed.find((item) => item.key === key)?.names ?? []
  const names = earlier.includes(vote.voter_id) ? earlier : [...earlier, vote.voter_id]
  const text =
    vote.decision === 'ack'
      ? `${nameList(names, 4)} verified block ${vote.height} and confirmed it.`
      : `${nameList(names, 4)} rejected block ${vote.height}.`
  return { key, kind: vote.decision, at, text, names, hash: vote.header_hash }
}
