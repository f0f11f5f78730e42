import { h } from '../dom.ts'
import type { Access } from '../state.ts'
import type { View } from './model.ts'

export interface AccessActions {
  /** Shows what this token may see; undefined forgets it. */
  readonly useToken: (token: string | undefined) => void
}

/** kWh and money for who may see them. */
export function createAccessPanel({ useToken }: AccessActions): View {
  const input = h('input', {
    id: 'token',
    type: 'password',
    autocomplete: 'off',
    spellcheck: 'false',
    required: true,
    maxlength: 512,
  })
  const form = h(
    'form',
    { class: 'proof-form' },
    h('label', { for: 'token' }, 'Token'),
    input,
    h('button', { type: 'submit', class: 'button' }, 'Show kWh and money'),
  )
  const forget = h(
    'button',
    { type: 'button', class: 'button button-quiet', click: () => useToken(undefined) },
    'Forget the token',
  )
  const words = h('p', { class: 'access-words', role: 'status' })
  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'access-title' },
    h('h2', { id: 'access-title' }, 'kWh and money'),
    h(
      'p',
      { class: 'muted' },
      'How many trades there were is open to everybody; who traded what is not. With a token of this node you see it here. ' +
        'A household needs none: open the receipt of a trade under “Check a trade”.',
    ),
    form,
    words,
    forget,
  )
  let shown: Access | undefined

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    useToken(input.value.trim())
    input.value = ''
  })

  return {
    element,
    update({ state: { access, blocks } }) {
      const isEmpty = blocks.length === 0
      words.textContent = wordsOf(access, isEmpty)
      words.className = access.kind === 'refused' ? 'access-words proof-verdict proof-fail' : 'access-words'
      words.hidden = words.textContent === ''
      if (shown === access) return
      shown = access
      form.hidden = access.kind === 'open' || access.kind === 'asked'
      forget.hidden = !form.hidden
    },
  }
}

function wordsOf(access: Access, isEmpty: boolean): string {
  switch (access.kind) {
    case 'none':
      return ''
    case 'asked':
      return isEmpty ? 'The token will be used with the first block.' : 'Asking the node…'
    case 'open':
      return 'Shown with your token. It stays in this page alone and goes when you close it.'
    case 'refused':
      return access.reason
  }
}
