import { checkFinal, type Check, type CheckContext, type Outcome } from '../checks.ts'
import { copyButton, h, s } from '../dom.ts'
import type { BlockRecord } from '../state.ts'

const PATHS: Readonly<Record<Outcome, string>> = {
  pass: 'M5 10.5l3.2 3.2L15 6.8',
  fail: 'M6 6l8 8M14 6l-8 8',
  open: 'M6 10h8',
}
const SPOKEN: Readonly<Record<Outcome, string>> = { pass: 'Passed', fail: 'Failed', open: 'Not decided' }

/** Tick, cross or dash, with its word for screen readers: never colour alone. */
export const outcomeIcon = (outcome: Outcome): HTMLElement =>
  h(
    'span',
    { class: `icon icon-${outcome}` },
    s(
      'svg',
      { viewBox: '0 0 20 20', width: 20, height: 20, 'aria-hidden': 'true' },
      s('path', { d: PATHS[outcome], fill: 'none', 'stroke-width': 2.2, 'stroke-linecap': 'round' }),
    ),
    h('span', { class: 'sr' }, `${SPOKEN[outcome]}: `),
  )

const MARKS = {
  tick: 'M2 6.5l2.8 2.8L10 3.4',
  cross: 'M2.5 2.5l7 7M9.5 2.5l-7 7',
  block: 'M2 2h8v8H2z',
  dot: 'M6 2.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7z',
  alarm: 'M6 1.5v5.5M6 10.2v.1',
  round: 'M10 6a4 4 0 1 1-1.4-3M9 1v2.2H6.8',
} as const

/** A small sign, drawn: fonts do not all have them. `spoken` is for who does not see it. */
export const mark = (kind: keyof typeof MARKS, spoken?: string): SVGElement =>
  s(
    'svg',
    {
      class: kind === 'block' || kind === 'dot' ? 'mark mark-full' : 'mark',
      viewBox: '0 0 12 12',
      width: 11,
      height: 11,
      ...(spoken === undefined ? { 'aria-hidden': 'true' } : { role: 'img', 'aria-label': spoken }),
    },
    s('path', { d: MARKS[kind] }),
  )

/** How final a block is: `Final` only if this browser has counted that it is. */
export function finalBadge(block: BlockRecord, context: CheckContext): HTMLElement {
  if (block.status === 'orphaned') return h('span', { class: 'badge' }, 'Replaced')
  if (checkFinal(block, context).outcome === 'pass') return h('span', { class: 'badge badge-final' }, 'Final')
  const word = block.status === 'final' ? 'Said to be final' : 'Not final yet'
  return h('span', { class: 'badge badge-proposed' }, word)
}

/** Copies the address of this page with another fragment. */
export const linkButton = (fragment: () => string, label: string): HTMLElement =>
  copyButton(() => new URL(fragment(), location.href).href, label, 'Link')

/** One check: icon, name, sentence, and the values that were compared. */
export function checkRow({ title, outcome, detail, values }: Check): HTMLElement {
  const rows = values.map(({ label, value }) =>
    h(
      'div',
      { class: 'value' },
      h('dt', {}, label),
      h(
        'dd',
        {},
        h('code', { class: 'copyable' }, value),
        value.length > 20 ? copyButton(() => value, `Copy: ${label}`) : null,
      ),
    ),
  )
  return h(
    'li',
    { class: `check check-${outcome}` },
    outcomeIcon(outcome),
    h(
      'div',
      {},
      h('p', {}, h('strong', {}, title), ' ', h('span', {}, detail)),
      rows.length === 0 ? null : h('dl', {}, ...rows),
    ),
  )
}
