import type { TickDifference } from '../ports/errors.ts'
import type { PlatformRow, PlatformTick } from '../ports/ledger.ts'
import type { StoredTick } from '../ports/market-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { sha256Hex } from '../protocol/hash.ts'
import type { Transaction } from '../protocol/transaction.ts'
import { differenceOfRows } from '../protocol/transaction-difference.ts'

/** By what a repetition of a tick is recognised: what was asked for, without what this node adds to it. */

/** A market tick is known by its id alone: asking again answers the same, whatever the time. */
export const MARKET_CONTENT = sha256Hex('market')

/** What a platform asked for: equal content, equal hash. */
export const platformContent = ({ tick_id, timestamp, transactions }: PlatformTick): Hash =>
  contentHash(tick_id, timestamp, transactions)

/**
 * What is known of a tick that was put back from its block. A block does not hold its tick's time (its header's is that of
 * the parent, where the tick was late), so whoever asks again is compared row by row and not by the tick's time: the
 * rows with their own times are all that was sealed.
 */
export const restoredContent = (tickId: string, rows: readonly (PlatformRow | Transaction)[]): Hash =>
  contentHash(tickId, null, rows)

/** True if a platform's tick is the one that is stored. */
export const isSameContent = (stored: StoredTick, tick: PlatformTick, content: Hash): boolean =>
  stored.content_hash === (stored.source === 'restored' ? restoredContent(tick.tick_id, tick.transactions) : content)

/** What differs between a committed tick and one that claims its id, as the fields of `tick_conflict`. */
export function differenceOf(stored: StoredTick, tick: PlatformTick): TickDifference {
  if (stored.source === 'market') return { difference: 'it was run by the built-in market' }
  if (stored.source === 'registry') return { difference: 'it is a change of the registry' }
  const rows = differenceOfRows(stored.transactions, tick.transactions, ['tick_id', 'nonce'])
  if (rows !== undefined) return rows
  const [committed, sent] = [stored.timestamp, tick.timestamp]
  return { difference: `timestamp is ${sent}, committed is ${committed}`, field: 'timestamp', stored: committed, sent }
}

function contentHash(tickId: string, timestamp: number | null, rows: readonly (PlatformRow | Transaction)[]): Hash {
  return sha256Hex(JSON.stringify([tickId, timestamp, rows.map(valuesOf)]))
}

/** The values alone, in a fixed order: one JSON text of a whole tick costs a tenth of a canonical text for each row. */
function valuesOf(row: PlatformRow | Transaction): readonly (string | number)[] {
  const { kind, id, timestamp } = row
  switch (kind) {
    case 'trade':
      return [kind, id, row.from_user_id, row.to_user_id, row.kwh, row.price_per_kwh, row.total_amount, timestamp]
    case 'correction':
      return [kind, id, row.corrects, row.kwh_delta, row.amount_delta, row.reason, timestamp]
    case 'registry':
      return [kind, id, row.signature, timestamp]
  }
}
