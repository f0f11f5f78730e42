import { ledgerError } from '../../ports/errors.ts'
import type { MarketStore } from '../../ports/market-store.ts'
import { REQUEST_VALIDITY_MS } from '../../protocol/limits.ts'
import type { SqlDialect } from './dialect.ts'
import type { Database } from './schema.ts'

const CHAIN_ID = 'chain_id'

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
): Pick<MarketStore, 'chainId' | 'bindChain' | 'rememberRequest'> {
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
