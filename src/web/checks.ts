import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyHeaderLink, verifyNotFromFuture, verifySeal, type Header } from '../protocol/header.ts'
import { historyLeaf, verifyInclusion, type InclusionProof } from '../protocol/history.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import type { Members, RegistryBook } from './registry-book.ts'
import type { BlockRecord, VoteFinding } from './state.ts'

/** `open`: this browser does not hold what the check takes. Never shown as passed. */
export type Outcome = 'pass' | 'fail' | 'open'

/** One check, with the values it compared: what a doubting reader can recompute elsewhere. */
export interface Check {
  readonly id: 'hash' | 'link' | 'registry' | 'seal' | 'single' | 'final' | 'history' | 'transaction' | 'path' | 'block'
  readonly title: string
  readonly outcome: Outcome
  /** One sentence for people; for a failed check, what is wrong. */
  readonly detail: string
  readonly values: readonly { readonly label: string; readonly value: string }[]
}

/** What the page trusts: the genesis, whose hash is the chain id, and a clock. */
export interface CheckContext {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly book: RegistryBook
  /** Registry entries that the node named; believed only through `book`. */
  readonly told: readonly RegistryEntry[]
  /** Unix milliseconds. */
  readonly now: number
}

type Part = Pick<Check, 'id' | 'title' | 'values'>

/** The check that this verdict decides; `passed` is the sentence of the good case. */
export const toCheck = (part: Part, verdict: Verdict, passed: string): Check =>
  verdict.ok ? { ...part, outcome: 'pass', detail: passed } : { ...part, outcome: 'fail', detail: verdict.reason }

/** Malformed input is a failed check here: it came from the node that is being checked. */
export function attempt<Code extends string>(verify: () => Verdict<Code>): Verdict {
  try {
    return verify()
  } catch (error) {
    return { ok: false, code: 'malformed', reason: error instanceof Error ? error.message : String(error) }
  }
}

const failed = (code: string, reason: string): Verdict => ({ ok: false, code, reason })

/**
 * Recomputes what a header claims. It answers for a) the hash, b) the link to its parent, with height and time, c) the
 * registry, d) the seal of a registered authority.
 *
 * @param parent the block that `prev_hash` names; `undefined` if this page does not hold it
 */
export function checkHeader(
  block: BlockRecord,
  parent: BlockRecord | undefined,
  context: CheckContext,
): readonly Check[] {
  return [
    checkHash(block),
    checkLink(block.header, parent, context),
    checkRegistry(block.header, context),
    checkSeal(block, parent, context),
  ]
}

function checkHash(block: BlockRecord): Check {
  const computed = hashHeader(block.header)
  const values = [
    { label: 'Computed here', value: computed },
    { label: 'Told by the node', value: block.hash },
  ]
  const verdict: Verdict =
    computed === block.hash
      ? { ok: true }
      : failed('wrong_hash', 'The header hashes to another value than the node says.')
  return toCheck({ id: 'hash', title: 'Hash', values }, verdict, 'SHA-256 of the header is the block hash.')
}

function checkLink(header: Header, parent: BlockRecord | undefined, context: CheckContext): Check {
  const part: Part = {
    id: 'link',
    title: 'Link',
    values: [{ label: 'Parent named in the header', value: header.prev_hash }],
  }
  if (header.height > 0 && parent === undefined) {
    return { ...part, outcome: 'open', detail: `Block ${header.height - 1} is older than what this page holds.` }
  }
  // Hashed again here: the parent's name, too, is only the node's word.
  const named = parent === undefined ? null : { header: parent.header, hash: hashHeader(parent.header) }
  const verdict = attempt(() => {
    const link = verifyHeaderLink(header, named, context.genesis, context.chainId)
    return link.ok ? verifyNotFromFuture(header, context.now) : link
  })
  const label =
    named === null ? 'Chain id, computed from the genesis' : `Hash of block ${header.height - 1}, computed here`
  const values = [...part.values, { label, value: named?.hash ?? context.chainId }]
  const passed =
    named === null
      ? 'The first block names the genesis as its parent.'
      : `It follows block ${header.height - 1}: one higher, not earlier.`
  return toCheck({ ...part, values }, verdict, passed)
}

function checkRegistry(header: Header, { book, told }: CheckContext): Check {
  const members = book.find(header.registry_root, header.height, told)
  const part: Part = {
    id: 'registry',
    title: 'Registry',
    values: [{ label: 'Registry root in the header', value: header.registry_root }],
  }
  if (members === undefined) {
    const detail = 'The registry has changed since the genesis, and this page has not seen every entry of it yet.'
    return { ...part, outcome: 'open', detail }
  }
  const later = members.size - book.genesisMembers.size
  const detail =
    later === 0
      ? `It is the genesis registry of ${members.size}: nobody was slipped in.`
      : `The genesis registry and ${later} later entries hash to this root.`
  const values = [...part.values, { label: 'Computed here', value: header.registry_root }]
  return { ...part, values, outcome: 'pass', detail }
}

/** Who may act on a block: the registry after the one before it. `undefined` if it cannot be proven. */
function membersBefore(header: Header, parent: BlockRecord | undefined, context: CheckContext): Members | undefined {
  const { book, told } = context
  if (header.height === 0) return book.genesisMembers
  const decisive = parent?.header ?? header
  return book.find(decisive.registry_root, decisive.height, told)
}

function checkSeal(block: BlockRecord, parent: BlockRecord | undefined, context: CheckContext): Check {
  const { header, signature } = block
  const proven = membersBefore(header, parent, context)
  const sealer = (proven ?? context.book.genesisMembers).get(header.miner_id)
  const part: Part = {
    id: 'seal',
    title: 'Seal',
    values: [
      { label: `Registered key of ${header.miner_id}`, value: sealer?.public_key ?? 'none' },
      { label: 'Signature', value: signature },
    ],
  }
  const verdict =
    sealer?.role !== 'authority' || sealer.status !== 'active'
      ? failed('unknown_sealer', `${header.miner_id} is no active authority of the registry.`)
      : attempt(() => verifySeal({ header, signature }, sealer.public_key))
  if (!verdict.ok && proven === undefined) {
    const detail = 'Not by an authority of the genesis, and this page has not seen the whole registry of that time.'
    return { ...part, outcome: 'open', detail }
  }
  return toCheck(part, verdict, `Signed by ${header.miner_id}, a registered authority.`)
}

/** Checks one vote on a block, by the header's hash as computed here and the registry before that block. */
export function checkVote(
  vote: Vote,
  block: BlockRecord,
  parent: BlockRecord | undefined,
  context: CheckContext,
): VoteFinding {
  const target = { hash: hashHeader(block.header), height: block.header.height }
  const proven = membersBefore(block.header, parent, context)
  const entry = (proven ?? context.book.genesisMembers).get(vote.voter_id)
  const about = { role: entry?.role ?? null, checkedWith: context.told.length }
  if (proven === undefined && entry === undefined) {
    return { outcome: 'open', reason: 'this page has not seen the whole registry of that time', ...about }
  }
  const verdict = attempt(() => verifyVote(vote, context.chainId, target, entry))
  return verdict.ok
    ? { outcome: 'pass', reason: 'signature checked', ...about }
    : { outcome: 'fail', reason: verdict.reason, ...about }
}

/** Fails if the node has shown another block of the same height: nobody honest seals two. */
export function checkSingle(block: BlockRecord, blocks: readonly BlockRecord[]): Check {
  const other = blocks.find(({ hash, header }) => header.height === block.header.height && hash !== block.hash)
  const part: Part = { id: 'single', title: 'One history', values: [] }
  if (other === undefined) {
    return { ...part, outcome: 'pass', detail: 'This page was shown no other block of this height.' }
  }
  const values = [
    { label: 'This block', value: block.hash },
    { label: 'The other one', value: other.hash },
  ]
  return { ...part, values, outcome: 'fail', detail: `The node has shown two blocks of height ${block.header.height}.` }
}

/**
 * Checks that a block has the votes that finality takes (docs/protocol.md 5). An ack counts for every ancestor, so acks
 * on later blocks that link to it count as well.
 */
export function checkFinal(block: BlockRecord, blocks: readonly BlockRecord[], { genesis }: CheckContext): Check {
  const { finality } = genesis
  const part: Part = { id: 'final', title: 'Finality', values: [] }
  if (block.status === 'orphaned') {
    return { ...part, outcome: 'open', detail: 'Another block took its place; it never became final.' }
  }
  if (finality.policy === 'authority') {
    return { ...part, outcome: 'pass', detail: 'By this genesis a block is final once an authority has sealed it.' }
  }
  const acked = new Set<string>()
  for (const { vote, finding } of withDescendants(block, blocks).flatMap(({ votes }) => votes)) {
    const counted = finality.policy === 'votes' || finding?.role === 'validator'
    if (finding?.outcome === 'pass' && vote.decision === 'ack' && counted) acked.add(vote.voter_id)
  }
  const values = [
    {
      label: `Signed acks of ${finality.policy === 'votes' ? 'voters' : 'validators'}, checked here`,
      value: String(acked.size),
    },
    { label: 'Needed', value: String(finality.threshold) },
  ]
  if (acked.size >= finality.threshold) {
    return { ...part, values, outcome: 'pass', detail: `Confirmed by ${[...acked].join(', ')}.` }
  }
  const missing = finality.threshold - acked.size
  const detail =
    block.status === 'final'
      ? `The node calls it final; of the votes that takes, this page lacks ${missing}.`
      : `Waiting for ${missing} more of ${finality.threshold} votes.`
  return { ...part, values, outcome: 'open', detail }
}

/** The block and those that build on it, by the links. */
function withDescendants(block: BlockRecord, blocks: readonly BlockRecord[]): readonly BlockRecord[] {
  const chain = new Set([block.hash])
  return blocks.filter((other) => {
    const follows = other.hash === block.hash || chain.has(other.header.prev_hash)
    if (follows) chain.add(other.hash)
    return follows
  })
}

/**
 * Checks that a header seen before is still in the history of a newer one.
 *
 * @param seen hash and height of the earlier header; its height is below that of `newer`
 */
export function checkHistory(
  seen: { readonly height: number; readonly hash: Hash },
  newer: Header,
  proof: InclusionProof,
): Check {
  const values = [
    { label: `Block ${seen.height}`, value: seen.hash },
    { label: `History root of block ${newer.height}`, value: newer.history_root },
  ]
  const verdict = attempt((): Verdict => {
    if (proof.leaf_index !== seen.height || proof.tree_size !== newer.height) {
      return failed('missing_proof', 'The node sent a proof for another place in the history.')
    }
    return verifyInclusion(historyLeaf(seen.hash), proof, newer.history_root)
  })
  return toCheck(
    { id: 'history', title: 'History', values },
    verdict,
    `Block ${newer.height} commits to a history that has block ${seen.height} in it.`,
  )
}

/** All that this browser has found about a block; empty until it has looked. */
export function checksOf(block: BlockRecord, blocks: readonly BlockRecord[], context: CheckContext): readonly Check[] {
  if (block.checks === null) return []
  return [...block.checks, checkSingle(block, blocks), checkFinal(block, blocks, context)]
}
