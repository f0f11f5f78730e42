import type { Genesis } from '../protocol/genesis.ts'
import { h } from './dom.ts'
import { zoneName } from './format.ts'
import { createAccessPanel, type AccessActions } from './view/access-panel.ts'
import { createBlockPanel } from './view/block-panel.ts'
import { createChart } from './view/chart.ts'
import { createFeedPanel } from './view/feed-panel.ts'
import { createMasthead } from './view/masthead.ts'
import type { Model } from './view/model.ts'
import { createProofPanel, type ProofActions } from './view/proof-panel.ts'
import { createStrip, type Said, type StripActions } from './view/strip.ts'
import { createTiles } from './view/tiles.ts'
import { createTrustPanel } from './view/trust-panel.ts'
import { createVerdict, type VerdictActions } from './view/verdict.ts'

export interface PageActions extends VerdictActions, StripActions, ProofActions, AccessActions {}

export interface Page {
  show(model: Model): void
  /** Fills and runs the form for a trade. */
  checkTrade(text: string): void
  /** Says why a block cannot be shown, or asks which of two things was meant. */
  say(said: Said): void
}

/** Puts the views into `root` and hands every model to each of them. */
export function createPage(root: HTMLElement, genesis: Genesis, chainId: string, actions: PageActions): Page {
  const proof = createProofPanel(actions, genesis.currency)
  const masthead = createMasthead(genesis, chainId)
  const strip = createStrip(actions)
  const verdict = createVerdict(actions)
  const top = [createTiles(), strip]
  const left = [createBlockPanel(actions.followNewest), proof, createAccessPanel(actions)]
  const right = [createChart(actions.select), createFeedPanel(actions.select), createTrustPanel()]
  const elements = (views: readonly { readonly element: HTMLElement }[]) => views.map(({ element }) => element)
  const footer = h('p', {})
  const columns = h('div', { class: 'columns' }, h('div', {}, ...elements(left)), h('div', {}, ...elements(right)))
  const main = h('main', {})
  root.replaceChildren(masthead.element, main, h('footer', { class: 'muted' }, footer))

  /** A ledger that the link is not about may be right in itself: none of it is shown, nothing that looks checked, and no form. */
  function place(isOther: boolean): void {
    const parts = isOther ? [verdict.element] : [verdict.element, ...elements(top), columns]
    if (main.childElementCount !== parts.length) main.replaceChildren(...parts)
  }

  return {
    show(model) {
      const isOther = model.trust.kind === 'wrong-pin'
      place(isOther)
      for (const view of [masthead, verdict, ...(isOther ? [] : [...top, ...left, ...right])]) view.update(model)
      const { blocks } = model.state
      const tip = isOther ? undefined : blocks[blocks.length - 1]?.header.height
      document.title = tip === undefined ? genesis.name : `Block ${tip} · ${genesis.name}`
      const { version, mode, peer_id } = model.node
      footer.textContent = `Times are in ${zoneName()}, the zone of this browser. solar-node ${version}, ${mode} ${peer_id}`
    },
    checkTrade: (text) => proof.run(text),
    say: (said) => strip.say(said),
  }
}
