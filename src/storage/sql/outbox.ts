import { sql } from 'kysely'
import type { MarketStore } from '../../ports/market-store.ts'
import { MAX_TICK_BYTES } from '../../protocol/limits.ts'
import type { SqlDialect } from './dialect.ts'
import type { Database } from './schema.ts'

/** The condition of a partial index, and of what is to use it. */
export const WAITS = sql<boolean>`done_at is null and error_code is null`
export const PARKED = sql<boolean>`error_code is not null`

/** The rows that platforms write by themselves, in their own transactions. */
export function outboxTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'outboxRows' | 'outboxTick' | 'finishOutboxRow' | 'parkOutboxRow' | 'outboxCounts' | 'onOutbox'> {
  async function count(condition: typeof WAITS): Promise<number> {
    const { rows } = await db
      .selectFrom('ledger_outbox')
      .select((select) => select.fn.countAll<bigint>().as('rows'))
      .where(condition)
      .executeTakeFirstOrThrow()
    return Number(rows)
  }

  return {
    async outboxRows(limit) {
      const rows = await db.selectFrom('ledger_outbox').select('id').where(WAITS).orderBy('id').limit(limit).execute()
      return rows.map(({ id }) => id)
    },

    async outboxTick(id) {
      const size = sql<bigint>`cast(octet_length(tick) as bigint)`
      const row = await db
        .selectFrom('ledger_outbox')
        .select(size.as('size'))
        .select(
          sql<
            Uint8Array | ArrayBuffer | null
          >`case when ${size} <= ${MAX_TICK_BYTES} then ${dialect.bytesOf('tick')} end`.as('bytes'),
        )
        .where('id', '=', id)
        .where(WAITS)
        .executeTakeFirst()
      if (row === undefined) return undefined
      return row.bytes === null ? { tooLong: Number(row.size) } : { bytes: new Uint8Array(row.bytes) }
    },

    async finishOutboxRow(id, { tick_id, block_hash }, at) {
      await db
        .updateTable('ledger_outbox')
        .set({ tick: null, tick_id, block_hash, done_at: BigInt(at) })
        .where('id', '=', id)
        .where(WAITS)
        .execute()
    },

    async parkOutboxRow(id, { code, reason }) {
      await db
        .updateTable('ledger_outbox')
        .set({ error_code: code, error_reason: reason })
        .where('id', '=', id)
        .where(WAITS)
        .execute()
    },

    outboxCounts: async () => ({ waiting: await count(WAITS), parked: await count(PARKED) }),

    onOutbox: (wake) => dialect.listen(OUTBOX_CHANNEL, wake),
  }
}

/** The channel on which PostgreSQL tells of new rows. */
export const OUTBOX_CHANNEL = 'solar_node_outbox'
