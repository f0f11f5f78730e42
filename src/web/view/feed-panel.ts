import { h, showList } from '../dom.ts'
import type { FeedItem } from '../feed.ts'
import { formatTime } from '../format.ts'
import type { View } from './model.ts'
import { mark } from './parts.ts'

const MARKS = {
  sealed: 'block',
  final: 'dot',
  ack: 'tick',
  reject: 'cross',
  evidence: 'alarm',
  connection: 'round',
} as const

/** What happened, newest first, told to screen readers as it comes. */
export function createFeedPanel(select: (hash: string) => void): View {
  const list = h('ol', {})
  const log = h('div', { class: 'feed', role: 'log', 'aria-label': 'What happened', tabindex: 0 }, list)
  const empty = h('p', { class: 'muted' }, 'Nothing has happened yet.')
  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'feed-title' },
    h('h2', { id: 'feed-title' }, 'What happened'),
    empty,
    log,
  )
  return {
    element,
    update({ state: { feed }, now }) {
      empty.hidden = feed.length > 0
      log.hidden = feed.length === 0
      showList(
        list,
        feed,
        ({ key }) => key,
        ({ text, at }) => `${formatTime(at, now)} ${text}`,
        (item) => line(item, now, select),
      )
    },
  }
}

function line({ kind, at, text, hash }: FeedItem, now: number, select: (hash: string) => void): HTMLElement {
  return h(
    'li',
    { class: `event event-${kind}` },
    h('span', { class: 'event-mark', 'aria-hidden': 'true' }, mark(MARKS[kind])),
    hash === null
      ? h('span', {}, text)
      : h('button', { type: 'button', class: 'event-text', click: () => select(hash) }, text),
    h('time', { datetime: new Date(at).toISOString(), class: 'muted' }, formatTime(at, now)),
  )
}
