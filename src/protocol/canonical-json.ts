import { bytesToUtf8, equalBytes, utf8ToBytes } from './bytes.ts'
import { protocolError } from './errors.ts'
import { nestsTooDeep, parseJson, TOO_DEEP } from './json.ts'
import { MAX_JSON_DEPTH } from './limits.ts'
import { mapInPieces, type Pieces } from './pieces.ts'
import { describe } from './shape.ts'
import { shown } from './shown.ts'

/**
 * Canonical JSON: RFC 8785 (JCS), restricted to printable ASCII strings, safe integers, booleans, null, arrays and plain
 * objects (docs/protocol.md 1). Within that profile Python's `json.dumps(x, sort_keys=True, separators=(",", ":"))` writes
 * the same bytes.
 */
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/

function fail(reason: string): never {
  throw protocolError('not_canonical', { reason })
}

/** The names in a path are as long as whoever wrote them wanted. */
const failAt = (path: string, what: string): never => fail(`${shown(path)} ${what}`)

/** The canonical text of `value`. Throws `not_canonical` for anything outside the profile. */
export function canonicalText(value: unknown): string {
  return write(value, '$', 0)
}

/** `canonicalText` of an object of which some fields may be long arrays. */
export function* canonicalTextInPieces(value: object): Pieces<string> {
  const members: string[] = []
  for (const [key, member] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = `$.${key}`
    const text = Array.isArray(member)
      ? `[${(yield* mapInPieces<unknown, string>(member, (item, index) => write(item, `${path}[${index}]`, 2))).join(',')}]`
      : write(member, path, 1)
    members.push(`${writeString(key, '$')}:${text}`)
  }
  return `{${members.join(',')}}`
}

/** The canonical bytes of `value`: what is hashed, signed and sent. Throws `not_canonical`. */
export function canonicalBytes(value: unknown): Uint8Array {
  return utf8ToBytes(canonicalText(value))
}

function write(value: unknown, path: string, depth: number): string {
  if (depth > MAX_JSON_DEPTH) failAt(path, `is ${TOO_DEEP}`)
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return writeString(value, path)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) failAt(path, `is ${describe(value)}, not a safe integer`)
    return String(value)
  }
  if (Array.isArray(value)) {
    return `[${Array.from(value, (item, index) => write(item, `${path}[${index}]`, depth + 1)).join(',')}]`
  }
  if (typeof value !== 'object') failAt(path, `is ${describe(value)}`)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) failAt(path, 'is not a plain object')
  const record = value as Record<string, unknown>
  // Printable ASCII keys sort the same by UTF-16 code unit (RFC 8785) and by byte.
  const members = Object.keys(record)
    .sort()
    .map((key) => `${writeString(key, path)}:${write(record[key], `${path}.${key}`, depth + 1)}`)
  return `{${members.join(',')}}`
}

function writeString(value: string, path: string): string {
  if (!PRINTABLE_ASCII.test(value)) failAt(path, 'has a character outside printable ASCII')
  return JSON.stringify(value)
}

/** Parses text that must be the canonical spelling of its value. Throws `not_canonical`. */
export function parseCanonicalText(source: string): unknown {
  const value = parse(source)
  if (canonicalText(value) !== source) fail('the text is not the canonical spelling of its value')
  return value
}

/** Parses bytes that must be the canonical bytes of their value, so no second spelling exists. Throws `not_canonical`. */
export function parseCanonicalBytes(bytes: Uint8Array): unknown {
  const value = parse(bytesToUtf8(bytes))
  if (!equalBytes(canonicalBytes(value), bytes)) fail('the bytes are not the canonical spelling of their value')
  return value
}

function parse(source: string): unknown {
  try {
    return parseJson(source)
  } catch (cause) {
    throw protocolError('not_canonical', { reason: nestsTooDeep(source) ? TOO_DEEP : 'not JSON' }, cause)
  }
}
