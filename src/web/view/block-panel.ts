import { contentWords } from '../bodies.ts'
import { checksOf } from '../checks.ts'
import { copyable, h } from '../dom.ts'
import { formatExactTime } from '../format.ts'
import type { BlockRecord, VoteRecord } from '../state.ts'
import { writeLink } from '../trust.ts'
import type { Model, View } from './model.ts'
import { checkRow, finalBadge, linkButton, outcomeIcon } from './parts.ts'
import { tradesTable } from './trades.ts'

/** Of so many votes the first are shown; the finality check counts all of them. */
const SHOWN_VOTES = 60

/** One block in full: what this browser recomputed, what was traded for who may see it, and who voted. */
export function createBlockPanel(followNewest: () => void): View {
  const element = h('section', { class: 'panel', 'aria-labelledby': 'block-title' })
  let shown = ''
  return {
    element,
    update(model) {
      const block = model.shown
      element.hidden = block === undefined
      if (block === undefined) return
      const { state, context } = model
      const checks = checksOf(block, state.blocks, context)
      const { body, votes, hash, status } = block
      const seen = body === null ? null : [body.transactions.length, body.matches]
      const signature = JSON.stringify([hash, status, votes, checks, seen, state.selected])
      if (signature === shown) return
      shown = signature
      const { currency } = context.genesis
      element.replaceChildren(
        ...heading(block, model, followNewest),
        ...(body === null || block.changesRegistry ? [] : tradesTable(body, currency, model.now)),
        h('h3', {}, 'What this browser checked'),
        h('ul', { class: 'checks' }, ...checks.map(checkRow)),
        ...votesPart(block),
      )
    },
  }
}

function heading(block: BlockRecord, { state, context }: Model, followNewest: () => void): readonly HTMLElement[] {
  const { header, hash } = block
  const back =
    state.selected === null
      ? null
      : h('button', { type: 'button', class: 'link', click: followNewest }, 'Follow the newest')
  return [
    h(
      'div',
      { class: 'panel-head' },
      h('h2', { id: 'block-title' }, `Block ${header.height.toLocaleString()}`),
      finalBadge(block, context),
      linkButton(() => writeLink(context.chainId, { block: hash }), 'Copy a link to this block'),
      back,
    ),
    h(
      'p',
      { class: 'muted' },
      `${contentWords(block)}, sealed by ${header.miner_id}, ${formatExactTime(header.timestamp)}`,
    ),
    h('p', { class: 'whole-hash' }, copyable(hash, 'the block hash')),
  ]
}

function votesPart(block: BlockRecord): readonly HTMLElement[] {
  if (block.votes.length === 0) return [h('p', { class: 'muted' }, 'Nobody has voted on this block itself.')]
  const more = block.votes.length - SHOWN_VOTES
  return [
    h('h3', {}, 'Votes'),
    h('ul', { class: 'voters' }, ...block.votes.slice(0, SHOWN_VOTES).map(voterRow)),
    ...(more > 0 ? [h('p', { class: 'muted' }, `and ${more} more.`)] : []),
  ]
}

function voterRow({ vote, finding }: VoteRecord): HTMLElement {
  const outcome = finding?.outcome ?? 'open'
  const word = vote.decision === 'ack' ? 'confirmed' : 'rejected'
  return h(
    'li',
    { class: `voter voter-${vote.decision}`, title: vote.signature },
    outcomeIcon(outcome),
    h('span', {}, h('strong', {}, vote.voter_id), ` ${word}`),
    h('small', { class: 'muted' }, `${finding?.role ?? 'vote'}, ${finding?.reason ?? 'not checked yet'}`),
  )
}
