import { contentWords, energyWords } from '../bodies.ts'
import { h, s } from '../dom.ts'
import { count, formatTick, formatTime } from '../format.ts'
import { runOf, tally, transactionsIn, type BlockRecord } from '../state.ts'
import type { Model, View } from './model.ts'
import { barSlots, niceMaximum } from '../scale.ts'

const LEFT = 34
const RIGHT = 4
const BOTTOM = 20
const TOP = 8
const HEIGHT = 132
/** Width until the browser has laid the page out. */
const FIRST_WIDTH = 480
/** A date with its year and the time. */
const LABEL_WIDTH = 124
const SHOWN_BLOCKS = 100

/** A bar: stacked values, bottom first, each with its class. */
interface Bar {
  readonly block: BlockRecord
  readonly parts: readonly { readonly value: number; readonly kind: 'trades' | 'ack' | 'reject' }[]
}

/** Transactions per block and votes per block, over time; a click selects the block. */
export function createChart(select: (hash: string) => void): View {
  const trades = h('div', { class: 'plot' })
  const energyTitle = h('h3', {}, 'kWh per block')
  const energy = h('div', { class: 'plot' })
  const votes = h('div', { class: 'plot' })
  const readout = h('p', { class: 'readout muted', 'aria-hidden': 'true' })
  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'chart-title' },
    h('h2', { id: 'chart-title' }, 'Activity'),
    h('h3', {}, 'Transactions per block'),
    trades,
    energyTitle,
    energy,
    h('h3', {}, 'Votes per block'),
    votes,
    readout,
  )
  let width = FIRST_WIDTH
  let last: Model | undefined
  let drawn = ''

  function draw(model: Model): void {
    const { state, shown, now } = model
    element.hidden = state.blocks.length === 0
    const blocks = runOf(state, shown).slice(-SHOWN_BLOCKS)
    const hasEnergy = blocks.some(({ body }) => body !== null)
    energyTitle.hidden = energy.hidden = !hasEnergy
    const signature = JSON.stringify([
      width,
      shown?.hash,
      blocks.map((block) => [block.hash, block.votes.length, block.changesRegistry, block.body === null]),
    ])
    if (signature === drawn) return
    drawn = signature
    const tell = (block: BlockRecord | undefined) =>
      (readout.textContent = block === undefined ? '' : describe(block, now))
    const options = { width, shown, now, select, tell: (block: BlockRecord | undefined) => tell(block ?? shown) }
    trades.replaceChildren(plot('Transactions per block', blocks.map(tradeBar), options))
    if (hasEnergy) energy.replaceChildren(plot('kWh per block', blocks.map(energyBar), options))
    votes.replaceChildren(plot('Votes per block', blocks.map(voteBar), options))
    tell(shown)
  }

  new ResizeObserver(([entry]) => {
    width = Math.max(240, Math.floor(entry?.contentRect.width ?? FIRST_WIDTH))
    if (last !== undefined) draw(last)
  }).observe(trades)

  return {
    element,
    update(model) {
      last = model
      draw(model)
    },
  }
}

const tradeBar = (block: BlockRecord): Bar => ({ block, parts: [{ value: transactionsIn(block), kind: 'trades' }] })

const energyBar = (block: BlockRecord): Bar => ({
  block,
  parts: [{ value: Number(block.body?.kwhMicro ?? 0n) / 1e6, kind: 'trades' }],
})

function voteBar(block: BlockRecord): Bar {
  const { ack, reject } = tally(block)
  return {
    block,
    parts: [
      { value: ack.length, kind: 'ack' },
      { value: reject.length, kind: 'reject' },
    ],
  }
}

function describe(block: BlockRecord, now: number): string {
  const { ack, reject } = tally(block)
  const { height, timestamp } = block.header
  const energy = energyWords(block)
  const rejects = reject.length === 0 ? '' : `, ${count(reject.length, 'reject')}`
  return `Block ${height}, ${formatTime(timestamp, now)}: ${contentWords(block)}${energy}, ${count(ack.length, 'ack')}${rejects}`
}

interface PlotOptions {
  readonly width: number
  readonly shown: BlockRecord | undefined
  readonly now: number
  readonly select: (hash: string) => void
  readonly tell: (block: BlockRecord | undefined) => void
}

function plot(title: string, bars: readonly Bar[], options: PlotOptions): SVGSVGElement {
  const { width, now, tell } = options
  const inner = { width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM }
  const totals = bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0))
  const top = niceMaximum(Math.max(0, ...totals))
  const slots = barSlots(bars.length, inner.width)
  const y = (value: number) => TOP + inner.height * (1 - value / top)
  // The last label ends at the edge, so the one before it has to keep off by one and a half.
  const every = Math.ceil((1.5 * LABEL_WIDTH) / slots.step)
  const summary = `${title}: ${bars.length} blocks, at most ${Math.max(0, ...totals)}, newest ${totals[totals.length - 1] ?? 0}.`
  return s(
    'svg',
    {
      width,
      height: HEIGHT,
      viewBox: `0 0 ${width} ${HEIGHT}`,
      role: 'img',
      'aria-label': summary,
      pointerleave: () => tell(undefined),
    },
    ...[0, top / 2, top]
      .filter(Number.isInteger)
      .flatMap((tick) => [
        s('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
        s('text', { class: 'tick', x: LEFT - 6, y: y(tick) + 4, 'text-anchor': 'end' }, formatTick(tick)),
      ]),
    ...bars.map((bar, index) => column(bar, LEFT + slots.start + index * slots.step, slots, y, options)),
    ...bars.flatMap(({ block }, index) => {
      if ((bars.length - 1 - index) % every !== 0) return []
      const x = LEFT + slots.start + index * slots.step + slots.width / 2
      const anchor = x > width - LABEL_WIDTH / 2 ? 'end' : x < LABEL_WIDTH / 2 + LEFT ? 'start' : 'middle'
      const at = anchor === 'end' ? width - RIGHT : anchor === 'start' ? LEFT : x
      return [
        s(
          'text',
          { class: 'tick', x: at, y: HEIGHT - 5, 'text-anchor': anchor },
          formatTime(block.header.timestamp, now),
        ),
      ]
    }),
  )
}

function column(
  { block, parts }: Bar,
  x: number,
  slots: ReturnType<typeof barSlots>,
  y: (value: number) => number,
  { shown, select, tell }: PlotOptions,
): SVGGElement {
  let base = 0
  const rects = parts.map(({ value: signed, kind }) => {
    // Corrections may outweigh the trades of their block: the axis begins at 0, the line below says how much it is.
    const value = Math.max(0, signed)
    const rect = s('rect', {
      class: `bar bar-${kind}`,
      x,
      width: slots.width,
      y: y(base + value),
      height: y(base) - y(base + value),
      rx: 1.5,
    })
    base += value
    return rect
  })
  const gap = (slots.step - slots.width) / 2
  return s(
    'g',
    {
      class: block === shown ? 'column column-shown' : 'column',
      click: () => select(block.hash),
      pointerenter: () => tell(block),
    },
    s('rect', { class: 'hit', x: x - gap, width: slots.step, y: TOP, height: HEIGHT - TOP - BOTTOM }),
    ...rects,
  )
}
