import { copyable, h } from '../dom.ts'
import { formatExactTime } from '../format.ts'
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
    update({ trust, context, node, lastVisit }: Model) {
      const { chainId, genesis } = context
      const signature = JSON.stringify([trust, node, lastVisit])
      if (signature === shown) return
      shown = signature
      const members = genesis.registry.map(({ id, role }) => `${id} (${role})`).join(', ')
      element.replaceChildren(
        h('h2', { id: 'trust-title' }, 'What this stands on'),
        h('p', {}, 'Every check starts from the chain id, the SHA-256 of the genesis. ', trustWords(trust)),
        h('p', { class: 'whole-hash' }, copyable(chainId, 'the chain id')),
        h('p', { class: 'muted' }, `The genesis registers ${members}.`),
        lastVisit === null ? '' : h('ul', { class: 'checks' }, checkRow(lastVisit)),
        h('h3', {}, 'Without this page'),
        h('p', {}, 'This page came from the same node that it checks. A light node of your own did not:'),
        h('p', { class: 'whole-hash command' }, copyable(lightNodeCommand(chainId, node.multiaddrs), 'the command')),
      )
    },
  }
}
