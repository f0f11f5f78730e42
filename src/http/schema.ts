import type { Pieces } from '../protocol/pieces.ts'
import { array, integer, nullable, object, oneOf, refuse, text, type Shape } from '../protocol/shape.ts'

/** A JSON Schema (2020-12), as OpenAPI 3.1 takes it. */
export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * What a call takes or answers: the shape that checks it, the JSON Schema that tells people and generators about it, and
 * an example. They are built together, so that what is documented is what is checked.
 */
export interface Schema<T> {
  readonly shape: Shape<T>
  /** The same as `shape`, for what may be large. */
  readonly inPieces?: (value: unknown, path: string) => Pieces<T>
  readonly json: JsonSchema
  /** Accepted by `shape`. */
  readonly example: T
}
export type ValueOf<S> = S extends Schema<infer T> ? T : never

type Schemas = Readonly<Record<string, Schema<unknown>>>
type Simplify<T> = { [K in keyof T]: T[K] }
type OptionalOf<O> = O extends Schemas ? { readonly [K in keyof O]?: ValueOf<O[K]> } : unknown
type ObjectOf<R extends Schemas, O> = Simplify<{ readonly [K in keyof R]: ValueOf<R[K]> } & OptionalOf<O>>

/** A shape of the protocol with its description. */
export const documented = <T>(shape: Shape<T>, json: JsonSchema, example: T): Schema<T> => ({ shape, json, example })

/** The same rules under a name of their own in the API document. */
export const named = <T>(title: string, schema: Schema<T>): Schema<T> => ({
  ...schema,
  json: { ...schema.json, title },
})

const mapValues = <T>(schemas: Schemas, pick: (schema: Schema<unknown>) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, pick(schema)]))

/** An object with exactly these fields; those of `optional` may be absent. */
export function objectOf<const R extends Schemas, const O extends Schemas | undefined = undefined>(
  required: R,
  optional?: O,
): Schema<ObjectOf<R, O>> {
  const all: Schemas = { ...required, ...optional }
  const shape: unknown = object(
    mapValues(required, (field) => field.shape),
    mapValues(optional ?? {}, (field) => field.shape),
  )
  const json = {
    type: 'object',
    properties: mapValues(all, (field) => field.json),
    required: Object.keys(required),
    additionalProperties: false,
  }
  const example: unknown = mapValues(all, (field) => field.example)
  return { shape: shape as Shape<ObjectOf<R, O>>, json, example: example as ObjectOf<R, O> }
}

/** An array of at most `max` items. */
export const arrayOf = <T>(item: Schema<T>, max = Number.MAX_SAFE_INTEGER): Schema<readonly T[]> => ({
  shape: array(item.shape, max),
  json: { type: 'array', items: item.json, ...(max < Number.MAX_SAFE_INTEGER && { maxItems: max }) },
  example: [item.example],
})

export const nullableOf = <T>(schema: Schema<T>): Schema<T | null> => ({
  shape: nullable(schema.shape),
  json: { anyOf: [schema.json, { type: 'null' }] },
  example: schema.example,
})

/** One of these strings; the first is the example. */
export const choiceOf = <const T extends string>(first: T, ...others: readonly T[]): Schema<T> => ({
  shape: oneOf(first, ...others),
  json: { type: 'string', enum: [first, ...others] },
  example: first,
})

/** A string that matches the whole of `pattern` (written with ^ and $). */
export const textOf = (pattern: RegExp, description: string, example: string): Schema<string> =>
  documented(text(pattern, description), { type: 'string', pattern: pattern.source, description }, example)

/** Any string: only in answers. */
export const anyText = (example: string): Schema<string> => textOf(/^[^]*$/, 'text', example)

export const integerOf = (description: string, example: number, min = 0, max = Number.MAX_SAFE_INTEGER) =>
  documented(integer(min, max), { type: 'integer', minimum: min, maximum: max, description }, example)

const isFlag: Shape<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : refuse(path, 'true or false', value)
export const booleanOf = (description: string): Schema<boolean> =>
  documented(isFlag, { type: 'boolean', description }, false)

const DIGITS = /^(0|[1-9][0-9]{0,15})$/

/** An integer of a query string, where everything is text. */
export function integerInQuery(description: string, example: number, min = 0, max = Number.MAX_SAFE_INTEGER) {
  const { shape, json } = integerOf(description, example, min, max)
  const fromText: Shape<number> = (value, path) =>
    shape(typeof value === 'string' && DIGITS.test(value) ? Number(value) : value, path)
  return documented(fromText, json, example)
}

/** A body that may be left out altogether, which is the same as `{}`. */
export const orEmpty = <T>(schema: Schema<T>): Schema<T> => ({
  ...schema,
  shape: (value, path) => schema.shape(value === undefined ? {} : value, path),
})
