import fc from 'fast-check'

/** One change of an input. Numbers are taken modulo what there is, so that any edit fits any input. */
export interface Edit {
  readonly op: number
  /** Where. */
  readonly at: number
  /** With what: one of ODD, or a place in another input. */
  readonly with: number
  /** How long, or how often. */
  readonly size: number
}

/** Which input is changed, and how. */
export interface Plan {
  readonly from: number
  readonly other: number
  readonly edits: readonly Edit[]
}

/** The greatest size of a repetition: what is quadratic in its input takes seconds for it. */
const MAX_REPEAT = 40_000
const size = fc.oneof(
  { weight: 30, arbitrary: fc.nat(8) },
  { weight: 4, arbitrary: fc.nat(300) },
  { weight: 1, arbitrary: fc.nat(MAX_REPEAT) },
)
const edit: fc.Arbitrary<Edit> = fc.record({
  op: fc.nat(99),
  at: fc.nat(1_000_000),
  with: fc.nat(1_000_000),
  size,
})
export const planArbitrary: fc.Arbitrary<Plan> = fc.record({
  from: fc.nat(1_000_000),
  other: fc.nat(1_000_000),
  edits: fc.array(edit, { maxLength: 5 }),
})

/** Texts on which programs stumble. */
const ODD_TEXTS: readonly string[] = [
  '',
  ' ',
  '\n',
  '\r\n',
  '\n\n',
  '\t',
  '\0',
  '\u007f',
  '\u0085',
  '\u2028',
  '\u2014 ',
  '\ufeff',
  '\ud800',
  '\u{1f31e}',
  '"',
  "'",
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ';',
  ':',
  '=',
  '+',
  '-',
  '.',
  '/',
  '../',
  '%00',
  '%',
  '&a=1',
  '?',
  '#',
  '*a',
  '&a [*a,*a]',
  '!!binary ',
  '<<: ',
  '0',
  '-0',
  '1e9',
  '1e999',
  '9007199254740993',
  'Bearer ',
  'Solar ',
  '://',
  '@',
  'a:',
  'a',
  '__proto__',
  'constructor',
  '24:00',
  '2024-02-30',
]
/** Characters that stand in numbers, hashes and JSON. */
const LIKELY = '0123456789abcdefABCDEF.-+eE ":,{}[]'
const ODD_VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1,
  1.5,
  1e21,
  1e308,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  [],
  {},
  [[]],
  [null],
  [{}],
  Object.defineProperty({}, '__proto__', { value: { x: 1 }, enumerable: true, configurable: true }),
  '0'.repeat(64),
  'f'.repeat(64),
  'f'.repeat(128),
  '9'.repeat(40),
  ...ODD_TEXTS,
]

const pick = <T>(items: readonly T[], index: number): T | undefined => items[index % items.length]

/** Text after the edits, at most `maxLength` characters of it. */
export function editText(text: string, other: string, edits: readonly Edit[], maxLength: number): string {
  return edits.reduce((all, one) => editTextOnce(all, other, one).slice(0, maxLength), text).slice(0, maxLength)
}

function editTextOnce(text: string, other: string, { op, at, with: what, size }: Edit): string {
  const start = at % (text.length + 1)
  const [before, after] = [text.slice(0, start), text.slice(start)]
  const odd = pick(ODD_TEXTS, what) ?? ''
  switch (op % 10) {
    case 0:
      return before + after.slice(size)
    case 1:
      return before + odd + after
    case 2:
      return before + odd + after.slice(1)
    case 3:
      return before + String.fromCharCode(what % 0x250) + after.slice(1)
    case 4:
      return before + LIKELY.charAt(what % LIKELY.length) + after.slice(1)
    case 5:
      return before + odd.repeat(size) + after
    case 6:
      return before + after.slice(0, 1 + (what % 16)).repeat(size) + after
    case 7:
      return before + other.slice(what % (other.length + 1)).slice(0, size) + after
    case 8:
      return what % 2 === 0 ? before : after
    default:
      return before + after.slice(0, size).toUpperCase() + after.slice(size)
  }
}

/** JSON after the edits; the value itself is left as it is. */
export function editValue(value: unknown, other: unknown, edits: readonly Edit[]): unknown {
  return edits.reduce((all: unknown, one) => editValueOnce(all, other, one), value)
}

type Path = readonly string[]

function editValueOnce(value: unknown, other: unknown, edit: Edit): unknown {
  const path = pick(pathsOf(value), edit.at) ?? []
  return replaceAt(value, path, (found) => changed(found, value, other, edit))
}

const GONE = Symbol('gone')

function changed(found: unknown, whole: unknown, other: unknown, { op, at, with: what, size }: Edit): unknown {
  switch (op % 8) {
    case 0:
      return pick(ODD_VALUES, what)
    case 1:
      return GONE
    case 2:
      // What is elsewhere in this input.
      return memberAt(whole, pick(pathsOf(whole), what) ?? [])
    case 3:
      return memberAt(other, pick(pathsOf(other), what) ?? [])
    case 4:
      if (Array.isArray(found))
        return Array.from({ length: Math.min(size, 2_000) }, (_, i) => pick(found, i) as unknown)
      return isObject(found) ? { ...found, [pick(ODD_TEXTS, what) ?? '']: pick(ODD_VALUES, at) } : [found]
    case 5:
      return isObject(found) ? renamed(found, what) : pick(ODD_VALUES, at)
    default:
      return scalarChanged(found, at, what, size)
  }
}

function scalarChanged(found: unknown, at: number, what: number, size: number): unknown {
  if (typeof found === 'string') return editTextOnce(found, found, { op: what, at, with: what, size })
  if (typeof found === 'number')
    return pick([found + 1, found - 1, -found, found * 2, found + 0.5, String(found), 2 ** 53 - 1, 0], what)
  return pick(ODD_VALUES, what)
}

function renamed(found: Readonly<Record<string, unknown>>, what: number): unknown {
  const names = Object.keys(found)
  const [old, to] = [pick(names, what), pick([...ODD_TEXTS, ...names], at(what))]
  return Object.fromEntries(Object.entries(found).map(([name, value]) => [name === old ? (to ?? name) : name, value]))
}
const at = (what: number): number => Math.floor(what / 7)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
/** Far more than any seed has; what an edit has blown up is not walked again. */
const MAX_PATHS = 3_000

/** The places of a value, itself first, the nearest ones first. */
function pathsOf(value: unknown): readonly Path[] {
  const paths: Path[] = [[]]
  const values: unknown[] = [value]
  for (let index = 0; index < paths.length && paths.length < MAX_PATHS; index++) {
    const inner = values[index]
    if (typeof inner !== 'object' || inner === null) continue
    for (const [name, member] of Object.entries(inner)) {
      paths.push([...(paths[index] ?? []), name])
      values.push(member)
    }
  }
  return paths
}

const memberAt = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], value)

function replaceAt(value: unknown, path: Path, change: (found: unknown) => unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) {
    const result = change(value)
    return result === GONE ? null : result
  }
  const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }
  const members = copy as Record<string, unknown>
  const result = rest.length === 0 ? change(members[name]) : replaceAt(members[name], rest, change)
  if (result !== GONE) members[name] = result
  else if (Array.isArray(copy)) copy.splice(Number(name), 1)
  else Reflect.deleteProperty(members, name)
  return copy
}
