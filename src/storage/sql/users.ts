import type { MarketStore, TickCommit } from '../../ports/market-store.ts'
import { chunks, IN_LIST } from './chunks.ts'
import type { WriteTransaction } from './dialect.ts'
import type { Database } from './schema.ts'

/** Which platform user a voter belongs to. */
export function usersTable(db: Database): Pick<MarketStore, 'users' | 'votersOf' | 'nameUsers'> {
  return {
    async users(voterId) {
      const rows = db.selectFrom('voter_users').selectAll().orderBy('voter_id')
      const asked = voterId === undefined ? rows : rows.where('voter_id', '=', voterId)
      return new Map((await asked.execute()).map(({ voter_id, user_id }) => [voter_id, user_id]))
    },

    async votersOf(userId) {
      const rows = db.selectFrom('voter_users').select('voter_id').where('user_id', '=', userId).orderBy('voter_id')
      return (await rows.execute()).map(({ voter_id }) => voter_id)
    },

    async nameUsers(users) {
      for (const part of chunks([...users], IN_LIST)) {
        const rows = part.map(([voter_id, user_id]) => ({ voter_id, user_id }))
        await db
          .insertInto('voter_users')
          .values(rows)
          .onConflict((conflict) => conflict.column('voter_id').doNothing())
          .execute()
      }
    },
  }
}

/** Remembers the user of a voter; the last word counts. */
export async function putUser(
  trx: WriteTransaction,
  { voter_id, user_id }: NonNullable<TickCommit['user']>,
): Promise<void> {
  await trx
    .insertInto('voter_users')
    .values({ voter_id, user_id })
    .onConflict((conflict) => conflict.column('voter_id').doUpdateSet({ user_id }))
    .execute()
}
