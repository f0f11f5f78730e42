import type { Genesis } from '../../protocol/genesis.ts'
import type { Registry } from '../../protocol/registry.ts'
import { copyButton, h, s } from '../dom.ts'
import { count, shortHash } from '../format.ts'
import type { Connection } from '../state.ts'
import type { View } from './model.ts'

const WORDS: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
}

/** "final at 2 of 3 validators": the rule in force now, in words. */
function finalityWords(registry: Registry): string {
  const { finality } = registry
  switch (finality.policy) {
    case 'authority':
      return 'final when sealed'
    case 'votes':
      return `final at ${count(finality.threshold, 'vote')}`
    case 'validators':
      return `final at ${finality.threshold} of ${count(registry.activeCount('validator'), 'validator')}`
  }
}

const sun = () =>
  s(
    'svg',
    { class: 'sun', viewBox: '0 0 32 32', width: 36, height: 36, 'aria-hidden': 'true' },
    s('circle', { cx: 16, cy: 16, r: 6.5 }),
    s('path', {
      d: 'M16 2.5v4M16 25.5v4M2.5 16h4M25.5 16h4M6.5 6.5l2.8 2.8M22.7 22.7l2.8 2.8M25.5 6.5l-2.8 2.8M9.3 22.7l-2.8 2.8',
    }),
  )

/** Whose ledger this is, its chain id, and whether the page hears from the node. */
export function createMasthead(genesis: Genesis, chainId: string): View {
  const word = h('span', {}, '')
  const pill = h('p', { class: 'pill', role: 'status' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), word)
  const rule = h('p', { class: 'muted' })
  const element = h(
    'header',
    { class: 'masthead' },
    sun(),
    h('div', { class: 'community' }, h('h1', {}, genesis.name), rule),
    h(
      'p',
      { class: 'chain', title: chainId },
      h('span', { class: 'muted' }, 'Chain '),
      h('code', {}, shortHash(chainId)),
      copyButton(() => chainId, 'Copy the chain id'),
    ),
    pill,
  )
  return {
    element,
    update({ state: { connection, registries }, trust }) {
      pill.hidden = trust.kind === 'wrong-pin'
      const inForce = (registries[registries.length - 1] ?? registries[0]).registry
      const words = `Energy trades in ${genesis.currency}, ${finalityWords(inForce)}`
      if (rule.textContent !== words) rule.textContent = words
      if (pill.dataset.connection === connection) return
      pill.dataset.connection = connection
      word.textContent = WORDS[connection]
    },
  }
}
