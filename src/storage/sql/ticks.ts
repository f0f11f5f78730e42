import { sql } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import type { Committed, MarketStore, TickCommit } from '../../ports/market-store.ts'
import { inTurns } from '../../ports/turns.ts'
import { sealerRecovery, type CommittedTick } from '../../protocol/block.ts'
import { mapInPieces } from '../../protocol/pieces.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { decodeValue } from '../decode.ts'
import { correctedParties } from './corrections.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { applyFills, BookMoved } from './fills.ts'
import { hasArrived } from './orders.ts'
import { decodeUntil, untilText } from './restored-until.ts'
import { decodeBlock, decodeShown, decodeTransaction, toSafeInteger } from './rows.ts'
import type { Database } from './schema.ts'
import { sourceShape } from './sealed-ticks.ts'
import { insertTransactions, repeatedId } from './transaction-rows.ts'
import { putUser } from './users.ts'

/** Committed ticks with their transactions. */
export function ticksTable(
  db: Database,
  dialect: SqlDialect,
): Pick<MarketStore, 'commitTick' | 'tick' | 'nextUnsealedTick' | 'waitingRecovery' | 'transactionsOfTick'> {
  async function rowsOf(tickId: string) {
    return await db.selectFrom('transactions').selectAll().where('tick_id', '=', tickId).orderBy('position').execute()
  }

  return {
    async commitTick(tick) {
      try {
        return await dialect.write(db, (trx) => commit(trx, dialect, tick))
      } catch (error) {
        if (error instanceof BookMoved) return 'book_moved'
        if (isSolarError(error) || !dialect.isUniqueViolation(error)) throw error
        // Which id it was is asked only now: looking for each of them before would cost every tick.
        const id = await repeatedId(db, tick.transactions)
        throw id === undefined ? error : ledgerError('duplicate_transaction', { id })
      }
    },

    async tick(tickId) {
      const row = await db
        .selectFrom('ticks')
        .leftJoin('blocks', 'blocks.tick_id', 'ticks.tick_id')
        .select(['ticks.timestamp', 'ticks.source', 'ticks.content_hash'])
        .select(['blocks.height', 'blocks.block_hash', 'blocks.sealed', 'blocks.finalized_at'])
        .where('ticks.tick_id', '=', tickId)
        .executeTakeFirst()
      if (row === undefined) return undefined
      const { height, block_hash, sealed, finalized_at } = row
      const isSealed = height !== null && block_hash !== null && sealed !== null
      const transactions = await rowsOf(tickId)
      return {
        tick_id: tickId,
        timestamp: toSafeInteger(row.timestamp, `ticks ${tickId} timestamp`),
        transactions: await inTurns(mapInPieces(transactions, decodeShown)),
        tx_ids: transactions.map(({ id }) => id),
        source: decodeValue(`ticks ${tickId} source`, row.source, sourceShape),
        content_hash: row.content_hash,
        tx_hashes: transactions.map(({ tx_hash }) => tx_hash),
        block: isSealed ? decodeBlock({ height, block_hash, tick_id: tickId, sealed, finalized_at }) : null,
      }
    },

    async nextUnsealedTick() {
      const row = await db
        .selectFrom('ticks')
        .select(['tick_id', 'timestamp'])
        // Written as a literal: SQLite takes the partial index only for the index's own condition.
        .where(sql<boolean>`unsealed = 1`)
        .orderBy('sequence')
        .limit(1)
        .executeTakeFirst()
      if (row === undefined) return undefined
      const timestamp = toSafeInteger(row.timestamp, `ticks ${row.tick_id} timestamp`)
      const transactions = await inTurns(mapInPieces(await rowsOf(row.tick_id), decodeTransaction))
      return { tick_id: row.tick_id, timestamp, transactions }
    },

    waitingRecovery: (authorityId) => waitingRecovery(db, authorityId),

    async transactionsOfTick(tickId) {
      return await inTurns(mapInPieces(await rowsOf(tickId), decodeShown))
    },
  }
}

/** All of a tick or nothing: whatever throws in here takes the SQL transaction back. */
async function commit(trx: WriteTransaction, dialect: SqlDialect, tick: TickCommit): Promise<Committed> {
  const { tick_id, timestamp, source, content_hash, transactions, user, last_order } = tick
  if (last_order !== undefined && (await hasArrived(trx, timestamp, last_order))) return 'book_moved'
  const inserted = await trx
    .insertInto('ticks')
    .values({
      tick_id,
      timestamp: BigInt(timestamp),
      source,
      content_hash,
      unsealed: transactions.length === 0 ? 0n : 1n,
    })
    .onConflict((conflict) => conflict.column('tick_id').doNothing())
    .returning('sequence')
    .executeTakeFirst()
  if (inserted === undefined) {
    throw ledgerError('tick_conflict', { tick_id, difference: 'the tick_id is committed' })
  }
  const waiting = await checkState(trx, tick)
  const parties = await correctedParties(trx, transactions)
  await insertTransactions(trx, dialect, tick, parties)
  await applyFills(trx, dialect, tick)
  if (user !== undefined) await putUser(trx, user)
  return waiting === null ? 'committed' : 'behind'
}

/**
 * The tick was checked against the chain up to its parent, and nothing may come between: whoever led before may be late by
 * any time. Gives a tick that waits for its block, null if none does. Throws `tip_moved`, and `tick_void` for an id that was used up by a tick that could never be sealed.
 */
async function checkState(trx: WriteTransaction, tick: TickCommit): Promise<string | null> {
  const { tick_id, parent, timestamp, source } = tick
  const { tip, waiting, void_reason, voided_at, unknown_until } = await stateFor(trx, tick_id)
  if (void_reason !== null) {
    throw ledgerError('tick_void', {
      tick_id,
      reason: void_reason,
      voided_at: toSafeInteger(voided_at ?? 0n, `void_ticks ${tick_id}`),
    })
  }
  // A block seals no tick before its time: only a later one is none of those whose names are lost.
  if (
    source === 'platform' &&
    unknown_until !== null &&
    timestamp <= decodeUntil('ticks_unknown_until', unknown_until)
  ) {
    const difference = `blocks up to the time ${unknown_until} ms were put back without a body, and one may be of this tick`
    throw ledgerError('tick_conflict', { tick_id, difference })
  }
  const moved = (reason: string) => ledgerError('tip_moved', { tick_id, parent, reason })
  if (tip !== parent) throw moved(tip === null ? 'the chain has no block' : `the chain ends at ${tip}`)
  const first = waiting === null || isIndependent(tick) ? undefined : await comesFirst(trx, tick, waiting)
  if (first !== undefined) throw moved(`tick ${first} comes first and has no block yet`)
  return waiting
}

/** Of a recovery that its own key seals only another one is a tick that comes first: the two may be of one key. */
async function comesFirst(
  trx: WriteTransaction,
  { tick_id, recovers }: TickCommit,
  waiting: string,
): Promise<string | undefined> {
  if (recovers === undefined) return waiting
  const other = await waitingRecovery(trx, recovers, tick_id)
  return other?.tick_id
}

/** @param except the tick that is being committed */
async function waitingRecovery(
  db: Database | WriteTransaction,
  authorityId: string,
  except = '',
): Promise<CommittedTick | undefined> {
  const rows = await db
    .selectFrom('ticks')
    .innerJoin('transactions', 'transactions.tick_id', 'ticks.tick_id')
    .selectAll('transactions')
    .select('ticks.timestamp as tick_timestamp')
    .where(sql<boolean>`ticks.unsealed = 1`)
    .where('ticks.source', '=', 'registry')
    .where('ticks.tick_id', '<>', except)
    .orderBy('ticks.sequence')
    .execute()
  for (const { tick_timestamp, ...row } of rows) {
    // A change of the registry is a tick of its own.
    const transactions = [decodeTransaction(row)]
    if (sealerRecovery(transactions, authorityId) === undefined) continue
    const { tick_id } = row
    return { tick_id, timestamp: toSafeInteger(tick_timestamp, `ticks ${tick_id} timestamp`), transactions }
  }
  return undefined
}

interface State {
  /** Hash of the last block. */
  readonly tip: string | null
  /** Another tick that has no block yet. */
  readonly waiting: string | null
  readonly void_reason: string | null
  readonly voided_at: bigint | null
  /** See `restored-until.ts`. */
  readonly unknown_until: string | null
}

/** In one statement: it is asked for each tick. */
async function stateFor(trx: WriteTransaction, tickId: string): Promise<State> {
  const { rows } = await sql<State>`
    select
      (select block_hash from blocks order by height desc limit 1) as tip,
      (select tick_id from ticks where unsealed = 1 and tick_id <> ${tickId} limit 1) as waiting,
      (select reason from void_ticks where tick_id = ${tickId}) as void_reason,
      (select voided_at from void_ticks where tick_id = ${tickId}) as voided_at,
      ${untilText('ticks_unknown_until')} as unknown_until`.execute(trx)
  return rows[0] ?? { tip: null, waiting: null, void_reason: null, voided_at: null, unknown_until: null }
}

/** New trades of a platform are valid whatever is sealed before them; the rest was checked against that. */
const isIndependent = ({ source, transactions }: TickCommit): boolean =>
  source === 'platform' && transactions.every(({ kind }) => kind === 'trade')
