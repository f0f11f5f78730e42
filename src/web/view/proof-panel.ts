import type { Check } from '../checks.ts'
import { h } from '../dom.ts'
import type { Model, View } from './model.ts'
import { checkRow } from './parts.ts'

export interface ProofPanel extends View {
  /** Fills the form and runs it, for a link that names a trade. */
  run(tx: string, block: string): void
}

/** @param verify fetches and checks; throws an Error whose message is for people */
export function createProofPanel(verify: (tx: string, block: string) => Promise<readonly Check[]>): ProofPanel {
  const hint = { autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: true } as const
  const tx = h('textarea', { ...hint, id: 'proof-tx', rows: 2, placeholder: 'tx_hash, or the transaction as JSON' })
  const block = h('input', { ...hint, id: 'proof-block', placeholder: 'block hash' })
  const submit = h('button', { type: 'submit', class: 'button' }, 'Check this trade')
  const result = h('div', { class: 'proof-result', 'aria-live': 'polite' })
  const form = h(
    'form',
    { class: 'proof-form' },
    h('label', { for: 'proof-tx' }, 'Transaction'),
    tx,
    h('label', { for: 'proof-block' }, 'Block'),
    block,
    submit,
  )
  let edited = false

  async function check(): Promise<void> {
    submit.disabled = true
    result.replaceChildren(h('p', { class: 'muted' }, 'Fetching the proof…'))
    try {
      showChecks(result, await verify(tx.value, block.value))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      result.replaceChildren(h('p', { class: 'notice notice-fail' }, message))
    } finally {
      submit.disabled = false
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void check()
  })
  block.addEventListener('input', () => (edited = block.value !== ''))

  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'proof-title' },
    h('h2', { id: 'proof-title' }, 'Check a trade'),
    h(
      'p',
      { class: 'muted' },
      'The node sends a Merkle proof; this browser follows it from your trade to the sealed block.',
    ),
    form,
    result,
  )
  return {
    element,
    update({ shown }: Model) {
      element.hidden = shown === undefined
      if (!edited && shown !== undefined && document.activeElement !== block) block.value = shown.hash
    },
    run(txText, blockText) {
      tx.value = txText
      block.value = blockText
      edited = true
      void check()
    },
  }
}

function showChecks(result: HTMLElement, checks: readonly Check[]): void {
  const outcomes = checks.map(({ outcome }) => outcome)
  const outcome = outcomes.includes('fail') ? 'fail' : outcomes.includes('open') ? 'open' : 'pass'
  const words = {
    pass: 'This trade is in the ledger.',
    open: 'The proof holds as far as this page can tell.',
    fail: 'This proof does not hold.',
  }
  result.replaceChildren(
    h('p', { class: `proof-verdict proof-${outcome}` }, words[outcome]),
    h('ul', { class: 'checks' }, ...checks.map(checkRow)),
  )
}
