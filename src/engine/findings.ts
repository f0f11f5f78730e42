/** One value that is not what it should be. */
export interface Finding {
  /** Store, block and field, for people. */
  readonly place: string
  readonly expected: string
  readonly found: string
}

/** Findings of one kind at blocks that follow each other. */
export interface FindingRange {
  /** The place, with the numbers of its blocks or lines put together. */
  readonly place: string
  /** How many findings these are. */
  readonly count: number
  readonly first: Finding
  /** Whether all of them expect and find the same. */
  readonly same: boolean
}

/** Notes one value that is not what it should be. */
export type Note = (place: string, expected: string, found: string) => void

/** What an audit has found, in bounded memory however much it is. */
export interface Findings {
  readonly note: Note
  /** The first ones, one by one. */
  readonly findings: readonly Finding[]
  /** All of them, as far as they are few kinds in few places. */
  ranges(): readonly FindingRange[]
  /** How many there are, also beyond `findings`. */
  readonly total: number
}

/** A broken store differs everywhere: the first differences tell where to look. */
const MAX_FINDINGS = 1_000
const MAX_RANGES = 1_000

interface Run {
  readonly kind: string
  readonly from: Numbers
  to: Numbers
  count: number
  readonly first: Finding
  same: boolean
}

interface Numbers {
  readonly line: number | undefined
  readonly block: number | undefined
}

export function createFindings(): Findings {
  const findings: Finding[] = []
  const runs: Run[] = []
  const open = new Map<string, Run>()
  let total = 0
  // A file of many blocks that cannot be read is one finding.
  const noted = new Set<string>()

  function addToRun(finding: Finding): void {
    const { kind, at } = kindOf(finding.place)
    const run = open.get(kind)
    if (run !== undefined && isNext(run.to, at)) {
      run.to = at
      run.count += 1
      run.same &&= finding.expected === run.first.expected && finding.found === run.first.found
      return
    }
    if (runs.length >= MAX_RANGES) return
    const begun = { kind, from: at, to: at, count: 1, first: finding, same: true }
    runs.push(begun)
    open.set(kind, begun)
  }

  return {
    findings,
    get total() {
      return total
    },
    note(place, expected, found) {
      const finding = { place, expected, found }
      const key = [place, expected, found].join('\n')
      if (noted.has(key)) return
      if (noted.size < MAX_FINDINGS) noted.add(key)
      total += 1
      if (findings.length < MAX_FINDINGS) findings.push(finding)
      addToRun(finding)
    },
    ranges: () =>
      runs.map(({ kind, from, to, count, first, same }) => ({
        place: count === 1 ? first.place : placeOf(kind, from, to),
        count,
        first,
        same,
      })),
  }
}

/** Names that differ from finding to finding; each pattern has one unbounded part. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/ \(tick [^)]*\)/, ''],
  [/\bvoid tick [^,]+/, 'void ticks'],
  [/\btransaction [^,]+/, 'transactions'],
  [/\bvote of [^,]+/, 'votes'],
  [/\bcorrections of [^,]+/, 'corrections'],
  [/\bhistory node [0-9/]+/, 'history nodes'],
]

function kindOf(place: string): { readonly kind: string; readonly at: Numbers } {
  const numberOf = (word: string): number | undefined => {
    const digits = new RegExp(`\\b${word} ([0-9]{1,15})\\b`).exec(place)?.[1]
    return digits === undefined ? undefined : Number(digits)
  }
  const at = { line: numberOf('line'), block: numberOf('block') }
  const general = NAMES.reduce((text, [pattern, word]) => text.replace(pattern, word), place)
  return { kind: general.replace(/\b(line|block) [0-9]{1,15}\b/g, '$1 *'), at }
}

const isNext = (last: Numbers, at: Numbers): boolean =>
  (at.block ?? 0) - (last.block ?? 0) <= 1 && (at.line ?? 0) - (last.line ?? 0) <= 1

function placeOf(kind: string, from: Numbers, to: Numbers): string {
  return (['line', 'block'] as const).reduce((text, word) => {
    const [first, last] = [from[word], to[word]]
    if (first === undefined || last === undefined) return text
    return text.replace(`${word} *`, first === last ? `${word} ${first}` : `${word}s ${first} to ${last}`)
  }, kind)
}
