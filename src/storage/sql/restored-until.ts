import { sql, type RawBuilder } from 'kysely'
import { corrupt } from '../decode.ts'
import type { WriteTransaction } from './dialect.ts'
import { toSafeInteger } from './rows.ts'
import type { Database } from './schema.ts'

/**
 * In `meta`, Unix milliseconds: up to these times blocks that were put back may have sealed what this store does not
 * know of. Orders that they may have traded, and ticks of which nobody has a transaction left.
 */
type RestoredUntil = 'orders_closed_until' | 'ticks_unknown_until'

/** The stored time as text inside another statement, so that both are of one moment; null if there is none. */
export const untilText = (name: RestoredUntil): RawBuilder<string | null> =>
  sql<string | null>`(select value from meta where key = ${sql.lit(name)})`

/** `undefined` if there is none. Throws `corrupt`. */
export async function readUntil(db: Database | WriteTransaction, name: RestoredUntil): Promise<bigint | undefined> {
  const row = await db.selectFrom('meta').select('value').where('key', '=', name).executeTakeFirst()
  return row && decodeUntil(name, row.value)
}

/** Throws `corrupt`. */
export function decodeUntil(name: RestoredUntil, text: string): bigint {
  if (!/^[0-9]{1,16}$/.test(text)) throw corrupt(`meta ${name}`, 'a time in milliseconds', text)
  const time = BigInt(text)
  toSafeInteger(time, `meta ${name}`)
  return time
}

/** It is never put back to an earlier time. */
export async function raiseUntil(trx: WriteTransaction, name: RestoredUntil, time: bigint): Promise<void> {
  const before = await readUntil(trx, name)
  if (before !== undefined && before >= time) return
  const value = String(time)
  await trx
    .insertInto('meta')
    .values({ key: name, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}
