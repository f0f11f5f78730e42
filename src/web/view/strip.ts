import { h, showList } from '../dom.ts'
import { contentWords, energyWords } from '../bodies.ts'
import { formatTime, nameList, shortHash } from '../format.ts'
import { runOf, tally, type BlockRecord } from '../state.ts'
import { outcomeOf } from '../summary.ts'
import type { Model, View } from './model.ts'
import { finalBadge, mark, outcomeIcon } from './parts.ts'

/** Blocks that are shown at once; the buttons lead to all others. */
const SHOWN_BLOCKS = 24

/** What the page says under the search, and what the reader may choose from. */
export interface Said {
  readonly text: string
  readonly choices?: readonly { readonly label: string; readonly choose: () => void }[]
}

export interface StripActions {
  readonly select: (hash: string) => void
  readonly followNewest: () => void
  /** Gives back a sentence for people if the block cannot be shown. */
  readonly openBlock: (text: string) => Promise<string>
  /** A block, or whatever else may be a trade. */
  readonly search: (text: string) => Promise<Said>
}

export interface Strip extends View {
  say(said: Said): void
}

/** Blocks, newest first: the newest, or those around the one that is looked at. Arrow keys move through them. */
export function createStrip(actions: StripActions): Strip {
  const { select } = actions
  const list = h('div', {
    class: 'strip',
    role: 'listbox',
    'aria-label': 'Blocks',
    'aria-orientation': 'horizontal',
  })
  const title = h('h2', { id: 'blocks-title' }, 'Newest blocks')
  const saying = h('p', { class: 'said', role: 'status' })
  const newer = h('button', { type: 'button', class: 'button button-quiet', click: () => go(1) }, 'Newer')
  const older = h('button', { type: 'button', class: 'button button-quiet', click: () => go(-1) }, 'Older')
  const newest = h('button', { type: 'button', class: 'button button-quiet', click: actions.followNewest }, 'Newest')
  const search = searchForm(async (text) => say(await actions.search(text)))
  const element = h(
    'section',
    { class: 'blocks', 'aria-labelledby': 'blocks-title' },
    h('div', { class: 'blocks-head' }, title, search, h('div', { class: 'buttons' }, newest, newer, older)),
    saying,
    list,
  )
  let lowest = 0
  let highest = 0

  let inView: string | undefined

  /** Scrolls the strip alone, not the page. */
  function bringIntoView(hash: string | undefined): void {
    const card = [...list.children].find((child) => child.getAttribute('data-key') === hash)
    if (!(card instanceof HTMLElement)) return
    const { scrollLeft, clientWidth } = list
    const isVisible = card.offsetLeft >= scrollLeft && card.offsetLeft + card.offsetWidth <= scrollLeft + clientWidth
    if (!isVisible) list.scrollTo({ left: Math.max(0, card.offsetLeft - (clientWidth - card.offsetWidth) / 2) })
  }
  function say({ text, choices = [] }: Said): void {
    const buttons = choices.map(({ label, choose }) => {
      const chosen = (): void => {
        say({ text: '' })
        choose()
      }
      return h('button', { type: 'button', class: 'button button-quiet', click: chosen }, label)
    })
    saying.replaceChildren(...(text === '' ? [] : [text]), ...buttons)
  }
  function go(direction: 1 | -1): void {
    void actions.openBlock(String(direction === 1 ? highest + 1 : lowest - 1)).then((text) => say({ text }))
  }

  list.addEventListener('keydown', (event) => {
    const cards = [...list.children] as HTMLElement[]
    const at = cards.indexOf(document.activeElement as HTMLElement)
    const steps: Readonly<Record<string, number>> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: cards.length - 1,
    }
    const target = cards[steps[event.key] ?? -1]
    if (target === undefined) return
    event.preventDefault()
    target.focus()
    select(target.dataset.key ?? '')
  })

  return {
    element,
    say,
    update(model) {
      const { state, shown } = model
      element.hidden = state.blocks.length === 0
      const blocks = aroundShown(model)
      lowest = blocks[blocks.length - 1]?.header.height ?? 0
      highest = blocks[0]?.header.height ?? 0
      const tip = state.blocks[state.blocks.length - 1]?.header.height ?? 0
      title.textContent = highest === tip ? 'Newest blocks' : `Blocks ${lowest} to ${highest}`
      newer.disabled = highest === tip
      older.disabled = lowest === 0
      newest.hidden = highest === tip && state.selected === null
      newer.hidden = older.hidden = highest === tip && lowest === 0
      // The one card that Tab reaches: the selected one, or the newest if that one is further back.
      const reachable = blocks.find(({ hash }) => hash === shown?.hash) ?? blocks[0]
      showList(
        list,
        blocks,
        ({ hash }) => hash,
        (block) => cardSignature(block, model, block === reachable),
        (block) => makeCard(block, model, block === reachable, select),
      )
      if (shown?.hash !== inView) bringIntoView((inView = shown?.hash))
    },
  }
}

function aroundShown({ state, shown }: Model): readonly BlockRecord[] {
  const run = runOf(state, shown)
  const at = shown === undefined ? run.length - 1 : run.indexOf(shown)
  const start =
    at >= run.length - SHOWN_BLOCKS ? Math.max(0, run.length - SHOWN_BLOCKS) : Math.max(0, at - SHOWN_BLOCKS / 2)
  return run.slice(start, start + SHOWN_BLOCKS).reverse()
}

function searchForm(search: (text: string) => Promise<void>): HTMLElement {
  const input = h('input', {
    id: 'search',
    type: 'search',
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: 'Block number, hash or trade id',
  })
  const form = h(
    'form',
    { class: 'search', role: 'search' },
    h('label', { for: 'search', class: 'sr' }, 'Find a block or a trade'),
    input,
    h('button', { type: 'submit', class: 'button button-quiet' }, 'Find'),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (input.value.trim() !== '') void search(input.value)
  })
  return form
}

function cardSignature(block: BlockRecord, { state, context, shown, now }: Model, isReachable: boolean): string {
  const { ack, reject } = tally(block)
  const outcome = outcomeOf(block, state.blocks, context)
  const time = formatTime(block.header.timestamp, now)
  const by = context.finality.get(block.hash)?.by
  const energy = block.body === null ? null : String(block.body.kwhMicro)
  const about = [block.status, block.changesRegistry, ack, reject, outcome, time, by, energy]
  return JSON.stringify([...about, block === shown, isReachable])
}

function makeCard(
  block: BlockRecord,
  { state, context, shown, now }: Model,
  isReachable: boolean,
  select: (hash: string) => void,
): HTMLElement {
  const { header, hash } = block
  const outcome = outcomeOf(block, state.blocks, context)
  return h(
    'div',
    {
      class: outcome === 'fail' ? 'card card-fail' : 'card',
      role: 'option',
      tabindex: isReachable ? 0 : -1,
      'aria-selected': block === shown ? 'true' : 'false',
      click: () => select(hash),
    },
    h('div', { class: 'card-top' }, h('b', { class: 'height' }, header.height.toLocaleString()), outcomeIcon(outcome)),
    h('p', { class: 'card-line' }, h('span', {}, formatTime(header.timestamp, now)), finalBadge(block, context)),
    h('p', { class: 'card-line' }, h('span', {}, `${contentWords(block)}${energyWords(block)}`)),
    h('p', { class: 'card-line' }, h('code', {}, shortHash(hash))),
    voteLine(block),
  )
}

function voteLine(block: BlockRecord): HTMLElement {
  const { ack, reject } = tally(block)
  if (ack.length + reject.length === 0) return h('p', { class: 'votes muted' }, 'no votes')
  return h(
    'p',
    { class: 'votes' },
    ack.length === 0
      ? null
      : h('span', { class: 'ack', title: ack.join(', ') }, mark('tick', 'confirmed by'), nameList(ack)),
    reject.length === 0
      ? null
      : h('span', { class: 'reject', title: reject.join(', ') }, mark('cross', 'rejected by'), nameList(reject)),
  )
}
