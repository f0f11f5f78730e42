import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COMMA,
  namesKept,
  OPEN_ARRAY,
  OPEN_OBJECT,
  repeatsName,
  Scan,
  TOO_DEEP,
  parseJson,
} from './json.ts'
import type { Pieces } from './pieces.ts'

export interface ParsedJson {
  readonly value: unknown
  /** A field is there twice: see `repeatsName`. */
  readonly repeatsName: boolean
}

/** Characters that are looked at, or parsed, in one piece. */
const PART_CHARS = 256 * 1024
/** No document of this project has so many arrays at its outermost level. */
const MAX_ARRAYS = 16

/**
 * `parseJson` of text that may be large, also one that comes in parts: an outermost array, and the arrays of an outermost
 * object, are parsed some items at a time, so that neither takes long and no text has all of them. Throws SyntaxError.
 */
export function* parseJsonInPieces(source: string | Iterable<string>): Pieces<ParsedJson> {
  if (typeof source === 'string' && source.length <= PART_CHARS) {
    const value = parseJson(source)
    return { value, repeatsName: repeatsName(source, value) }
  }
  const cutter = new Cutter()
  let chars = 0
  for (const part of typeof source === 'string' ? partsOf(source) : source) {
    chars += part.length
    if (chars > PART_CHARS) {
      chars = 0
      yield
    }
    yield* cutter.take(part)
  }
  return cutter.end()
}

function* partsOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; start += PART_CHARS) yield text.slice(start, start + PART_CHARS)
}

/** Parses the items of the outermost arrays while the text comes in; what is around them is the frame, parsed in the end. */
class Cutter {
  readonly #scan = new Scan()
  readonly #arrays: unknown[][] = []
  #isObject = false
  #frame = ''
  #kept = 0
  /** The outermost array that is open, its depth, and the text of items that are not parsed yet. */
  #open: unknown[] | undefined
  #openDepth = 0
  #items = ''

  end(): ParsedJson {
    if (this.#open !== undefined) throw new SyntaxError('Unexpected end of JSON input')
    const framed: unknown = JSON.parse(this.#frame)
    this.#kept += namesKept(framed)
    return { value: this.#filled(framed), repeatsName: this.#scan.names !== this.#kept }
  }

  *take(part: string): Pieces<void> {
    const scan = this.#scan
    /** What is before it is in the frame, or parsed. */
    let from = 0
    for (let index = 0; index < part.length; index++) {
      const code = part.charCodeAt(index)
      const { depth, isString } = scan
      scan.take(code)
      if (isString) continue
      if (code === COMMA) {
        if (this.#open === undefined || depth !== this.#openDepth) continue
        if (this.#items.length + index - from < PART_CHARS) continue
        this.#parseItems(part.slice(from, index), false)
        from = index + 1
        yield
      } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
        if (scan.isTooDeep) throw new SyntaxError(TOO_DEEP)
        if (depth === 0) this.#isObject = code === OPEN_OBJECT
        if (this.#open !== undefined || code !== OPEN_ARRAY || depth !== (this.#isObject ? 1 : 0)) continue
        this.#begin(part.slice(from, index + 1))
        from = index + 1
      } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
        if (this.#open === undefined || depth !== this.#openDepth) continue
        this.#parseItems(part.slice(from, index), this.#open.length === 0)
        this.#open = undefined
        from = index
      }
    }
    if (this.#open === undefined) this.#frame += part.slice(from)
    else this.#items += part.slice(from)
  }

  /** In the place of the items the frame has which array this is. */
  #begin(before: string): void {
    if (this.#arrays.length === MAX_ARRAYS)
      throw new SyntaxError(`more than ${MAX_ARRAYS} arrays at the outermost level`)
    this.#frame += `${before}${this.#arrays.length}`
    this.#open = []
    this.#arrays.push(this.#open)
    this.#openDepth = this.#scan.depth
    this.#items = ''
  }

  /** @param isWhole these are all of the array: only then there may be none, between two commas there is something */
  #parseItems(text: string, isWhole: boolean): void {
    const items = JSON.parse(`[${this.#items}${text}]`) as readonly unknown[]
    if (items.length === 0 && !isWhole) throw new SyntaxError('Unexpected token , in JSON: an item is missing')
    this.#kept += namesKept(items)
    for (const item of items) this.#open?.push(item)
    this.#items = ''
  }

  /** Each outermost array of the frame names the one that belongs in its place. */
  #filled(framed: unknown): unknown {
    const inPlaceOf = (value: unknown): unknown => (Array.isArray(value) ? this.#arrays[Number(value[0])] : value)
    if (typeof framed !== 'object' || framed === null || Array.isArray(framed)) return inPlaceOf(framed)
    // Not by assignment: a field may be called `__proto__`.
    for (const [name, value] of Object.entries(framed)) Object.defineProperty(framed, name, { value: inPlaceOf(value) })
    return framed
  }
}
