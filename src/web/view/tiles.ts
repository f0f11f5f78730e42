import { h } from '../dom.ts'
import { count, formatAgo, formatExactTime } from '../format.ts'
import { tally, tradesIn } from '../state.ts'
import type { Model, View } from './model.ts'

interface Tile {
  readonly label: string
  readonly value: string
  readonly note: string
}

function tilesOf({ state: { blocks }, now }: Model): readonly Tile[] {
  const tip = blocks.at(-1)
  if (tip === undefined) return []
  const final = blocks.findLast(({ status }) => status === 'final')
  const behind = tip.header.height - (final?.header.height ?? -1)
  const trades = blocks.reduce((sum, block) => sum + tradesIn(block), 0)
  const { ack, reject } = tally(tip)
  return [
    { label: 'Newest block', value: tip.header.height.toLocaleString(), note: formatAgo(tip.header.timestamp, now) },
    {
      label: 'Final up to',
      value: final === undefined ? '–' : final.header.height.toLocaleString(),
      note: behind === 0 ? 'every block' : `${count(behind, 'block')} to come`,
    },
    { label: 'Trades', value: trades.toLocaleString(), note: `in ${count(blocks.length, 'block')}` },
    {
      label: 'Confirmed by',
      value: ack.length.toLocaleString(),
      note: reject.length === 0 ? 'on the newest block' : `${count(reject.length, 'reject')} on the newest block`,
    },
  ]
}

/** Four numbers at a glance; nothing on an empty chain. */
export function createTiles(): View {
  const element = h('dl', { class: 'tiles' })
  let shown = ''
  return {
    element,
    update(model) {
      const tiles = tilesOf(model)
      const signature = JSON.stringify(tiles)
      if (signature === shown) return
      shown = signature
      const tip = model.state.blocks.at(-1)
      element.title = tip === undefined ? '' : `Newest block: ${formatExactTime(tip.header.timestamp)}`
      element.replaceChildren(
        ...tiles.map(({ label, value, note }) =>
          h('div', { class: 'tile' }, h('dt', {}, label), h('dd', {}, h('b', {}, value), h('small', {}, note))),
        ),
      )
    },
  }
}
