import type { Genesis } from '../protocol/genesis.ts'
import type { Check } from './checks.ts'
import { h } from './dom.ts'
import { createBlockPanel } from './view/block-panel.ts'
import { createChart } from './view/chart.ts'
import { createFeedPanel } from './view/feed-panel.ts'
import { createMasthead } from './view/masthead.ts'
import type { Model } from './view/model.ts'
import { createProofPanel } from './view/proof-panel.ts'
import { createStrip } from './view/strip.ts'
import { createTiles } from './view/tiles.ts'
import { createTrustPanel } from './view/trust-panel.ts'
import { createVerdict, type VerdictActions } from './view/verdict.ts'

export interface PageActions extends VerdictActions {
  readonly followNewest: () => void
  readonly verifyTrade: (tx: string, block: string) => Promise<readonly Check[]>
}

export interface Page {
  show(model: Model): void
  /** Fills and runs the form for a trade. */
  checkTrade(tx: string, block: string): void
}

/** Puts the views into `root` and hands every model to each of them. */
export function createPage(root: HTMLElement, genesis: Genesis, chainId: string, actions: PageActions): Page {
  const proof = createProofPanel(actions.verifyTrade)
  const masthead = createMasthead(genesis, chainId)
  const top = [createVerdict(actions), createTiles(), createStrip(actions.select)]
  const left = [createBlockPanel(actions.followNewest), proof]
  const right = [createChart(actions.select), createFeedPanel(actions.select), createTrustPanel()]
  const elements = (views: readonly { readonly element: HTMLElement }[]) => views.map(({ element }) => element)
  const footer = h('p', {})
  root.replaceChildren(
    masthead.element,
    h(
      'main',
      {},
      ...elements(top),
      h('div', { class: 'columns' }, h('div', {}, ...elements(left)), h('div', {}, ...elements(right))),
    ),
    h('footer', { class: 'muted' }, footer),
  )
  return {
    show(model) {
      for (const view of [masthead, ...top, ...left, ...right]) view.update(model)
      const tip = model.state.blocks.at(-1)?.header.height
      document.title = tip === undefined ? genesis.name : `Block ${tip} · ${genesis.name}`
      footer.textContent = `solar-node ${model.node.version}, ${model.node.mode} ${model.node.peer_id}`
    },
    checkTrade: (tx, block) => proof.run(tx, block),
  }
}
