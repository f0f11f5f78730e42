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
  let depth = 0
  let isString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) isString = false
    } else if (code === QUOTE) isString = true
    else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      depth++
      // The outermost value has depth 0.
      if (depth > MAX_JSON_DEPTH + 1) return true
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--
  }
  return false
}

/**
 * JSON with a field twice is valid (RFC 8259, 4), and programs differ in which of the two they take: where
 * money is meant, who signs and who pays must not read two amounts.
 *
 * @param text valid JSON
 * @param value what `parseJson` gives for it, which keeps one field of each name
 */
export const repeatsName = (text: string, value: unknown): boolean => namesWritten(text) !== namesKept(value)

const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Outside of strings each colon follows the name of a field. */
function namesWritten(text: string): number {
  let names = 0
  let isString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (isString && code === BACKSLASH) index++
    else if (code === QUOTE) isString = !isString
    else if (code === COLON && !isString) names++
  }
  return names
}

function namesKept(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const values: readonly unknown[] = Object.values(value)
  return values.reduce<number>((names, inner) => names + namesKept(inner), Array.isArray(value) ? 0 : values.length)
}
