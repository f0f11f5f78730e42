import { MAX_PAYLOAD_BYTES, MAX_PAYLOADS_PER_BLOCK } from './limits.ts'
import { refuse, type Shape } from './shape.ts'

/**
 * The payload of a trade (docs/protocol.md 3): an age file (age-encryption.org/v1) for the parties and
 * auditors, in base64. The ledger hashes it with the trade and never looks into it.
 */
const MAX_CHARACTERS = 4 * Math.ceil(MAX_PAYLOAD_BYTES / 3)
/**
 * "age-encryption.org/v1" and its line feed: of the 30th character the line feed has two bits, 10. Then
 * base64 with padding whose spare bits are 0 (RFC 4648, 3.5): one spelling for each value.
 */
const AGE_FILE =
  /^YWdlLWVuY3J5cHRpb24ub3JnL3YxC[g-v][A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/
const EXPECTED = `an age file (age-encryption.org/v1) of at most ${MAX_PAYLOAD_BYTES} bytes in base64 with padding`

/** Throws `malformed`. */
export const payloadShape: Shape<string> = (value, path) =>
  typeof value === 'string' && isPayload(value) ? value : refuse(path, EXPECTED, value)

const isPayload = (text: string): boolean =>
  text.length <= MAX_CHARACTERS && sizeOf(text) <= MAX_PAYLOAD_BYTES && AGE_FILE.test(text)

/** Bytes that base64 text with padding stands for. */
const sizeOf = (text: string): number => (3 * text.length) / 4 - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0)

/** Whatever may have a payload. */
interface WithPayload {
  readonly payload?: string
}

/** The characters of the payloads of these together. */
export function payloadCharacters(rows: readonly object[]): number {
  let sum = 0
  for (const row of rows as readonly WithPayload[]) sum += row.payload?.length ?? 0
  return sum
}

/** What is wrong with so many characters of payloads in one block; `undefined` if nothing is. */
export const payloadsFault = (characters: number): string | undefined =>
  characters > MAX_PAYLOADS_PER_BLOCK
    ? `payloads of ${characters} characters together, a block holds at most ${MAX_PAYLOADS_PER_BLOCK}`
    : undefined
