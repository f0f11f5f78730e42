import { h } from '../dom.ts'
import { writeLink } from '../trust.ts'
import { MAX_PASTED_BYTES } from '../pasted.ts'
import type { TradeAnswer } from '../trade-report.ts'
import type { Model, View } from './model.ts'
import { checkRow, linkButton, outcomeIcon } from './parts.ts'
import { factsList } from './facts.ts'

export interface ProofPanel extends View {
  /** Fills the form and runs it, for a link or a search that names a trade. */
  run(text: string): void
}

export interface ProofActions {
  /** Reads what was pasted and checks it. Throws an Error whose message is for people. */
  readonly lookUp: (text: string) => Promise<TradeAnswer>
  readonly openBlock: (text: string) => Promise<string>
}

/** Checks a trade by whatever somebody has of it. */
export function createProofPanel({ lookUp, openBlock }: ProofActions, currency: string): ProofPanel {
  const input = h('textarea', {
    id: 'proof-tx',
    rows: 3,
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
    'aria-describedby': 'proof-hint',
    placeholder: 'Trade id, hash, JSON, or a receipt',
  })
  const submit = h('button', { type: 'submit', class: 'button' }, 'Check it')
  const file = h('input', { type: 'file', id: 'proof-file', class: 'sr', accept: '.json,application/json,text/plain' })
  const opener = h('label', { for: 'proof-file', class: 'button button-quiet' }, 'Open a file')
  const result = h('div', { class: 'proof-result', 'aria-live': 'polite' })
  const form = h(
    'form',
    { class: 'proof-form' },
    h('label', { for: 'proof-tx' }, 'Trade or receipt'),
    input,
    h('div', { class: 'buttons' }, submit, file, opener),
  )
  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'proof-title' },
    h('h2', { id: 'proof-title' }, 'Check a trade'),
    h(
      'p',
      { class: 'muted', id: 'proof-hint' },
      'Paste its id or hash, or open the receipt that you were given. However old it is, this browser follows the proof from ' +
        'your trade to a sealed block. A receipt does not leave this browser.',
    ),
    form,
    result,
  )
  let chainId = ''
  /** Counts the checks, so that a slow answer does not overwrite a newer one. */
  let latest = 0

  async function check(): Promise<void> {
    const own = ++latest
    submit.disabled = true
    result.replaceChildren(h('p', { class: 'muted' }, 'Looking…'))
    const shown = await answer()
    if (own !== latest) return
    submit.disabled = false
    result.replaceChildren(...shown)
  }

  async function answer(): Promise<readonly Node[]> {
    try {
      return reportParts(await lookUp(input.value))
    } catch (error) {
      return [h('p', { class: 'proof-verdict proof-open' }, error instanceof Error ? error.message : String(error))]
    }
  }

  function reportParts(report: TradeAnswer): readonly Node[] {
    const { subject, outcome, title, detail, facts, checks, block, linkName } = report
    const show = block && (() => void openBlock(block.hash))
    return [
      // The block above and the text in the form go on; the answer stays.
      h('p', { class: 'muted' }, `About ${subject}:`),
      h(
        'div',
        { class: `proof-verdict proof-${outcome}` },
        outcomeIcon(outcome),
        h('div', {}, h('h3', {}, title), h('p', {}, detail)),
      ),
      ...(facts === null ? [] : [factsList(facts, currency)]),
      h(
        'div',
        { class: 'buttons' },
        show && h('button', { type: 'button', class: 'link', click: show }, `Show block ${block.height}`),
        linkName === null ? null : linkButton(() => writeLink(chainId, { tx: linkName }), 'Copy a link to this trade'),
      ),
      ...(checks.length === 0 ? [] : [h('ul', { class: 'checks' }, ...checks.map(checkRow))]),
    ]
  }

  async function read(chosen: File | undefined): Promise<void> {
    if (chosen === undefined) return
    if (chosen.size > MAX_PASTED_BYTES) {
      result.replaceChildren(
        h('p', { class: 'proof-verdict proof-open' }, `${chosen.name} is too large for a receipt.`),
      )
      return
    }
    input.value = await chosen.text()
    await check()
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void check()
  })
  file.addEventListener('change', () => {
    void read(file.files?.[0])
    file.value = ''
  })
  element.addEventListener('dragover', (event) => event.preventDefault())
  element.addEventListener('drop', (event) => {
    event.preventDefault()
    void read(event.dataTransfer?.files[0])
  })

  return {
    element,
    update({ context }: Model) {
      chainId = context.chainId
    },
    run(text) {
      input.value = text
      element.scrollIntoView({ block: 'nearest' })
      void check()
    },
  }
}
