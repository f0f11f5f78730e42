import { sql } from 'kysely'
import { corrupt } from '../decode.ts'
import type { WriteTransaction } from './dialect.ts'
import { toSafeInteger } from './rows.ts'
import type { Database } from './schema.ts'

/** In `meta`: the time up to which orders were placed that a restored block may have traded, Unix milliseconds. */
const CLOSED_UNTIL = 'orders_closed_until'

/** The stored time as text inside another statement, so that both are of one moment; null if nothing was ever restored. */
export const CLOSED_UNTIL_TEXT = sql<string | null>`(select value from meta where key = ${sql.lit(CLOSED_UNTIL)})`

/** Orders with a timestamp up to this never match again; `undefined` if nothing was ever restored. Throws `corrupt`. */
export async function ordersClosedUntil(db: Database | WriteTransaction): Promise<bigint | undefined> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', CLOSED_UNTIL).executeTakeFirst()
  return row && decodeClosedUntil(row.value)
}

/** Throws `corrupt`. */
export function decodeClosedUntil(text: string): bigint {
  if (!/^[0-9]{1,16}$/.test(text)) throw corrupt(`meta ${CLOSED_UNTIL}`, 'a time in milliseconds', text)
  const time = BigInt(text)
  toSafeInteger(time, `meta ${CLOSED_UNTIL}`)
  return time
}

/** Orders with a timestamp up to `time` never match from now on. */
export async function closeOrdersUntil(trx: WriteTransaction, time: bigint): Promise<void> {
  const before = await ordersClosedUntil(trx)
  if (before !== undefined && before >= time) return
  const value = String(time)
  await trx
    .insertInto('meta')
    .values({ key: CLOSED_UNTIL, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}
