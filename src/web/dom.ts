/** Elements without a framework: text is always text, never markup, so nothing that a node sends can become code. */
export type Child = Node | string | null

type Props = Readonly<Record<string, string | number | boolean | ((event: never) => void) | undefined>>

const SVG = 'http://www.w3.org/2000/svg'

function fill<E extends Element>(element: E, props: Props, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue
    if (typeof value === 'function') element.addEventListener(name, value as EventListener)
    else element.setAttribute(name, value === true ? '' : String(value))
  }
  element.append(...children.filter((child) => child !== null))
  return element
}

/** An HTML element; function props are listeners of that event name. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] => fill(document.createElement(tag), props, children)

/** An SVG element. */
export const s = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] => fill(document.createElementNS(SVG, tag), props, children)

/**
 * Shows `items` as the children of `parent` in this order. A child is made anew only when its `signature` changes, and
 * keeps the focus if it had it.
 */
export function showList<T>(
  parent: HTMLElement,
  items: readonly T[],
  keyOf: (item: T) => string,
  signatureOf: (item: T) => string,
  make: (item: T) => HTMLElement,
): void {
  const earlier = new Map([...parent.children].map((child) => [child.getAttribute('data-key'), child as HTMLElement]))
  const focused = document.activeElement?.getAttribute('data-key')
  const next = items.map((item) => {
    const key = keyOf(item)
    const signature = signatureOf(item)
    const known = earlier.get(key)
    if (known?.dataset.signature === signature) return known
    const made = make(item)
    made.dataset.key = key
    made.dataset.signature = signature
    return made
  })
  const current = [...parent.children]
  if (next.length === current.length && next.every((child, index) => child === current[index])) return
  parent.replaceChildren(...next)
  next.find((child) => focused !== null && focused !== undefined && child.dataset.key === focused)?.focus()
}

const COPIED_MS = 1_600

/**
 * A button that copies a value; says so, and falls back to selecting the text where copying is not allowed.
 *
 * @param label for who does not see what stands beside it
 */
export function copyButton(value: () => string, label: string, word = 'Copy'): HTMLElement {
  const shown = h('span', {}, word)
  const copied = (): void => {
    shown.textContent = 'Copied'
    setTimeout(() => (shown.textContent = word), COPIED_MS)
  }
  const copy = (): void => {
    // Browsers offer the clipboard on https and localhost only.
    if (!window.isSecureContext) select(button)
    else navigator.clipboard.writeText(value()).then(copied, () => select(button))
  }
  const button = h('button', { type: 'button', class: 'copy', 'aria-label': label, click: copy }, shown)
  return button
}

function select(button: HTMLElement): void {
  const target = button.parentElement?.querySelector('.copyable')
  if (target) getSelection()?.selectAllChildren(target)
}

/** A value in full, with its button. */
export const copyable = (value: string, what: string): HTMLElement =>
  h(
    'span',
    { class: 'with-copy' },
    h('code', { class: 'copyable' }, value),
    copyButton(() => value, `Copy ${what}`),
  )
