import { sql } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import type { BlockRow, MarketStore } from '../../ports/market-store.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { decodeBlock, encodeSealed, toSafeInteger } from './rows.ts'
import type { Database } from './schema.ts'

/** The fence: one row a height, with the whole sealed header. */
export function blocksTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'fence' | 'blocks' | 'lastBlock' | 'blockByHash' | 'finalizeUpTo' | 'finalHeight'> {
  return {
    fence: (row) => dialect.write(db, (trx) => insertBlock(trx, row)),

    async blocks(fromHeight, limit) {
      const rows = await db
        .selectFrom('blocks')
        .selectAll()
        .where('height', '>=', BigInt(fromHeight))
        .orderBy('height')
        .limit(limit)
        .execute()
      return rows.map(decodeBlock)
    },

    async lastBlock() {
      const row = await db.selectFrom('blocks').selectAll().orderBy('height', 'desc').limit(1).executeTakeFirst()
      return row && decodeBlock(row)
    },

    async blockByHash(hash) {
      const row = await db.selectFrom('blocks').selectAll().where('block_hash', '=', hash).executeTakeFirst()
      return row && decodeBlock(row)
    },

    async finalizeUpTo(height, at) {
      await db
        .updateTable('blocks')
        .set({ finalized_at: BigInt(at) })
        .where('height', '<=', BigInt(height))
        .where('finalized_at', 'is', null)
        .execute()
    },

    async finalHeight() {
      const { rows } = await FINAL_HEIGHT.execute(db)
      return toSafeInteger(rows[0]?.height ?? -1n, 'blocks final height')
    },
  }
}

/** Final blocks are those below the first that is not: one step in the index of the others, however many there are. */
const FINAL_HEIGHT = sql<{ readonly height: bigint }>`
  select coalesce(
    (select min(height) from blocks where finalized_at is null) - 1,
    (select max(height) from blocks),
    -1
  ) as height`

/**
 * Inserts the row, and its tick has a block then. The same row again is fine; throws `fenced` for another, `missing_parent`
 * for one that does not follow the row below it.
 */
export async function insertBlock(trx: WriteTransaction, row: BlockRow): Promise<void> {
  const { height, block_hash, tick_id } = row
  const sealed = encodeSealed(row.sealed)
  const finalized_at = row.finalized_at === null ? null : BigInt(row.finalized_at)
  const inserted = await trx
    .insertInto('blocks')
    .values({ height: BigInt(height), block_hash, tick_id, sealed, finalized_at })
    .onConflict((conflict) => conflict.doNothing())
    .returning('height')
    .executeTakeFirst()
  if (inserted !== undefined) {
    await checkParent(trx, row)
    await trx.updateTable('ticks').set({ unsealed: 0n }).where('tick_id', '=', tick_id).execute()
    return
  }
  const [stored] = await trx
    .selectFrom('blocks')
    .selectAll()
    .where((where) =>
      where.or([
        where('height', '=', BigInt(height)),
        where('tick_id', '=', tick_id),
        where('block_hash', '=', block_hash),
      ]),
    )
    // A row of this height tells more than one of this tick.
    .orderBy(sql`case when height = ${BigInt(height)} then 0 else 1 end`)
    .execute()
  const isSame = stored?.height === BigInt(height) && stored.tick_id === tick_id && stored.sealed === sealed
  if (!isSame) throw ledgerError('fenced', { height, tick_id, sealed: stored?.block_hash ?? 'unknown' })
}

/** Heights have no gap, also where the database has lost rows that it had acknowledged. */
async function checkParent(trx: WriteTransaction, { height, sealed }: BlockRow): Promise<void> {
  if (height === 0) return
  const { prev_hash } = sealed.header
  const below = await trx
    .selectFrom('blocks')
    .select('block_hash')
    .where('height', '=', BigInt(height - 1))
    .executeTakeFirst()
  if (below?.block_hash === prev_hash) return
  throw ledgerError('missing_parent', { height, prev_hash, found: below?.block_hash ?? 'nothing' })
}

/** The hash of the last block; null before the first. */
export async function lastHash(trx: WriteTransaction): Promise<string | null> {
  const last = await trx.selectFrom('blocks').select('block_hash').orderBy('height', 'desc').limit(1).executeTakeFirst()
  return last?.block_hash ?? null
}
