/** Where a community counts no money. */
const NO_CURRENCY = 'XXX'
/**
 * ISO 4217 codes of currencies in use, as the ICU data of this Node has them. It is asked only when a chain is made: what a
 * genesis holds stays valid whatever a later Node knows.
 */
const CODES: ReadonlySet<string> = new Set([...Intl.supportedValuesOf('currency'), NO_CURRENCY])

/** What is wrong with the currency of a new chain, and what is expected; `undefined`: nothing. */
export function currencyProblem(text: string): string | undefined {
  if (CODES.has(text)) return undefined
  const meant = [text, text.slice(0, 3)].map((code) => code.toUpperCase()).find((code) => CODES.has(code))
  const hint = meant === undefined ? '' : `. Is ${meant} meant?`
  const got = JSON.stringify(text.slice(0, 40))
  return `expected the ISO 4217 code of a currency in use, such as EUR, or ${NO_CURRENCY} for no money, got ${got}${hint}`
}
