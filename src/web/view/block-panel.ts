import { checksOf } from '../checks.ts'
import { copyable, h } from '../dom.ts'
import { formatExactTime } from '../format.ts'
import type { BlockRecord, VoteRecord } from '../state.ts'
import type { Model, View } from './model.ts'
import { checkRow, outcomeIcon, statusBadge } from './parts.ts'
import { tradeWords } from './strip.ts'

/** One block in full: what this browser recomputed, and who voted. */
export function createBlockPanel(followNewest: () => void): View {
  const element = h('section', { class: 'panel', 'aria-labelledby': 'block-title' })
  let shown = ''
  return {
    element,
    update(model) {
      const block = model.shown
      element.hidden = block === undefined
      if (block === undefined) return
      const checks = checksOf(block, model.state.blocks, model.context)
      const signature = JSON.stringify([block.hash, block.status, block.votes, checks, model.state.selected])
      if (signature === shown) return
      shown = signature
      element.replaceChildren(
        ...heading(block, model, followNewest),
        h('ul', { class: 'checks' }, ...checks.map(checkRow)),
        ...votesPart(block),
      )
    },
  }
}

function heading(block: BlockRecord, { state }: Model, followNewest: () => void): readonly HTMLElement[] {
  const { header, hash, status } = block
  const back =
    state.selected === null
      ? null
      : h('button', { type: 'button', class: 'link', click: followNewest }, 'Follow the newest')
  return [
    h(
      'div',
      { class: 'panel-head' },
      h('h2', { id: 'block-title' }, `Check block ${header.height.toLocaleString()} yourself`),
      statusBadge(status),
      back,
    ),
    h(
      'p',
      { class: 'muted' },
      `${tradeWords(block)}, sealed by ${header.miner_id}, ${formatExactTime(header.timestamp)}`,
    ),
    h('p', { class: 'whole-hash' }, copyable(hash, 'the block hash')),
  ]
}

function votesPart(block: BlockRecord): readonly HTMLElement[] {
  if (block.votes.length === 0) return [h('p', { class: 'muted' }, 'Nobody has voted on this block yet.')]
  return [h('h3', {}, 'Votes'), h('ul', { class: 'voters' }, ...block.votes.map(voterRow))]
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
