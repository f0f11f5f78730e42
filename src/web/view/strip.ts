import { h, showList } from '../dom.ts'
import { count, formatTime, nameList, shortHash } from '../format.ts'
import { tally, tradesIn, type BlockRecord } from '../state.ts'
import { outcomeOf } from '../summary.ts'
import type { Model, View } from './model.ts'
import { outcomeIcon, statusBadge } from './parts.ts'

/** Older blocks are reached through the chart. */
const SHOWN_BLOCKS = 24

export const tradeWords = (block: BlockRecord): string =>
  block.changesRegistry ? 'registry change' : count(tradesIn(block), 'trade')

/** The newest blocks, newest first. Arrow keys move through them. */
export function createStrip(select: (hash: string) => void): View {
  const list = h('div', {
    class: 'strip',
    role: 'listbox',
    'aria-label': 'Newest blocks',
    'aria-orientation': 'horizontal',
  })
  const element = h('section', { class: 'blocks', 'aria-labelledby': 'blocks-title' })
  element.append(h('h2', { id: 'blocks-title' }, 'Newest blocks'), list)

  list.addEventListener('keydown', (event) => {
    const cards = [...list.children] as HTMLElement[]
    const at = cards.indexOf(document.activeElement as HTMLElement)
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: cards.length - 1,
    }
    const target = cards[steps[event.key] ?? -1]
    if (target === undefined) return
    event.preventDefault()
    target.focus()
    select(target.dataset.key ?? '')
  })

  return {
    element,
    update(model) {
      const { state, shown, now } = model
      element.hidden = state.blocks.length === 0
      const newest = state.blocks.slice(-SHOWN_BLOCKS).reverse()
      // The one card that Tab reaches: the selected one, or the newest if that one is further back.
      const reachable = newest.find(({ hash }) => hash === shown?.hash) ?? newest[0]
      showList(
        list,
        newest,
        ({ hash }) => hash,
        (block) => {
          const { ack, reject } = tally(block)
          const outcome = outcomeOf(block, state.blocks, model.context)
          const time = formatTime(block.header.timestamp, now)
          return JSON.stringify([block.status, ack, reject, outcome, time, block === shown, block === reachable])
        },
        (block) => makeCard(block, model, block === reachable, select),
      )
    },
  }
}

function makeCard(
  block: BlockRecord,
  { state, context, shown, now }: Model,
  reachable: boolean,
  select: (hash: string) => void,
): HTMLElement {
  const { header, hash, status } = block
  const outcome = outcomeOf(block, state.blocks, context)
  return h(
    'div',
    {
      class: outcome === 'fail' ? 'card card-fail' : 'card',
      role: 'option',
      tabindex: reachable ? 0 : -1,
      'aria-selected': block === shown ? 'true' : 'false',
      click: () => select(hash),
    },
    h('div', { class: 'card-top' }, h('b', { class: 'height' }, header.height.toLocaleString()), outcomeIcon(outcome)),
    h('p', { class: 'card-line' }, h('span', {}, formatTime(header.timestamp, now)), h('span', {}, tradeWords(block))),
    h('p', { class: 'card-line' }, h('code', {}, shortHash(hash)), statusBadge(status)),
    voteLine(block),
  )
}

function voteLine(block: BlockRecord): HTMLElement {
  const { ack, reject } = tally(block)
  if (ack.length + reject.length === 0) return h('p', { class: 'votes muted' }, 'no votes yet')
  return h(
    'p',
    { class: 'votes' },
    ack.length === 0 ? null : h('span', { class: 'ack', title: ack.join(', ') }, `✓ ${nameList(ack)}`),
    reject.length === 0 ? null : h('span', { class: 'reject', title: reject.join(', ') }, `✕ ${nameList(reject)}`),
  )
}
