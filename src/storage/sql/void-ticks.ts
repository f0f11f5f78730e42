import { sql, type Selectable } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import type { MarketStore, VoidTick } from '../../ports/market-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from '../../protocol/limits.ts'
import { array } from '../../protocol/shape.ts'
import { leafOf, shownTransactionShape, type ShownTransaction } from '../../protocol/transaction.ts'
import { decodeText, decodeValue } from '../decode.ts'
import { lastHash } from './blocks.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { takeBackFills } from './fills.ts'
import { decodeShown, toSafeInteger } from './rows.ts'
import type { Database, VoidTicksTable } from './schema.ts'
import { sourceShape } from './sealed-ticks.ts'

type Why = Parameters<MarketStore['voidTick']>[1]

/** Committed ticks that can never be sealed. */
export function voidTicksTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'voidTick' | 'voidTicks' | 'voidTickCount'> {
  return {
    voidTick: (tickId, why) => dialect.write(db, (trx) => moveToVoid(trx, tickId, why)),

    async voidTicks(tickId) {
      const rows = db.selectFrom('void_ticks').selectAll().orderBy('tick_id')
      const asked = tickId === undefined ? rows : rows.where('tick_id', '=', tickId)
      return (await asked.execute()).map(decodeVoid)
    },

    async voidTickCount() {
      const { count } = await db
        .selectFrom('void_ticks')
        .select((select) => select.fn.countAll<bigint>().as('count'))
        .executeTakeFirstOrThrow()
      return toSafeInteger(count, 'void_ticks count')
    },
  }
}

/** What these transactions say, and what corrects them, leaves the void ticks too. */
export async function forgetVoidBodies(trx: WriteTransaction, ids: ReadonlySet<string>): Promise<void> {
  const tells = (tx: ShownTransaction): boolean =>
    tx.kind !== 'redacted' && (ids.has(tx.id) || (tx.kind === 'correction' && ids.has(tx.corrects)))
  for (const row of await trx.selectFrom('void_ticks').selectAll().execute()) {
    const { tick_id, transactions } = decodeVoid(row)
    if (!transactions.some(tells)) continue
    const left = transactions.map((tx): ShownTransaction =>
      tells(tx) ? { kind: 'redacted', tx_hash: leafOf(tx) } : tx,
    )
    await trx
      .updateTable('void_ticks')
      .set({ transactions: canonicalText(left) })
      .where('tick_id', '=', tick_id)
      .execute()
  }
}

async function moveToVoid(trx: WriteTransaction, tickId: string, { parent, reason, at }: Why): Promise<void> {
  const tip = await lastHash(trx)
  if (tip !== parent) {
    throw ledgerError('tip_moved', { tick_id: tickId, parent, reason: `the chain ends at ${tip ?? 'nothing'}` })
  }
  const tick = await trx
    .selectFrom('ticks')
    .select(['sequence', 'timestamp', 'source'])
    .where('tick_id', '=', tickId)
    .where(sql<boolean>`unsealed = 1`)
    .executeTakeFirst()
  if (tick === undefined) return
  const rows = await trx
    .selectFrom('transactions')
    .selectAll()
    .where('tick_id', '=', tickId)
    .orderBy('position')
    .execute()
  const shown = rows.map(decodeShown)
  const { timestamp, source } = tick
  const transactions = canonicalText(shown)
  await trx
    .insertInto('void_ticks')
    .values({ tick_id: tickId, timestamp, source, transactions, reason, voided_at: BigInt(at) })
    .execute()
  for (const voterId of shown.flatMap(enrolledBy)) await forgetUser(trx, voterId, tick.sequence)
  await removeTick(trx, tickId)
}

const enrolledBy = (tx: ShownTransaction): readonly string[] =>
  tx.kind === 'registry' && tx.action === 'enrol' ? [tx.subject_id] : []

/**
 * An enrolment that came to nothing gave this voter its user, unless an earlier one did: an id is enrolled
 * once. Who enrols it next may have another user in mind, and none at all.
 */
async function forgetUser(trx: WriteTransaction, voterId: string, sequence: bigint): Promise<void> {
  const earlier = await trx
    .selectFrom('transactions')
    .innerJoin('ticks', 'ticks.tick_id', 'transactions.tick_id')
    .selectAll('transactions')
    .where('transactions.kind', '=', 'registry')
    .where('ticks.sequence', '<', sequence)
    .execute()
  if (earlier.map(decodeShown).flatMap(enrolledBy).includes(voterId)) return
  await trx.deleteFrom('voter_users').where('voter_id', '=', voterId).execute()
}

/** Takes a tick without a block out of the tables, as if it had never been committed. */
export async function removeTick(trx: WriteTransaction, tickId: string): Promise<void> {
  await takeBackFills(trx, tickId)
  await trx.deleteFrom('transactions').where('tick_id', '=', tickId).execute()
  await trx.deleteFrom('ticks').where('tick_id', '=', tickId).execute()
}

const rowsShape = array(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK)

/** Throws `corrupt`. */
function decodeVoid({ tick_id, reason, ...row }: Selectable<VoidTicksTable>): VoidTick {
  const place = `void_ticks ${tick_id}`
  return {
    tick_id,
    reason,
    timestamp: toSafeInteger(row.timestamp, `${place} timestamp`),
    source: decodeValue(`${place} source`, row.source, sourceShape),
    transactions: decodeText(`${place} transactions`, row.transactions, rowsShape),
    voided_at: toSafeInteger(row.voided_at, `${place} voided_at`),
  }
}
