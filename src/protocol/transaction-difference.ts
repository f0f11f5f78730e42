import { canonicalText } from './canonical-json.ts'
import { shown as short } from './shown.ts'

/** The first thing in which two lists of rows differ. */
export interface RowDifference {
  /** For people: the row, what it has here, and what is committed. */
  readonly difference: string
  readonly transaction_id: string
  /** The field that differs; `position` if the row itself is missing, added or elsewhere in the list (from 0). */
  readonly field: string
  /** What is committed; null: nothing. */
  readonly stored: unknown
  /** What claims to be the same; null: nothing. */
  readonly sent: unknown
}

interface Row {
  readonly id: string
}

/**
 * The first difference between the rows that are committed and those that claim to be the same: a row that is not
 * committed or has another value, in the order of `claimed`; then one that is missing; then one that is elsewhere.
 * `undefined` if there is none. The fields of `except` are not compared: what a node adds by itself (nonce, tick_id) is no
 * content.
 */
export function differenceOfRows(
  committed: readonly Row[],
  claimed: readonly Row[],
  except: readonly string[],
): RowDifference | undefined {
  const places = new Map(committed.map(({ id }, index) => [id, index]))
  const seen = new Set<string>()
  for (const [sent, row] of claimed.entries()) {
    const stored = places.get(row.id)
    const ours = stored === undefined ? undefined : committed[stored]
    if (ours === undefined) return moved(row.id, null, sent, 'is not among those that are committed')
    if (seen.has(row.id)) return moved(row.id, null, sent, 'is there twice')
    seen.add(row.id)
    const difference = differenceOfFields(ours, row, except)
    if (difference !== undefined) return difference
  }
  for (const [stored, { id }] of committed.entries()) {
    if (!seen.has(id)) return moved(id, stored, null, `is missing, committed is it at position ${stored}`)
  }
  for (const [sent, { id }] of claimed.entries()) {
    const stored = places.get(id)
    if (stored !== sent) return moved(id, stored, sent, `is at position ${sent}, committed is ${stored}`)
  }
  return undefined
}

function moved(id: string, stored: number | null | undefined, sent: number | null, what: string): RowDifference {
  return {
    difference: `transaction ${id} ${what}`,
    transaction_id: id,
    field: 'position',
    stored: stored ?? null,
    sent,
  }
}

function differenceOfFields(committed: Row, claimed: Row, except: readonly string[]): RowDifference | undefined {
  const ours = new Map<string, unknown>(Object.entries(committed))
  const theirs = new Map<string, unknown>(Object.entries(claimed))
  for (const field of new Set([...theirs.keys(), ...ours.keys()])) {
    if (except.includes(field)) continue
    const [stored, sent] = [ours.get(field), theirs.get(field)]
    if (shown(stored) === shown(sent)) continue
    // A payload is long; the fields have all of it.
    const [is, was] = [sent, stored].map((value) => short(shown(value)))
    const difference = `transaction ${claimed.id}: ${field} is ${is}, committed is ${was}`
    return { difference, transaction_id: claimed.id, field, stored: stored ?? null, sent: sent ?? null }
  }
  return undefined
}

const shown = (value: unknown): string =>
  value === undefined ? 'nothing' : typeof value === 'string' ? value : canonicalText(value)
