import { h } from '../dom.ts'
import type { BlockBody } from '../bodies.ts'
import { checkFinal } from '../checks.ts'
import { count, formatExactTime, formatMicro, formatTime } from '../format.ts'
import { runOf, tally, transactionsIn, type BlockRecord } from '../state.ts'
import type { Model, View } from './model.ts'

interface Tile {
  readonly label: string
  readonly value: string
  readonly note: string
}

function tilesOf({ state, shown, context, now }: Model): readonly Tile[] {
  const tip = state.blocks[state.blocks.length - 1]
  if (tip === undefined) return []
  const blocks = runOf(state, shown)
  const final = state.blocks.findLast((block) => checkFinal(block, context).outcome === 'pass')
  const behind = tip.header.height - (final?.header.height ?? -1)
  const { ack, reject } = tally(tip)
  return [
    { label: 'Newest block', value: tip.header.height.toLocaleString(), note: formatTime(tip.header.timestamp, now) },
    {
      label: 'Final up to',
      value: final === undefined ? '–' : final.header.height.toLocaleString(),
      note: behind === 0 ? 'every block' : `${count(behind, 'block')} to come`,
    },
    contentTile(blocks),
    ...energyTiles(blocks, context.genesis.currency),
    {
      label: 'Confirmed by',
      value: ack.length.toLocaleString(),
      note: reject.length === 0 ? 'on the newest block' : `${count(reject.length, 'reject')} on the newest block`,
    },
  ]
}

/** Trades, where the content of all blocks is shown; else all transactions, as the headers count them. */
function contentTile(blocks: readonly BlockRecord[]): Tile {
  const where = `in ${count(blocks.length, 'block')} shown`
  const bodies = blocks.flatMap(({ body }) => (body?.matches === true ? [body] : []))
  if (bodies.length < blocks.length) {
    const value = blocks.reduce((sum, block) => sum + transactionsIn(block), 0)
    return { label: 'Transactions', value: value.toLocaleString(), note: where }
  }
  const sum = (pick: (body: BlockBody) => number) => bodies.reduce((total, body) => total + pick(body), 0)
  const [corrections, redacted] = [sum((body) => body.corrections), sum((body) => body.redacted)]
  const more = [
    ...(corrections > 0 ? [count(corrections, 'correction')] : []),
    ...(redacted > 0 ? [`${redacted.toLocaleString()} removed`] : []),
  ]
  const note = [where, ...more].join(', ')
  return { label: 'Trades', value: sum((body) => body.trades).toLocaleString(), note }
}

/** For who may see them: energy and money of the blocks that are shown. */
function energyTiles(blocks: readonly BlockRecord[], currency: string): readonly Tile[] {
  const bodies = blocks.flatMap(({ body }) => (body?.matches === true ? [body] : []))
  if (bodies.length === 0) return []
  const note =
    bodies.length === blocks.length
      ? `in ${count(blocks.length, 'block')} shown`
      : `in ${count(bodies.length, 'block')} so far`
  const sum = (pick: (body: BlockBody) => bigint) => bodies.reduce((total, body) => total + pick(body), 0n)
  return [
    { label: 'Energy, kWh', value: formatMicro(sum(({ kwhMicro }) => kwhMicro)), note },
    {
      label: `Money, ${currency}`,
      value: formatMicro(
        sum(({ amountMicro }) => amountMicro),
        2,
      ),
      note,
    },
  ]
}

/** The numbers at a glance; nothing on an empty chain. */
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
      const tip = model.state.blocks[model.state.blocks.length - 1]
      element.title = tip === undefined ? '' : `Newest block: ${formatExactTime(tip.header.timestamp)}`
      element.replaceChildren(
        ...tiles.map(({ label, value, note }) =>
          h('div', { class: 'tile' }, h('dt', {}, label), h('dd', {}, number(value), h('small', {}, note))),
        ),
      )
    },
  }
}

/** As many characters as a tile has room for in full size. */
const SHORT = 9

/** A long number is smaller, and ends its lines between its groups of digits. */
function number(value: string): HTMLElement {
  const groups = value.match(/[0-9]+[^0-9]?|[^0-9]/g) ?? []
  return h('b', { class: value.length > SHORT && 'long' }, ...groups.flatMap((group) => [group, h('wbr')]))
}
