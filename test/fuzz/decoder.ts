import { isSolarError } from '../../src/protocol/errors.ts'
import { editText, editValue, type Plan } from './edits.ts'

/** What a decoder takes: a value as JSON carries it, text, or bytes. */
export type Input = { readonly json: unknown } | { readonly text: string } | { readonly bytes: Uint8Array }

/** Something of this project that reads what others wrote. */
export interface Decoder {
  readonly name: string
  /** Real examples, from which inputs are made. */
  readonly seeds: readonly Input[]
  /**
   * Takes an input in. What it resolves to is a word for what became of it, `accepted` if absent: inputs that bring a new word are
   * changed further. To throw an error that is none of its own is a failure.
   */
  readonly decode: (input: never) => unknown
  readonly isRefusal: (error: unknown) => boolean
  /** Longer text or bytes are cut: what is before the decoder takes no more. */
  readonly maxLength: number
  /** How many times dearer an input is than one of a shape: so many times fewer are tried. */
  readonly cost: number
}

type Options = Partial<Pick<Decoder, 'isRefusal' | 'maxLength' | 'cost'>>
const DEFAULTS = { isRefusal: (error: unknown) => isSolarError(error), maxLength: 64 * 1024, cost: 1 }

export const jsonDecoder = (
  name: string,
  seeds: readonly unknown[],
  decode: (value: unknown) => unknown,
  options: Options = {},
): Decoder => ({
  ...DEFAULTS,
  ...options,
  name,
  // As JSON carries it: without members that are undefined.
  seeds: seeds.map((seed) => ({ json: JSON.parse(JSON.stringify(seed)) as unknown })),
  decode: (input: { readonly json: unknown }) => decode(input.json),
})

export const textDecoder = (
  name: string,
  seeds: readonly string[],
  decode: (text: string) => unknown,
  options: Options = {},
): Decoder => ({
  ...DEFAULTS,
  ...options,
  name,
  seeds: seeds.map((text) => ({ text })),
  decode: (input: { readonly text: string }) => decode(input.text),
})

export const bytesDecoder = (
  name: string,
  seeds: readonly (Uint8Array | string)[],
  decode: (bytes: Uint8Array) => unknown,
  options: Options = {},
): Decoder => ({
  ...DEFAULTS,
  ...options,
  name,
  seeds: seeds.map((seed) => ({ bytes: typeof seed === 'string' ? Buffer.from(seed) : seed })),
  decode: (input: { readonly bytes: Uint8Array }) => decode(input.bytes),
})

/** The input that a plan makes of those of a pool, which are all of one kind. */
export function inputOf(pool: readonly Input[], { from, other, edits }: Plan, maxLength: number): Input {
  const [one, another] = [pool[from % pool.length], pool[other % pool.length]]
  if (one === undefined || another === undefined) throw new Error('a decoder without examples')
  if ('json' in one) return { json: editValue(one.json, 'json' in another ? another.json : null, edits) }
  if ('text' in one) return { text: editText(one.text, 'text' in another ? another.text : '', edits, maxLength) }
  const latin1 = (input: Input): string => ('bytes' in input ? Buffer.from(input.bytes).toString('latin1') : '')
  return { bytes: Buffer.from(editText(latin1(one), latin1(another), edits, maxLength), 'latin1') }
}

/** An input as a file of the corpus has it: JSON. */
export const storedOf = (input: Input): unknown =>
  'bytes' in input ? { base64: Buffer.from(input.bytes).toString('base64') } : input

export function inputFrom(stored: unknown): Input {
  const given = stored as Input | { readonly base64: string }
  return 'base64' in given ? { bytes: Buffer.from(given.base64, 'base64') } : given
}
