import { MAX_JSON_DEPTH } from './limits.ts'

/**
 * `JSON.parse` of text that others wrote. Text that is nested deeper than any document of this project is refused before a parser
 * follows it: it would take hundreds of bytes of memory for each bracket, and many times the time. Throws SyntaxError.
 */
export function parseJson(text: string): unknown {
  if (nestsTooDeep(text)) throw new SyntaxError(TOO_DEEP)
  return JSON.parse(text)
}

/** What is wrong with text that `nestsTooDeep`. */
export const TOO_DEEP = `nested deeper than ${MAX_JSON_DEPTH}`

/** Whether brackets outside of strings are nested deeper than MAX_JSON_DEPTH, in JSON or in what should have been some. */
export function nestsTooDeep(text: string): boolean {
  const scan = new Scan()
  for (let index = 0; index < text.length && !scan.isTooDeep; index++) scan.take(text.charCodeAt(index))
  return scan.isTooDeep
}

/**
 * JSON with a field twice is valid (RFC 8259, 4), and programs differ in which of the two they take: where
 * money is meant, who signs and who pays must not read two amounts.
 *
 * @param text valid JSON
 * @param value what `parseJson` gives for it, which keeps one field of each name
 */
export function repeatsName(text: string, value: unknown): boolean {
  const scan = new Scan()
  for (let index = 0; index < text.length; index++) scan.take(text.charCodeAt(index))
  return scan.names !== namesKept(value)
}

/** Where a character is: what is in strings is of no matter. */
export class Scan {
  /** Brackets that are open. */
  depth = 0
  /** Outside of strings each colon follows the name of a field. */
  names = 0
  isString = false
  #isEscaped = false

  take(code: number): void {
    if (this.isString) {
      if (this.#isEscaped) this.#isEscaped = false
      else if (code === BACKSLASH) this.#isEscaped = true
      else if (code === QUOTE) this.isString = false
    } else if (code === QUOTE) this.isString = true
    else if (code === COLON) this.names++
    else if (code === OPEN_ARRAY || code === OPEN_OBJECT) this.depth++
    else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) this.depth--
  }

  /** The outermost value has depth 0. */
  get isTooDeep(): boolean {
    return this.depth > MAX_JSON_DEPTH + 1
  }
}

const QUOTE = 0x22
const COLON = 0x3a
export const COMMA = 0x2c
const BACKSLASH = 0x5c
export const OPEN_ARRAY = 0x5b
export const CLOSE_ARRAY = 0x5d
export const OPEN_OBJECT = 0x7b
export const CLOSE_OBJECT = 0x7d

/** Fields in a value. */
export function namesKept(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const values: readonly unknown[] = Object.values(value)
  return values.reduce<number>((names, inner) => names + namesKept(inner), Array.isArray(value) ? 0 : values.length)
}
