import { stripVTControlCharacters } from 'node:util'

/** What differs from run to run: hashes and keys, also shortened ones, peer ids, and the time of day of a log line. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/\b[0-9a-f]{12,}\b(?:\.\.\.)?/g, '#'],
  [/12D3KooW\w+(?:\.\.\.)?/g, '12D3KooW'],
  [/^\[\d\d:\d\d:\d\d\]/, '[00:00:00]'],
]

const comparable = (text: string): readonly string[] =>
  stripVTControlCharacters(text)
    .trimEnd()
    .split('\n')
    .map((line) => VARYING.reduce((seen, [pattern, name]) => seen.replace(pattern, name), line.trimEnd()))

/**
 * True if `actual` is what a document shows. `...` stands for anything: on a line of its own for any lines, also none, within a
 * line for any text. With `anywhere` other lines may come before and after.
 */
export function isAsShown(shown: string, actual: string, { anywhere = false } = {}): boolean {
  const pattern = anywhere ? ['...', ...comparable(shown), '...'] : comparable(shown)
  const lines = comparable(actual)
  // reached[n]: the pattern so far can have taken the first n lines.
  let reached = new Set([0])
  for (const expected of pattern) {
    const next = new Set<number>()
    for (const at of reached) {
      if (expected === '...') for (let end = at; end <= lines.length; end++) next.add(end)
      else if (at < lines.length && lineIsAsShown(expected, lines[at] ?? '')) next.add(at + 1)
    }
    reached = next
  }
  return reached.has(lines.length)
}

function lineIsAsShown(shown: string, actual: string): boolean {
  const [first = '', ...rest] = shown.split('...')
  if (!actual.startsWith(first)) return false
  const last = rest.pop()
  if (last === undefined) return actual === first
  let at = first.length
  for (const piece of rest) {
    const found = actual.indexOf(piece, at)
    if (found === -1) return false
    at = found + piece.length
  }
  return actual.length - last.length >= at && actual.endsWith(last)
}
