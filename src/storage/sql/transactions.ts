import type { MarketStore, TransactionPage, TransactionQuery } from '../../ports/market-store.ts'
import { identifier, refuse } from '../../protocol/shape.ts'
import { HOUR_OF_TIMESTAMP, hourWindows } from './hours.ts'
import { decodePlace, toSafeInteger, type PlacedRow } from './rows.ts'
import type { Database } from './schema.ts'

/** Committed transactions with the block that sealed them. */
export function transactionsTable(db: Database): Pick<MarketStore, 'transaction' | 'transactions'> {
  return {
    async transaction(id) {
      const row = await placed(db).where('transactions.id', '=', id).executeTakeFirst()
      return row && decodePlace(row)
    },

    async transactions(query) {
      const { user_id, limit } = query
      // One row more than asked for tells whether there is a next page.
      const rows = user_id === undefined ? await allOf(db, query) : await partyOf(db, query, user_id)
      const page = rows.slice(0, limit)
      return { transactions: page.map(decodePlace), next: rows.length > limit ? cursorOf(page) : null }
    },
  }
}

const placed = (db: Database) =>
  db
    .selectFrom('transactions')
    .leftJoin('blocks', 'blocks.tick_id', 'transactions.tick_id')
    .selectAll('transactions')
    .select(['blocks.block_hash', 'blocks.height'])

async function allOf(db: Database, query: TransactionQuery): Promise<PlacedRow[]> {
  return await inOrder(placed(db), query, query.limit + 1).execute()
}

/** Goes through the hours of the range until the page is full (see hours.ts). */
async function partyOf(db: Database, query: TransactionQuery, userId: string): Promise<PlacedRow[]> {
  const { from, to } = await occupied(db, query)
  const found: PlacedRow[] = []
  for (const hours of hourWindows(from, to)) {
    const missing = query.limit + 1 - found.length
    const rows = await inOrder(
      placed(db).where((where) =>
        where.or(
          (['from_user_id', 'to_user_id'] as const).map((party) =>
            where.and([where(HOUR_OF_TIMESTAMP, 'in', hours), where(party, '=', userId)]),
          ),
        ),
      ),
      query,
      missing,
    ).execute()
    found.push(...rows)
    if (rows.length === missing) break
  }
  return found
}

/** The part of the query's range in which there are transactions, so that an open range ends. */
async function occupied(db: Database, query: TransactionQuery): Promise<{ from: number; to: number }> {
  const edge = async (direction: 'asc' | 'desc') => {
    const row = await db
      .selectFrom('transactions')
      .select('timestamp')
      .orderBy('timestamp', direction)
      .limit(1)
      .executeTakeFirst()
    return row && toSafeInteger(row.timestamp, 'transactions timestamp')
  }
  const [first, last] = [await edge('asc'), await edge('desc')]
  if (first === undefined || last === undefined) return { from: 0, to: 0 }
  const start = query.after === undefined ? query.from : parseCursor(query.after).timestamp
  return { from: Math.max(start, query.from, first), to: Math.min(query.to, last + 1) }
}

type Placed = ReturnType<typeof placed>

/** Time range, cursor, order and limit, as every page has them. */
function inOrder(builder: Placed, { from, to, after, corrects }: TransactionQuery, limit: number): Placed {
  const asked = corrects === undefined ? builder : builder.where('transactions.corrects', '=', corrects)
  const ranged = asked
    .where('transactions.timestamp', '>=', BigInt(from))
    .where('transactions.timestamp', '<', BigInt(to))
    .orderBy('transactions.timestamp')
    .orderBy('transactions.id')
    .limit(limit)
  if (after === undefined) return ranged
  const { timestamp, id } = parseCursor(after)
  return ranged.where((where) =>
    where(where.refTuple('transactions.timestamp', 'transactions.id'), '>', where.tuple(BigInt(timestamp), id)),
  )
}

/** A cursor is the place of the last transaction of a page, `<timestamp>:<id>`. */
function cursorOf(rows: readonly PlacedRow[]): TransactionPage['next'] {
  const last = rows.at(-1)
  return last === undefined ? null : `${last.timestamp}:${last.id}`
}

/** Throws `malformed`. */
function parseCursor(cursor: string): { readonly timestamp: number; readonly id: string } {
  const [, time, id] = /^([0-9]{1,16}):(.*)$/.exec(cursor) ?? []
  const timestamp = Number(time)
  if (!Number.isSafeInteger(timestamp)) refuse('after', 'a cursor that an earlier page gave', cursor)
  return { timestamp, id: identifier(id, 'after') }
}
