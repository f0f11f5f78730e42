import { sql } from 'kysely'
import type { TickCommit } from '../../ports/market-store.ts'
import { corrupt } from '../decode.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'

/** An order that a tick has matched was taken out of the book meanwhile. */
export class BookMoved extends Error {}

/**
 * Takes the fills of a tick from the open rest of its orders and remembers by which trades. Throws `BookMoved`, or `corrupt`
 * if an order is not there or has less left than is taken: the market matched something else than the book that is stored.
 */
export async function applyFills(
  trx: WriteTransaction,
  dialect: SqlDialect,
  { tick_id, fills }: TickCommit,
): Promise<void> {
  if (fills.length === 0) return
  await dialect.insertRows(trx, {
    table: 'order_trades',
    shared: { tick_id },
    columns: ['order_id', 'transaction_id', 'kwh_micro'],
    rows: fills.map(({ order_id, transaction_id, kwh_micro }) => [order_id, transaction_id, kwh_micro]),
  })
  const { numUpdatedRows } = await trx
    .updateTable('orders')
    .from(takenIn(trx, tick_id).as('taken'))
    .set({ open_micro: sql<bigint>`orders.open_micro - taken.kwh_micro` })
    .whereRef('orders.order_id', '=', 'taken.order_id')
    .whereRef('orders.open_micro', '>=', 'taken.kwh_micro')
    .executeTakeFirst()
  const orders = new Set(fills.map(({ order_id }) => order_id))
  if (numUpdatedRows !== BigInt(orders.size)) throw await overfilled(trx, tick_id)
}

/** Gives the orders back what a tick has taken from them. */
export async function takeBackFills(trx: WriteTransaction, tickId: string): Promise<void> {
  await trx
    .updateTable('orders')
    .from(takenIn(trx, tickId).as('taken'))
    .set({ open_micro: sql<bigint>`orders.open_micro + taken.kwh_micro` })
    .whereRef('orders.order_id', '=', 'taken.order_id')
    .where('orders.closed', 'is', null)
    .execute()
  await trx.deleteFrom('order_trades').where('tick_id', '=', tickId).execute()
}

/** What a tick takes from each order. Sums of BIGINT are NUMERIC in PostgreSQL, hence the cast. */
function takenIn(trx: WriteTransaction, tickId: string) {
  return trx
    .selectFrom('order_trades')
    .select(['order_id', sql<bigint>`cast(sum(kwh_micro) as bigint)`.as('kwh_micro')])
    .where('tick_id', '=', tickId)
    .groupBy('order_id')
}

/** What is wrong with the first order that cannot give what the tick takes; its rest is already reduced if it could. */
async function overfilled(trx: WriteTransaction, tickId: string): Promise<Error> {
  const row = await trx
    .selectFrom(takenIn(trx, tickId).as('taken'))
    .leftJoin('orders', 'orders.order_id', 'taken.order_id')
    .select(['taken.order_id', 'taken.kwh_micro', 'orders.open_micro', 'orders.closed'])
    .where((where) =>
      where.or([where('orders.open_micro', 'is', null), where('orders.open_micro', '<', where.ref('taken.kwh_micro'))]),
    )
    .orderBy('taken.order_id')
    .executeTakeFirst()
  if (row !== undefined && row.closed !== null) return new BookMoved(`order ${row.order_id} is ${row.closed}`)
  const found = row?.open_micro === null || row === undefined ? 'no such order' : String(row.open_micro)
  return corrupt(`orders ${row?.order_id ?? ''} open_micro`, `at least ${String(row?.kwh_micro)} micro-kWh`, found)
}
