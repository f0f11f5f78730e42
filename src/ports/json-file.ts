import { isSolarError } from '../protocol/errors.ts'
import { nestsTooDeep, parseJson, repeatsName, TOO_DEEP } from '../protocol/json.ts'
import { decodeText } from '../protocol/text.ts'

/** What a file that should be JSON holds: its value, or why it has none. */
export type ParsedJson = { readonly value: unknown } | { readonly fault: string }

/** The value in the bytes of a file. A fault says what the file looks like and quotes nothing of it: that may be a secret. */
export function parseJsonFile(bytes: Uint8Array): ParsedJson {
  try {
    return parseJsonText(decodeText(bytes))
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    return { fault: 'not JSON: it is no text' }
  }
}

/** `parseJsonFile`, of its text. */
export function parseJsonText(text: string): ParsedJson {
  try {
    const value = parseJson(text)
    return repeatsName(text, value)
      ? { fault: 'JSON with a field twice: programs differ in which they take' }
      : { value }
  } catch {
    return { fault: nestsTooDeep(text) ? `JSON ${TOO_DEEP}` : `not JSON: ${lookOf(text)}` }
  }
}

function lookOf(text: string): string {
  const start = text.trimStart()
  if (start === '') return 'it is empty'
  if (start.startsWith('{') || start.startsWith('[')) {
    return isCutShort(start)
      ? 'it is cut short, a bracket or a quotation mark is not closed up to its end'
      : 'it begins like it, and something in it is no JSON'
  }
  if (start.startsWith('<')) return 'it looks like a page of the web (HTML or XML)'
  if (start.startsWith('-----BEGIN ')) return 'it looks like an encrypted file or a certificate'
  const [firstLine = ''] = start.split('\n', 1)
  return /[,;\t]/.test(firstLine) ? 'it looks like a table (CSV)' : 'it is other text'
}

/** Whether brackets, or a string, are still open at the end. */
function isCutShort(text: string): boolean {
  let depth = 0
  let isString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (isString) {
      if (character === '\\') index++
      else if (character === '"') isString = false
    } else if (character === '"') isString = true
    else if (character === '{' || character === '[') depth++
    else if (character === '}' || character === ']') depth--
  }
  return isString || depth > 0
}
