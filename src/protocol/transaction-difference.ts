import { canonicalText } from './canonical-json.ts'

/**
 * The first difference between the rows that are committed and those that claim to be the same, for people; `undefined` if
 * there is none. The fields of `except` are not compared: what a node adds by itself (nonce, tick_id) is no content.
 */
export function differenceOfRows(
  committed: readonly object[],
  claimed: readonly { readonly id: string }[],
  except: readonly string[],
): string | undefined {
  if (committed.length !== claimed.length) {
    return `${claimed.length} transactions, committed are ${committed.length}`
  }
  for (const [index, row] of claimed.entries()) {
    const ours = new Map<string, unknown>(Object.entries(committed[index] ?? {}))
    const theirs = new Map<string, unknown>(Object.entries(row))
    for (const field of new Set([...theirs.keys(), ...ours.keys()])) {
      if (except.includes(field)) continue
      const [found, expected] = [shown(theirs.get(field)), shown(ours.get(field))]
      if (found !== expected) return `transaction ${row.id}: ${field} is ${found}, committed is ${expected}`
    }
  }
  return undefined
}

const shown = (value: unknown): string =>
  value === undefined ? 'nothing' : typeof value === 'string' ? value : canonicalText(value)
