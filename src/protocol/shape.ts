import { protocolError } from './errors.ts'
import { atOnce, mapInPieces, type Pieces } from './pieces.ts'
import { shown } from './shown.ts'

/**
 * A shape checks a decoded JSON value and gives it back typed, or throws `malformed` with the path of the first thing
 * that is wrong. Objects refuse unknown fields: two programs never read the same bytes differently.
 */
export type Shape<T> = (value: unknown, path: string) => T
export type TypeOf<S> = S extends Shape<infer T> ? T : never

type Simplify<T> = { [K in keyof T]: T[K] }
type Fields = Readonly<Record<string, Shape<unknown>>>
type OptionalOf<F> = F extends Fields ? { readonly [K in keyof F]?: TypeOf<F[K]> } : unknown
type ObjectOf<R extends Fields, O> = Simplify<{ readonly [K in keyof R]: TypeOf<R[K]> } & OptionalOf<O>>

/** A short, printable picture of a refused value for an error message. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return describeText(value)
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `an array of ${value.length}`
  return value === undefined ? 'nothing' : `a value of type ${typeof value}`
}

/** In quotation marks; what has no letter is written as JSON escapes it, so that it takes one line. */
function describeText(text: string): string {
  const quoted = JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text)
  return quoted.length > 100 ? `${quoted.slice(0, 96)}..."` : quoted
}

/** Throws `malformed`. */
export function refuse(path: string, expected: string, value: unknown): never {
  throw protocolError('malformed', { path, expected, got: describe(value) })
}

/** Exactly this value. */
export function literal<const T extends string | number | boolean | null>(expected: T): Shape<T> {
  return (value, path) => (value === expected ? expected : refuse(path, JSON.stringify(expected), value))
}

/** One of these strings. */
export function oneOf<const T extends string>(...options: readonly T[]): Shape<T> {
  return (value, path) =>
    options.find((option) => option === value) ?? refuse(path, `one of ${options.join(', ')}`, value)
}

/** A string that matches the whole of `pattern` (written with ^ and $). */
export function text(pattern: RegExp, expected: string): Shape<string> {
  return (value, path) => (typeof value === 'string' && pattern.test(value) ? value : refuse(path, expected, value))
}

/** A safe integer from `min` to `max`; -0 is not one. */
export function integer(min = 0, max = Number.MAX_SAFE_INTEGER): Shape<number> {
  const expected =
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`
  return (value, path) =>
    Number.isSafeInteger(value) && !Object.is(value, -0) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(path, expected, value)
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, path) => (value === null ? null : shape(value, path))
}

/** An array of at most `max` items. */
export const array =
  <T>(item: Shape<T>, max: number): Shape<readonly T[]> =>
  (value, path) =>
    atOnce(arrayInPieces(item, max)(value, path))

/** `array` of many items. */
export const arrayInPieces =
  <T>(item: Shape<T>, max: number) =>
  (value: unknown, path: string): Pieces<readonly T[]> => {
    if (!Array.isArray(value)) refuse(path, 'an array', value)
    if (value.length > max) refuse(path, `at most ${max} items`, value)
    // It visits holes too; `map` would let them through unchecked.
    return mapInPieces<unknown, T>(value, (entry, index) => item(entry, `${path}[${index}]`))
  }

/** True for what JSON calls an object. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** An object with exactly these fields (those of `optional` may be absent). Gives back a fresh object. */
export function object<const R extends Fields, const O extends Fields | undefined = undefined>(
  required: R,
  optional?: O,
): Shape<ObjectOf<R, O>> {
  const shapes = new Map<string, Shape<unknown>>(Object.entries({ ...required, ...optional }))
  const requiredNames = Object.keys(required)
  return (value, path) => {
    if (!isJsonObject(value)) refuse(path, 'an object', value)
    for (const name of Object.keys(value)) {
      if (!shapes.has(name)) refuse(`${path}.${shown(name, 80)}`, 'no such field', value[name])
    }
    for (const name of requiredNames) {
      if (!Object.hasOwn(value, name)) refuse(`${path}.${name}`, 'a value', undefined)
    }
    const result: Record<string, unknown> = {}
    for (const [name, shape] of shapes) {
      if (Object.hasOwn(value, name)) result[name] = shape(value[name], `${path}.${name}`)
    }
    return result as ObjectOf<R, O>
  }
}

/**
 * `shape` for an object of which one field is a long array.
 *
 * @param items checks the array, piece by piece
 */
export const withItemsInPieces = <T, Name extends string & keyof T>(
  shape: Shape<T>,
  name: Name,
  items: (value: readonly unknown[], path: string) => Pieces<T[Name]>,
) =>
  function* shapeInPieces(value: unknown, path: string): Pieces<T> {
    const given = isJsonObject(value) ? value[name] : undefined
    if (!isJsonObject(value) || !Array.isArray(given)) return shape(value, path)
    return { ...shape({ ...value, [name]: [] }, path), [name]: yield* items(given, `${path}.${name}`) }
  }

/** SHA-256 hex. */
export const hash32 = text(/^[0-9a-f]{64}$/, '64 lower-case hex characters')
/** Ed25519 public key, hex. That the key obeys the signature rule is checked when it is imported. */
export const publicKeyHex = hash32
/** Ed25519 signature, hex. */
export const signatureHex = text(/^[0-9a-f]{128}$/, '128 lower-case hex characters')
/** 128 random bits, hex. */
export const nonceHex = text(/^[0-9a-f]{32}$/, '32 lower-case hex characters')
export const identifier = text(/^[A-Za-z0-9._:@+-]{1,64}$/, 'an identifier [A-Za-z0-9._:@+-]{1,64}')
/** Integer milliseconds since the Unix epoch, UTC. */
export const timestampMs = integer()
/** A height that JSON can carry. */
export const blockHeight = integer()
