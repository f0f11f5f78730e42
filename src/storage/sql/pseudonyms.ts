import type { MarketStore } from '../../ports/market-store.ts'
import type { PseudonymStore } from '../../ports/pseudonym-store.ts'
import { chunks, IN_LIST } from './chunks.ts'
import type { Database } from './schema.ts'

const CHECK = 'pseudonym_check'

/** Who the users of a pseudonymous ledger are. */
export function pseudonymsTable(db: Database): Pick<MarketStore, keyof PseudonymStore> {
  async function pseudonymCheck() {
    const row = await db.selectFrom('meta').select('value').where('key', '=', CHECK).executeTakeFirst()
    return row?.value
  }

  return {
    pseudonymCheck,

    async bindPseudonyms(check) {
      await db
        .insertInto('meta')
        .values({ key: CHECK, value: check })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute()
      return (await pseudonymCheck()) ?? check
    },

    async putPseudonyms(users) {
      for (const part of chunks(users, IN_LIST)) {
        await db
          .insertInto('pseudonyms')
          .values(part.map(({ user_id, pseudonym }) => ({ user_id, pseudonym })))
          .onConflict((conflict) => conflict.column('user_id').doNothing())
          .execute()
      }
    },

    async usersOfPseudonyms(pseudonyms) {
      const known = []
      for (const part of chunks(pseudonyms, IN_LIST)) {
        known.push(...(await db.selectFrom('pseudonyms').selectAll().where('pseudonym', 'in', part).execute()))
      }
      return known
    },

    async pseudonymOfUser(userId) {
      const row = await db.selectFrom('pseudonyms').select('pseudonym').where('user_id', '=', userId).executeTakeFirst()
      return row?.pseudonym
    },
  }
}
