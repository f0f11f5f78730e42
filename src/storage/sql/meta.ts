import { sql } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import type { MarketStore } from '../../ports/market-store.ts'
import { REQUEST_VALIDITY_MS } from '../../protocol/limits.ts'
import type { SqlDialect } from './dialect.ts'
import type { Database } from './schema.ts'

const CHAIN_ID = 'chain_id'
/** Counts the writes that were made to see whether the database can be written to. */
const WRITE_CHECKS = 'write_checks'

/**
 * A request is accepted within REQUEST_VALIDITY_MS before or after this clock. So when a request arrives, one whose
 * id expired more than twice that before this one's does is too old to be accepted again, and its id may go. Time comes
 * in with the requests; the store has no clock.
 */
const PRUNE_BEHIND_MS = 2 * REQUEST_VALIDITY_MS

/** What belongs to the database as a whole: its chain, and the ids of requests that were used. */
export function metaTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'chainId' | 'bindChain' | 'rememberRequest' | 'checkWritable'> {
  async function chainId() {
    const row = await db.selectFrom('meta').select('value').where('key', '=', CHAIN_ID).executeTakeFirst()
    return row?.value
  }

  return {
    chainId,

    async bindChain(chain_id) {
      await db
        .insertInto('meta')
        .values({ key: CHAIN_ID, value: chain_id })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute()
      const bound = await chainId()
      if (bound !== chain_id) throw ledgerError('wrong_chain', { chain_id, expected: bound ?? 'none' })
    },

    async checkWritable() {
      // Another value each time: SQLite does not write what is there already.
      const value = sql<string>`cast(cast(meta.value as bigint) + 1 as text)`
      await db
        .insertInto('meta')
        .values({ key: WRITE_CHECKS, value: '1' })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute()
    },

    rememberRequest: (id, expiresAt) =>
      dialect.write(db, async (trx) => {
        await trx
          .deleteFrom('requests')
          .where('expires_at', '<', BigInt(expiresAt - PRUNE_BEHIND_MS))
          .execute()
        const inserted = await trx
          .insertInto('requests')
          .values({ id, expires_at: BigInt(expiresAt) })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .returning('id')
          .executeTakeFirst()
        return inserted !== undefined
      }),
  }
}
