import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyHeaderLink, verifyNotFromFuture, verifySeal, type Header } from '../protocol/header.ts'
import { historyLeaf, verifyInclusion, type InclusionProof } from '../protocol/history.ts'
import { verifyVote, type Vote } from '../protocol/vote.ts'
import { nameList } from './format.ts'
import { finalityOf, type BlockFinality } from './finality.ts'
import {
  changeAt,
  changeWords,
  policyWords,
  registryAfter,
  registryBefore,
  type RegistryBook,
} from './registry-book.ts'
import type { BlockRecord, OlderStretch, PageState, VoteFinding } from './state.ts'

/** `open`: this browser does not hold what the check takes. Never shown as passed. */
export type Outcome = 'pass' | 'fail' | 'open'

/** One check, with the values it compared: what a doubting reader can recompute elsewhere. */
export interface Check {
  readonly id:
    | 'hash'
    | 'link'
    | 'registry'
    | 'seal'
    | 'single'
    | 'final'
    | 'history'
    | 'transaction'
    | 'name'
    | 'path'
    | 'block'
    | 'body'
    | 'receipt'
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
  /** Up to this height the node has told every change of the registry; -1 if it has told none. */
  readonly bookHeight: number
  /** Counts the changes of `book`: what was found with an older one may be found anew. */
  readonly bookVersion: number
  readonly finality: ReadonlyMap<Hash, BlockFinality>
  readonly older: OlderStretch | null
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
    checkRegistry(block, context),
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
    return { ...part, outcome: 'open', detail: `Block ${header.height - 1} is not among those that this page holds.` }
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

function checkRegistry(block: BlockRecord, { book, bookHeight }: CheckContext): Check {
  const { header } = block
  const { height } = header
  const after = registryAfter(book, height)
  const change = changeAt(book, height)
  const part: Part = {
    id: 'registry',
    title: 'Registry',
    values: [
      { label: 'Registry root in the header', value: header.registry_root },
      { label: 'Computed here', value: after.root },
    ],
  }
  if (after.root !== header.registry_root) {
    return bookHeight >= height && block.status !== 'orphaned'
      ? {
          ...part,
          outcome: 'fail',
          detail: 'The changes of the registry do not lead to the one that this header names.',
        }
      : { ...part, outcome: 'open', detail: 'The changes of the registry up to this block are not checked yet.' }
  }
  if (change !== undefined && change.hash !== block.hash) {
    return { ...part, outcome: 'fail', detail: 'The node names another block of this height as the change of it.' }
  }
  const changes = book.filter((one) => one.height >= 0 && one.height <= height).length
  const origin =
    changes === 0
      ? `It is the registry of the genesis, ${after.entries.length} entries: nobody was slipped in.`
      : `The genesis and ${changes} signed ${changes === 1 ? 'change' : 'changes'} since lead to it: nobody was slipped in.`
  const here = change === undefined ? '' : `This block ${nameList(change.transactions.map(changeWords), 4)}. `
  return { ...part, outcome: 'pass', detail: `${here}${origin}` }
}

/** True if the registry before a block is proven: by this block's own root, or by that of its parent. */
function isProven(
  { header }: BlockRecord,
  parent: BlockRecord | undefined,
  { book, bookHeight }: CheckContext,
): boolean {
  if (header.height === 0 || bookHeight >= header.height) return true
  const { height, registry_root } = parent?.header ?? header
  return registryAfter(book, height).root === registry_root
}

function checkSeal(block: BlockRecord, parent: BlockRecord | undefined, context: CheckContext): Check {
  const { header, signature } = block
  const { book } = context
  const change = changeAt(book, header.height)
  const recovers = change?.recovers === true && change.hash === block.hash
  const registry = recovers ? change.registry : registryBefore(book, header.height)
  const sealer = registry.active(header.miner_id, 'authority')
  const part: Part = {
    id: 'seal',
    title: 'Seal',
    values: [
      { label: `Key of ${header.miner_id} in force at this block`, value: sealer?.public_key ?? 'none' },
      { label: 'Signature', value: signature },
    ],
  }
  const verdict =
    sealer === undefined
      ? failed('unknown_sealer', `${header.miner_id} was no active authority at this block.`)
      : attempt(() => verifySeal({ header, signature }, sealer.public_key))
  if (!verdict.ok && !isProven(block, parent, context)) {
    return { ...part, outcome: 'open', detail: 'Who may seal at this block is not known here yet.' }
  }
  return toCheck(part, verdict, `Signed by ${header.miner_id}, an authority at this block.`)
}

/** Checks one vote on a block, by the header's hash as computed here and the registry before that block. */
export function checkVote(
  vote: Vote,
  block: BlockRecord,
  parent: BlockRecord | undefined,
  context: CheckContext,
): VoteFinding {
  const target = { hash: hashHeader(block.header), height: block.header.height }
  const entry = registryBefore(context.book, block.header.height).entry(vote.voter_id)
  const about = { role: entry?.role ?? null, checkedWith: context.bookVersion }
  const verdict = attempt(() => verifyVote(vote, context.chainId, target, entry))
  if (verdict.ok) return { outcome: 'pass', reason: 'signature checked', ...about }
  return isProven(block, parent, context)
    ? { outcome: 'fail', reason: verdict.reason, ...about }
    : { outcome: 'open', reason: 'who may vote at this block is not known here yet', ...about }
}

/**
 * Fails if the node has shown another block of the same height by the same sealer, which nobody honest makes, or two that are
 * final. Of two authorities' blocks that are not, one will be left.
 */
export function checkSingle(block: BlockRecord, blocks: readonly BlockRecord[]): Check {
  const others = blocks.filter(({ hash, header }) => header.height === block.header.height && hash !== block.hash)
  const part: Part = { id: 'single', title: 'One history', values: [] }
  const isFault = (other: BlockRecord) =>
    other.header.miner_id === block.header.miner_id || (other.status === 'final' && block.status === 'final')
  const other = others.find(isFault) ?? others[0]
  if (other === undefined) {
    return { ...part, outcome: 'pass', detail: 'This page was shown no other block of this height.' }
  }
  const values = [
    { label: 'This block', value: block.hash },
    { label: 'The other one', value: other.hash },
  ]
  return isFault(other)
    ? {
        ...part,
        values,
        outcome: 'fail',
        detail: `The node has shown two blocks of height ${block.header.height}.`,
      }
    : {
        ...part,
        values,
        outcome: 'pass',
        detail: `${other.header.miner_id} sealed one of this height as well; only one of the two stays.`,
      }
}

/** Checks by what a block is final: by the policy in force at it, or as an ancestor of a block that is (docs/protocol.md 5). */
export function checkFinal(block: BlockRecord, { book, finality }: CheckContext): Check {
  const part: Part = { id: 'final', title: 'Finality', values: [] }
  if (block.status === 'orphaned') {
    return { ...part, outcome: 'open', detail: 'Another block took its place; it never became final.' }
  }
  const { height } = block.header
  const counted = finality.get(block.hash)
  if (counted === undefined || counted.by === 'unknown') {
    return { ...part, outcome: 'open', detail: 'The policy in force at this block is not known here yet.' }
  }
  const { acks, required, by } = counted
  const policy = registryBefore(book, height).policy.finality
  const votes = [
    { label: 'Confirmations that count, checked here', value: String(acks.length) },
    { label: 'Needed', value: String(required) },
  ]
  const values = [{ label: 'Policy in force at this block', value: `final by ${policyWords(policy)}` }]
  const all = { ...part, values: required === 0 ? values : [...values, ...votes] }
  if (by === 'own') {
    const detail =
      required === 0
        ? 'By the policy in force at this block it is final once an authority has sealed it.'
        : `Confirmed by ${nameList(acks, 5)}; the policy in force at this block takes ${required}.`
    return { ...all, outcome: 'pass', detail }
  }
  if (by !== 'waiting') {
    return { ...all, outcome: 'pass', detail: `Final as an ancestor of block ${by.ancestorOf}, which is final.` }
  }
  return { ...all, outcome: 'open', detail: lacking(block, acks.length, required) }
}

function lacking({ status }: BlockRecord, acks: number, required: number): string {
  const missing = Math.max(0, required - acks)
  if (status === 'final') return `The node calls it final; of the confirmations that takes, this page lacks ${missing}.`
  if (missing === 0) return 'A change of the rules before it has to become final first.'
  return `Waiting for ${missing} more of ${required} confirmations.`
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
  const { older } = context
  const isOlder = older !== null && block.header.height >= older.from && block.header.height <= older.to
  const history = isOlder && older.joined !== null ? [older.joined] : []
  return [...block.checks, ...history, checkSingle(block, blocks), checkFinal(block, context)]
}

/** What the checks of this state go by. */
export function contextOf(
  state: PageState,
  { genesis, chainId, now }: Pick<CheckContext, 'genesis' | 'chainId' | 'now'>,
): CheckContext {
  const { registries: book, registryHeight: bookHeight, registryVersion: bookVersion, older, blocks } = state
  const joined =
    older?.joined?.outcome === 'pass' ? blocks.find(({ header }) => header.height === older.to)?.hash : undefined
  const finality = finalityOf(blocks, book, joined ?? null)
  return { genesis, chainId, now, book, bookHeight, bookVersion, older, finality }
}
