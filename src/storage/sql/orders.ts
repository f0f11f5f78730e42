import { sql, type Selectable } from 'kysely'
import type { BookLimits, MarketStore, OrderState, PutOrder } from '../../ports/market-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { parseQuantity } from '../../protocol/decimal.ts'
import type { Order } from '../../protocol/order.ts'
import { corrupt } from '../decode.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { decodeUntil, readUntil, untilText } from './restored-until.ts'
import { decodeOpenOrder, decodeOrder, toSafeInteger } from './rows.ts'
import type { Database, OrdersTable, Schema } from './schema.ts'

/** `valid_until`, or the end of time: the indexed expression by which open orders are found. */
export const END_OF_ORDER = sql<bigint>`coalesce(valid_until, 9223372036854775807)`

/** The market's time: that of its latest tick; null before the first. */
const marketTime = sql<bigint | null>`(
  select any_tick.timestamp from ticks as any_tick where any_tick.source <> 'registry'
  order by any_tick.timestamp desc limit 1)`

/** Orders and what became of them. Their open rest is reduced by `commitTick` alone. */
export function ordersTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'putOrder' | 'order' | 'cancelOrder' | 'expireOrders' | 'openOrders'> {
  return {
    async putOrder(order, at, mostOpen) {
      const { order_id, user_id, timestamp, valid_until } = order
      const stored = await storedOrder(db, order_id).executeTakeFirst()
      if (stored !== undefined) return compare(stored, order)
      if ((await openOrdersOf(db, user_id)) >= mostOpen) return 'too_many'
      if (valid_until === timestamp + 1) return await dialect.write(db, (trx) => putForOneMoment(trx, order, at))
      if (await insertOrder(db, order, at)) return 'created'
      return compare(await storedOrder(db, order_id).executeTakeFirstOrThrow(), order)
    },

    order: (orderId) => orderState(db, orderId),

    async cancelOrder(orderId) {
      await closeOrders(db, 'cancelled').where('order_id', '=', orderId).execute()
      return await orderState(db, orderId)
    },

    async expireOrders(before) {
      await closeOrders(db, 'expired').where('placed_at', '<', BigInt(before)).execute()
    },

    async openOrders(at, most) {
      // None is reopened between the statements: blocks are restored and ticks are run one at a time.
      const closedUntil = (await readUntil(db, 'orders_closed_until')) ?? -1n
      const live = liveOrders(at, closedUntil)
      const { count, last } = await db
        .selectFrom('orders')
        .select((select) => [
          select.fn.countAll<bigint>().as('count'),
          select.fn.max<bigint | null>('sequence').as('last'),
        ])
        .where(live)
        .executeTakeFirstOrThrow()
      const last_order = toSafeInteger(last ?? 0n, 'orders sequence')
      const rows =
        count <= most.orders
          ? await db.selectFrom('orders').selectAll().where(live).execute()
          : await crossingOrders(db, dialect, live, most)
      // Sorted here: asked for this order, SQLite would rather walk through all orders there ever were.
      return { orders: rows.map(decodeOpenOrder).sort((a, b) => a.sequence - b.sequence), last_order }
    },
  }
}

/** The literal is for SQLite, which takes the partial index only for the index's own condition. */
const liveOrders = (at: number, closedUntil: bigint) => sql<boolean>`
  open_micro > 0 and ${END_OF_ORDER} > ${BigInt(at)} and timestamp <= ${BigInt(at)} and timestamp > ${closedUntil}`

/** Those of a book that is too large for one clearing that could trade, best first; see `MarketStore.openOrders`. */
async function crossingOrders(
  db: Database,
  { priceMicro }: SqlDialect,
  live: ReturnType<typeof liveOrders>,
  { orders, ofUser }: BookLimits,
): Promise<readonly Selectable<Schema['orders']>[]> {
  const { rows } = await sql<Selectable<Schema['orders']>>`
    with live as (select orders.*, ${priceMicro} as price from orders where ${live}),
    bounds as (
      select max(case when side = 'buy' then price end) as highest, min(case when side = 'sell' then price end) as lowest
      from live),
    crossing as (
      select live.*, case when side = 'sell' then price else -price end as turn from live, bounds
      where (side = 'sell' and price <= highest) or (side = 'buy' and price >= lowest)),
    of_user as (
      select crossing.*, row_number() over (partition by side, user_id order by turn, sequence) as nth
      from crossing),
    of_side as (
      select of_user.*, row_number() over (partition by side order by turn, sequence) as place
      from of_user where nth <= ${BigInt(ofUser)})
    select sequence, order_id, user_id, side, kwh, price_per_kwh, timestamp, valid_until, open_micro
    from of_side where place <= ${BigInt(orders / 2)}`.execute(db)
  return rows
}

type Connection = Database | WriteTransaction

/** Takes what is left of orders out of the book. */
const closeOrders = (db: Database, closed: NonNullable<OrdersTable['closed']>) =>
  db
    .updateTable('orders')
    .set({ open_micro: 0n, closed })
    .where(sql<boolean>`open_micro > 0`)

/** How many orders a user has in the book. Time is that of the market. */
async function openOrdersOf(db: Database, userId: string): Promise<number> {
  const { count } = await db
    .selectFrom('orders')
    .select((select) => select.fn.countAll<bigint>().as('count'))
    .where('user_id', '=', userId)
    .where(sql<boolean>`open_micro > 0`)
    .where(END_OF_ORDER, '>', sql<bigint>`coalesce(${marketTime}, -1)`)
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** True if it is new. */
async function insertOrder(db: Connection, order: Order, at: number): Promise<boolean> {
  const { order_id, user_id, side, kwh, price_per_kwh, timestamp, valid_until } = order
  const inserted = await db
    .insertInto('orders')
    .values({
      order_id,
      user_id,
      side,
      kwh,
      price_per_kwh,
      timestamp: BigInt(timestamp),
      valid_until: valid_until === undefined ? null : BigInt(valid_until),
      open_micro: parseQuantity(kwh, 'order.kwh'),
      placed_at: BigInt(at),
    })
    .onConflict((conflict) => conflict.column('order_id').doNothing())
    .returning('sequence')
    .executeTakeFirst()
  return inserted !== undefined
}

const storedOrder = (db: Connection, orderId: string) =>
  db.selectFrom('orders').selectAll().where('order_id', '=', orderId)

const compare = (stored: Selectable<Schema['orders']>, order: Order): 'same' | 'different' =>
  !isRedacted(stored) && isSameOrder(decodeOrder(stored), order) ? 'same' : 'different'

/**
 * An order that one tick alone can match, in the transaction in which nobody commits a tick: either that tick is to come, and
 * finds the order (see `commitTick`), or it has run, and the order is refused.
 */
async function putForOneMoment(trx: WriteTransaction, order: Order, at: number): Promise<PutOrder> {
  const tick = await trx
    .selectFrom('ticks')
    .select('tick_id')
    .where('timestamp', '=', BigInt(order.timestamp))
    // What is known of a restored tick is its trades only; orders of its time never match again.
    .where('source', 'in', ['market', 'restored'])
    .orderBy('sequence')
    .limit(1)
    .executeTakeFirst()
  if (tick === undefined && (await insertOrder(trx, order, at))) return 'created'
  const stored = await storedOrder(trx, order.order_id).executeTakeFirst()
  if (stored !== undefined) return compare(stored, order)
  if (tick !== undefined) return { closed_by: tick.tick_id }
  throw corrupt(`orders ${order.order_id}`, 'the order that is in the way', 'no such order')
}

/** Whether an order for this one moment has arrived after `sequence`, and could be matched. */
export async function hasArrived(trx: WriteTransaction, at: number, sequence: number): Promise<boolean> {
  const closedUntil = (await readUntil(trx, 'orders_closed_until')) ?? -1n
  if (BigInt(at) <= closedUntil) return false
  const row = await trx
    .selectFrom('orders')
    .select('sequence')
    .where(sql<boolean>`open_micro > 0`)
    .where(END_OF_ORDER, '=', BigInt(at + 1))
    .where('timestamp', '=', BigInt(at))
    .where('sequence', '>', BigInt(sequence))
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Of such an order nothing is left but its id, by which it is known when it is placed again. */
const isRedacted = ({ user_id }: Pick<Selectable<Schema['orders']>, 'user_id'>): boolean => user_id === ''

/** Compares the order's own fields; a signature that came along is not stored. */
function isSameOrder(stored: Order, { order_id, user_id, side, kwh, price_per_kwh, timestamp, valid_until }: Order) {
  const order = { order_id, user_id, side, kwh, price_per_kwh, timestamp }
  return canonicalText(stored) === canonicalText(valid_until === undefined ? order : { ...order, valid_until })
}

/** One statement, so that the rest and the trades are of one moment. */
async function orderState(db: Database, orderId: string): Promise<OrderState | undefined> {
  const rows = await db
    .selectFrom('orders')
    .leftJoin('order_trades', 'order_trades.order_id', 'orders.order_id')
    .leftJoin('transactions', 'transactions.id', 'order_trades.transaction_id')
    .leftJoin('ticks', 'ticks.tick_id', 'transactions.tick_id')
    .leftJoin('blocks', 'blocks.tick_id', 'transactions.tick_id')
    .selectAll('orders')
    .select(['transactions.id', 'transactions.tx_hash', 'blocks.block_hash'])
    .select(marketTime.as('market_time'))
    .select(untilText('orders_closed_until').as('closed_until'))
    .where('orders.order_id', '=', orderId)
    .orderBy('ticks.sequence')
    .orderBy('transactions.position')
    .execute()
  const [order] = rows
  if (order === undefined || isRedacted(order)) return undefined
  const transactions = rows.flatMap(({ id, tx_hash, block_hash }) =>
    id === null || tx_hash === null ? [] : [{ id, tx_hash, block_hash }],
  )
  return { order: decodeOrder(order), status: statusOf(order, order.market_time, order.closed_until), transactions }
}

/** Time is the market's: the latest tick's, so that an order does not expire between two ticks that would match it. */
function statusOf(
  { kwh, open_micro, valid_until, timestamp, closed }: Selectable<Schema['orders']>,
  now: bigint | null,
  closedUntil: string | null,
): OrderState['status'] {
  if (closed !== null) return closed === 'cancelled' ? 'cancelled' : 'expired'
  if (open_micro === 0n) return 'filled'
  if (open_micro < parseQuantity(kwh)) return 'partial'
  if (closedUntil !== null && timestamp <= decodeUntil('orders_closed_until', closedUntil)) return 'expired'
  return valid_until !== null && now !== null && valid_until <= now ? 'expired' : 'open'
}
