import type { TickDifference } from '../ports/errors.ts'
import type { PlatformRow, PlatformTick } from '../ports/ledger.ts'
import type { StoredTick } from '../ports/market-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { sha256Hex } from '../protocol/hash.ts'
import { ITEMS_OF_PIECE, type Pieces } from '../protocol/pieces.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import { UNKNOWN_ID } from '../protocol/redaction.ts'
import { differenceOfRows } from '../protocol/transaction-difference.ts'

/** By what a repetition of a tick is recognised: what was asked for, without what this node adds to it. */

/** A market tick is known by its id alone: asking again answers the same, whatever the time. */
export const MARKET_CONTENT = sha256Hex('market')

/** What a platform asked for: equal content, equal hash. */
export const platformContent = ({ tick_id, timestamp, transactions }: PlatformTick): Pieces<Hash> =>
  contentHash(tick_id, timestamp, transactions)

/**
 * What is known of a tick that was put back from its block. A block does not hold its tick's time (its header's is that of
 * the parent, where the tick was late), so whoever asks again is compared row by row and not by the tick's time: the
 * rows with their own times are all that was sealed.
 */
export const restoredContent = (tickId: string, rows: readonly (PlatformRow | ShownTransaction)[]): Pieces<Hash> =>
  contentHash(tickId, null, rows)

/** What is left of the content of a tick with a redacted row: the hash of all its rows would tell who guesses whether it is right. */
const isRedacted = ({ transactions }: StoredTick): boolean => transactions.some(({ kind }) => kind === 'redacted')

/** True if a platform's tick is the one that is stored; of a row that was redacted its id alone can be compared. */
export function* isSameContent(stored: StoredTick, tick: PlatformTick, content: Hash): Pieces<boolean> {
  if (stored.source !== 'market' && isRedacted(stored)) {
    const isOfItsTime = stored.source !== 'platform' || stored.timestamp === tick.timestamp
    return isOfItsTime && differenceOfShown(stored, tick) === undefined
  }
  const expected = stored.source === 'restored' ? yield* restoredContent(tick.tick_id, tick.transactions) : content
  return stored.content_hash === expected
}

/** What differs between a committed tick and one that claims its id, as the fields of `tick_conflict`. */
export function differenceOf(stored: StoredTick, tick: PlatformTick): TickDifference {
  if (stored.source === 'market') return { difference: 'it was run by the built-in market' }
  if (stored.source === 'registry') return { difference: 'it is a change of the registry' }
  const rows = differenceOfShown(stored, tick)
  if (rows !== undefined) return rows
  const [committed, sent] = [stored.timestamp, tick.timestamp]
  return { difference: `timestamp is ${sent}, committed is ${committed}`, field: 'timestamp', stored: committed, sent }
}

/** What differs between the rows that are still there and those that claim to be the same; `undefined`: nothing. */
function differenceOfShown({ transactions, tx_ids }: StoredTick, tick: PlatformTick): TickDifference | undefined {
  const isGone = (index: number): boolean => transactions[index]?.kind === 'redacted'
  const hidden = tick.transactions.find(({ id }, index) => isGone(index) && !isIdOf(tx_ids[index], id))
  if (hidden !== undefined) {
    const difference = `transaction ${hidden.id}: another one was committed in its place, and redacted since`
    return { difference, transaction_id: hidden.id }
  }
  const committed = transactions.map((tx, index) =>
    tx.kind === 'redacted' ? (tick.transactions[index] ?? { id: tx_ids[index] ?? tx.tx_hash }) : tx,
  )
  return differenceOfRows(committed, tick.transactions, ['tick_id', 'nonce'])
}

/** A row that had no body when its block was put back has a name of this node's making: any id may have been its. */
const isIdOf = (stored: string | undefined, id: string): boolean =>
  stored === id || stored?.startsWith(UNKNOWN_ID) === true

/** A hash of the hashes of so many rows each, so that no text has all of them. */
function* contentHash(
  tickId: string,
  timestamp: number | null,
  rows: readonly (PlatformRow | ShownTransaction)[],
): Pieces<Hash> {
  const parts: Hash[] = []
  for (let start = 0; start < rows.length; start += ITEMS_OF_PIECE) {
    if (start > 0) yield
    parts.push(sha256Hex(JSON.stringify(rows.slice(start, start + ITEMS_OF_PIECE).map(valuesOf))))
  }
  return sha256Hex(JSON.stringify([tickId, timestamp, parts]))
}

/** The values alone, in a fixed order: one JSON text of many rows costs a tenth of a canonical text for each row. */
function valuesOf(row: PlatformRow | ShownTransaction): readonly (string | number)[] {
  if (row.kind === 'redacted') return [row.kind, row.tx_hash]
  const { kind, id, timestamp } = row
  switch (kind) {
    case 'trade':
      return row.payload === undefined ? tradeValues(row) : [...tradeValues(row), row.payload]
    case 'correction':
      return [kind, id, row.corrects, row.kwh_delta, row.amount_delta, row.reason, timestamp]
    case 'registry':
      return [kind, id, row.signature, timestamp]
  }
}

type TradeRow = Extract<PlatformRow, { readonly kind: 'trade' }>

const tradeValues = (row: TradeRow): readonly (string | number)[] => [
  row.kind,
  row.id,
  row.from_user_id,
  row.to_user_id,
  row.kwh,
  row.price_per_kwh,
  row.total_amount,
  row.timestamp,
]
