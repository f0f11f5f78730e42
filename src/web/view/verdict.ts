import type { NodeInfo } from '../answers.ts'
import type { Outcome } from '../checks.ts'
import { h } from '../dom.ts'
import { evidenceWords } from '../feed.ts'
import { count, shortHash, formatExactTime } from '../format.ts'
import { isRegistryDue } from '../registry-loader.ts'
import type { Summary } from '../summary.ts'
import type { Trust } from '../trust.ts'
import type { Model, View } from './model.ts'
import { outcomeIcon } from './parts.ts'

const SHOWN_FAILURES = 4

interface Verdict {
  readonly outcome: Outcome
  readonly title: string
  readonly detail: string
}

type VerdictParts = Pick<Model, 'state' | 'summary' | 'lastVisit'> & {
  readonly node: Pick<NodeInfo, 'mode'>
  readonly trust: Trust
  readonly context: Pick<Model['context'], 'chainId'>
}

/** What all checks together say, in a sentence for somebody who is in a hurry. */
export function verdictOf(parts: VerdictParts): Verdict {
  const { state, summary, lastVisit, node, trust, context } = parts
  const { failures, undecided, checkedBlocks, checkedVotes } = summary
  const checked = `${count(checkedBlocks, 'block')} and ${count(checkedVotes, 'vote')}`
  if (trust.kind === 'wrong-pin') return anotherLedger(trust.expected, context.chainId)
  if (lastVisit?.outcome === 'fail') {
    return { outcome: 'fail', title: 'The history was changed since your last visit', detail: lastVisit.detail }
  }
  const [evidence] = state.evidence
  if (evidence !== undefined) {
    const title = 'There is evidence of misbehaviour'
    return { outcome: 'fail', title, detail: `${evidenceWords(evidence)} This browser checked both signatures.` }
  }
  if (state.registryProblem !== null) {
    const title = 'The node’s list of members does not hold'
    return { outcome: 'fail', title, detail: `${state.registryProblem}. Do not rely on this page.` }
  }
  if (failures.length > 0) {
    const title = `${count(failures.length, 'check')} failed`
    return { outcome: 'fail', title, detail: `This browser checked ${checked}. Do not rely on what is marked here.` }
  }
  if (state.blocks.length === 0) return withoutBlocks(state.loaded, node.mode)
  const toDo = toDoOf(parts)
  if (toDo.length > 0) {
    return { outcome: 'open', title: 'Checking', detail: `${checked} so far. ${toDo.join(' ')}` }
  }
  if (undecided > 0) {
    const detail = `${checked} looked at; ${undecided.toLocaleString()} of them depend on what the node has not shown yet.`
    return { outcome: 'open', title: 'Nothing is wrong, not all can be decided', detail }
  }
  return { outcome: 'pass', title: 'Everything matches', detail: detailOfPass(summary, checked, lastVisit !== null) }
}

/** What this page is at; nothing once it has looked at all that the node has told. */
function toDoOf({ state, summary: { waiting, votesToCome } }: VerdictParts): readonly string[] {
  return [
    ...(waiting > 0 ? [`${waiting.toLocaleString()} to go.`] : []),
    ...(votesToCome > 0 ? [`Asking the node for the votes on ${count(votesToCome, 'block')}.`] : []),
    ...(isRegistryDue(state) ? ['Asking the node for the changes of the registry.'] : []),
  ]
}

function anotherLedger(expected: string, chainId: string): Verdict {
  const detail =
    `The link you followed names the chain ${shortHash(expected)}, this node serves ${shortHash(chainId)}. ` +
    'Do not rely on this page: ask who gave you the link, or who runs the node. Nothing of the ledger that is here is shown; ' +
    'to look at it all the same, open the address without what follows the sign #.'
  return { outcome: 'fail', title: 'Another ledger', detail }
}

/** A ledger is empty before its first trade, a validator's copy of it also until it is enrolled and has caught up. */
function withoutBlocks(loaded: boolean, mode: string): Verdict {
  const detail = 'The ledger begins with the first trade; this page will show it at once.'
  if (!loaded) return { outcome: 'open', title: 'Asking the node', detail }
  if (mode !== 'validator') return { outcome: 'open', title: 'Waiting for the first trade', detail }
  return {
    outcome: 'open',
    title: 'This validator has no block yet',
    detail:
      'Either nothing was traded so far, or it still has to be enrolled by its community and to fetch the ledger. ' +
      'This page will show the blocks as they come.',
  }
}

function detailOfPass({ checkedVotes }: Summary, checked: string, visited: boolean): string {
  const what = checkedVotes > 0 ? 'hashes, links, seals and signatures' : 'hashes, links and seals'
  const last = visited ? ' What you saw at your last visit is still there.' : ''
  return `This browser recomputed the ${what} of ${checked} by itself.${last}`
}

function trustNotice(trust: Trust, chainId: string, accept: () => void): HTMLElement | null {
  if (trust.kind === 'changed') {
    const text = `Since ${formatExactTime(trust.since)} this address had the chain ${shortHash(trust.expected)}; now it is ${shortHash(chainId)}. After a fresh start, or in a demo, that is expected. Otherwise ask your community.`
    return h(
      'div',
      { class: 'notice notice-open', role: 'alert' },
      h('p', {}, h('strong', {}, 'Not the ledger you saw before. '), text),
      h('button', { type: 'button', class: 'button', click: accept }, 'Remember this one'),
    )
  }
  return null
}

export interface VerdictActions {
  readonly select: (hash: string) => void
  /** The reader says that a changed chain id is right. */
  readonly acceptChain: () => void
}

/** The page's first word: does what the node tells hold? */
export function createVerdict(actions: VerdictActions): View {
  const element = h('section', { class: 'verdict-area', 'aria-label': 'Result of the checks' })
  const live = h('div', { 'aria-live': 'polite' })
  const notices = h('div', {})
  element.append(notices, live)
  let shown = ''
  let noticed: Trust | undefined
  return {
    element,
    update(model) {
      if (noticed !== model.trust) {
        noticed = model.trust
        const notice = trustNotice(model.trust, model.context.chainId, actions.acceptChain)
        notices.replaceChildren(...(notice === null ? [] : [notice]))
      }
      const verdict = verdictOf(model)
      // Where nothing of the ledger is shown there is nothing to lead to either.
      const failures = model.trust.kind === 'wrong-pin' ? [] : model.summary.failures
      const signature = JSON.stringify([verdict, failures.length])
      if (signature === shown) return
      shown = signature
      live.replaceChildren(
        h(
          'div',
          { class: `verdict verdict-${verdict.outcome}` },
          outcomeIcon(verdict.outcome),
          h('div', {}, h('h2', {}, verdict.title), h('p', {}, verdict.detail), failureList(failures, actions.select)),
        ),
      )
    },
  }
}

function failureList(failures: Summary['failures'], select: (hash: string) => void): HTMLElement | null {
  if (failures.length === 0) return null
  const rows = [...failures]
    .reverse()
    .slice(0, SHOWN_FAILURES)
    .map(({ block, what, detail }) =>
      h(
        'li',
        {},
        h(
          'button',
          { type: 'button', class: 'link', click: () => select(block.hash) },
          `Block ${block.header.height}, ${what.toLowerCase()}`,
        ),
        `: ${detail}`,
      ),
    )
  return h('ul', { class: 'failures' }, ...rows)
}
