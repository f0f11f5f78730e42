import { MAX_JSON_DEPTH } from './limits.ts'
import { atOnce, type Pieces } from './pieces.ts'

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
export const nestsTooDeep = (text: string): boolean => atOnce(scanInPieces(text)) === undefined

/**
 * JSON with a field twice is valid (RFC 8259, 4), and programs differ in which of the two they take: where
 * money is meant, who signs and who pays must not read two amounts.
 *
 * @param text valid JSON
 * @param value what `parseJson` gives for it, which keeps one field of each name
 */
export const repeatsName = (text: string, value: unknown): boolean =>
  atOnce(scanInPieces(text))?.names !== namesKept(value)

/**
 * `parseJson` and `repeatsName` of text that may be large: what is in an outermost array, or in the arrays of an outermost
 * object, is parsed some items at a time. Throws SyntaxError.
 */
export function* parseJsonInPieces(text: string): Pieces<{ readonly value: unknown; readonly repeatsName: boolean }> {
  const scan = yield* scanInPieces(text)
  if (scan === undefined) throw new SyntaxError(TOO_DEEP)
  if (text.length <= PART_CHARS || scan.arrays.length > MAX_ARRAYS) {
    const value: unknown = JSON.parse(text)
    return { value, repeatsName: scan.names !== namesKept(value) }
  }
  let kept = 0
  let frame = ''
  let end = 0
  const arrays: unknown[][] = []
  for (const cuts of scan.arrays) {
    const items: unknown[] = []
    for (const [at, to] of cuts.slice(1).entries()) {
      const part = parseItems(text.slice((cuts[at] ?? to) + 1, to), cuts.length === 2)
      kept += namesKept(part)
      for (const item of part) items.push(item)
      yield
    }
    // In the place of the items: which array this is.
    frame += `${text.slice(end, (cuts[0] ?? end) + 1)}${arrays.length}`
    end = cuts.at(-1) ?? end
    arrays.push(items)
  }
  const framed: unknown = JSON.parse(frame + text.slice(end))
  kept += namesKept(framed)
  return { value: filled(framed, arrays), repeatsName: scan.names !== kept }
}

/** Some items of an array. Only a whole array may have none: between two commas there is something. */
function parseItems(text: string, isWhole: boolean): readonly unknown[] {
  const items = JSON.parse(`[${text}]`) as readonly unknown[]
  if (items.length === 0 && !isWhole) throw new SyntaxError('Unexpected token , in JSON: an item is missing')
  return items
}

/** Each outermost array of the frame names the one that belongs in its place. */
function filled(framed: unknown, arrays: readonly (readonly unknown[])[]): unknown {
  const inPlaceOf = (value: unknown): unknown => (Array.isArray(value) ? arrays[Number(value[0])] : value)
  if (typeof framed !== 'object' || framed === null || Array.isArray(framed)) return inPlaceOf(framed)
  // Not by assignment: a field may be called `__proto__`.
  for (const [name, value] of Object.entries(framed)) Object.defineProperty(framed, name, { value: inPlaceOf(value) })
  return framed
}

/** Characters that are looked at, or parsed, in one piece. */
const PART_CHARS = 256 * 1024
/** No document of this project has so many arrays at its outermost level; what has is parsed as a whole. */
const MAX_ARRAYS = 16

interface Scan {
  /** Outside of strings each colon follows the name of a field. */
  readonly names: number
  /**
   * Of each outermost array the place of its bracket, then those of some of the commas between its items, so that there are
   * not many more than PART_CHARS in between, then that of its other bracket. No more than one beyond MAX_ARRAYS.
   */
  readonly arrays: readonly (readonly number[])[]
}

/** Goes through JSON, or what should be some, from left to right; `undefined` if it is nested too deep. */
function* scanInPieces(text: string): Pieces<Scan | undefined> {
  const arrays: number[][] = []
  let names = 0
  let depth = 0
  let isString = false
  let isObject = false
  /** The outermost array that is open, and its depth. */
  let open: number[] = []
  let openDepth = 0
  let lastCut = 0
  for (let index = 0, pause = PART_CHARS; index < text.length; index++) {
    if (index >= pause) {
      pause = index + PART_CHARS
      yield
    }
    const code = text.charCodeAt(index)
    if (isString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) isString = false
    } else if (code === QUOTE) isString = true
    else if (code === COLON) names++
    else if (code === COMMA) {
      if (depth !== openDepth || index - lastCut < PART_CHARS) continue
      open.push(index)
      lastCut = index
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      depth++
      // The outermost value has depth 0.
      if (depth > MAX_JSON_DEPTH + 1) return undefined
      if (depth === 1) isObject = code === OPEN_OBJECT
      if (openDepth > 0 || code !== OPEN_ARRAY || depth !== (isObject ? 2 : 1) || arrays.length > MAX_ARRAYS) continue
      open = [index]
      openDepth = depth
      lastCut = index
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
      if (depth === openDepth && openDepth > 0) {
        arrays.push([...open, index])
        openDepth = 0
      }
      depth--
    }
  }
  return { names, arrays }
}

const QUOTE = 0x22
const COLON = 0x3a
const COMMA = 0x2c
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

function namesKept(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const values: readonly unknown[] = Object.values(value)
  return values.reduce<number>((names, inner) => names + namesKept(inner), Array.isArray(value) ? 0 : values.length)
}
