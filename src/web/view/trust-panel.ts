import { copyable, h } from '../dom.ts'
import { count, formatExactTime, nameList } from '../format.ts'
import type { RegistryBook } from '../registry-book.ts'
import type { Trust } from '../trust.ts'
import type { Model, View } from './model.ts'
import { checkRow } from './parts.ts'

/** Why the chain id is believed: the one thing that this page cannot compute. */
function trustWords(trust: Trust): string {
  switch (trust.kind) {
    case 'pinned':
      return 'It is the one that your link names.'
    case 'known':
      return `It is the one that this browser has known since ${formatExactTime(trust.since)}.`
    case 'first-use':
      return 'This browser sees it for the first time and trusts it from now on: compare it with the one that your community has published.'
    case 'wrong-pin':
      return 'It is not the one that your link names.'
    case 'changed':
      return 'It is not the one that this browser saw here before.'
  }
}

const NODE_WORD =
  'That a block is the newest; that below the oldest block shown here everything was made final; which trade an id stands for, until its ' +
  'content is shown. All else on this page was computed in this browser.'

/** "1 authority, 2 validators, 5 households; 3 changes since the genesis": who is registered now. */
function membersWords(book: RegistryBook): string {
  const { registry } = book[book.length - 1] ?? book[0]
  const roles = [
    ['authority', 'authorities', 'authority'],
    ['validator', 'validators', 'validator'],
    ['household', 'households', 'voter'],
  ] as const
  const active = roles.map(([one, many, role]) => {
    const entries = registry.activeOf(role)
    return `${entries.length} ${entries.length === 1 ? one : many}${
      entries.length === 0
        ? ''
        : ` (${nameList(
            entries.map(({ id }) => id),
            6,
          )})`
    }`
  })
  const changes = book.length - 1
  const since =
    changes === 0 ? 'as in the genesis' : `after ${count(changes, 'change')} since the genesis, each checked here`
  return `Registered are ${active.join(', ')}: ${since}.`
}

/** A light node of one's own, ready to paste. */
export function lightNodeCommand(chainId: string, multiaddrs: readonly string[]): string {
  const peer = multiaddrs.find((address) => address.includes('/tcp/') && !address.includes('/ws')) ?? multiaddrs[0]
  return `solar-node --mode=light${peer === undefined ? '' : ` --peer=${peer}`} --chain=${chainId}`
}

/** What all of this stands on, and how to do without this page. */
export function createTrustPanel(): View {
  const element = h('section', { class: 'panel', 'aria-labelledby': 'trust-title' })
  let shown = ''
  return {
    element,
    update({ trust, context, node, lastVisit, state }: Model) {
      const { chainId } = context
      const signature = JSON.stringify([trust, node, lastVisit, state.registryVersion])
      if (signature === shown) return
      shown = signature
      const { registries } = state
      element.replaceChildren(
        h('h2', { id: 'trust-title' }, 'What this stands on'),
        h('p', {}, 'Every check starts from the chain id, the SHA-256 of the genesis. ', trustWords(trust)),
        h('p', { class: 'whole-hash' }, copyable(chainId, 'the chain id')),
        h('p', { class: 'muted' }, membersWords(registries)),
        lastVisit === null ? '' : h('ul', { class: 'checks' }, checkRow(lastVisit)),
        h('h3', {}, 'What is the node’s word'),
        h('p', {}, NODE_WORD),
        h('h3', {}, 'Without this page'),
        h(
          'p',
          {},
          node.mode === 'validator'
            ? 'This page and what it checks came from a validator, which does not seal blocks. It is worth more than the word of who ' +
                'does; a light node of your own is worth most:'
            : 'This page came from the node that seals the blocks. The page of an independent validator is worth more, a light node of ' +
                'your own most:',
        ),
        h('p', { class: 'whole-hash command' }, copyable(lightNodeCommand(chainId, node.multiaddrs), 'the command')),
      )
    },
  }
}
