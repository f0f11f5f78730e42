/**
 * JSON with a field twice is valid (RFC 8259, 4), and programs differ in which of the two they take: where
 * money is meant, who signs and who pays must not read two amounts.
 *
 * @param text valid JSON
 * @param value what `JSON.parse` gives for it, which keeps one field of each name
 */
export const repeatsName = (text: string, value: unknown): boolean => namesWritten(text) !== namesKept(value)

const QUOTE = 0x22
const COLON = 0x3a
const BACKSLASH = 0x5c

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

/** Without recursion: text may be nested deeper than the stack is. */
function namesKept(value: unknown): number {
  let names = 0
  const rest: unknown[] = [value]
  while (rest.length > 0) {
    const one = rest.pop()
    if (typeof one !== 'object' || one === null) continue
    const values: readonly unknown[] = Object.values(one)
    if (!Array.isArray(one)) names += values.length
    for (const inner of values) if (typeof inner === 'object') rest.push(inner)
  }
  return names
}
