import { sql } from 'kysely'
import { ledgerError } from '../../ports/errors.ts'
import type { BlockRow, MarketStore, RestoredTick } from '../../ports/market-store.ts'
import { UNKNOWN_ID, unknownRedaction } from '../../protocol/redaction.ts'
import { refuse } from '../../protocol/shape.ts'
import { hashTransaction, type ShownTransaction } from '../../protocol/transaction.ts'
import { differenceOfRows, type RowDifference } from '../../protocol/transaction-difference.ts'
import { corrupt } from '../decode.ts'
import { insertBlock } from './blocks.ts'
import { chunks, IN_LIST } from './chunks.ts'
import { correctedParties } from './corrections.ts'
import type { SqlDialect, WriteTransaction } from './dialect.ts'
import { forgetTransaction, recordRedactions, REDACTED_CONTENT } from './redactions.ts'
import { raiseUntil } from './restored-until.ts'
import { decodeShown, toSafeInteger } from './rows.ts'
import type { Database } from './schema.ts'
import { holeNames, insertTransactions } from './transaction-rows.ts'
import { removeTick } from './void-ticks.ts'

const NO_SUCH_TICK = 'there is no such tick'

/** Sealed blocks go back into a store that is an older backup. */
export function restoredBlocks(db: Database, dialect: SqlDialect): Pick<MarketStore, 'restoreBlock'> {
  return {
    restoreBlock: (row, tick) => dialect.write(db, (trx) => restore(trx, dialect, row, tick)),
  }
}

/** All of a block or nothing: whatever throws in here takes the SQL transaction back. */
async function restore(
  trx: WriteTransaction,
  dialect: SqlDialect,
  block: BlockRow,
  given: RestoredTick,
): Promise<void> {
  const size = await numberOfBlocks(trx)
  if (block.height < size) {
    // It is there already: compared, as the fence does.
    await insertBlock(trx, block)
    return
  }
  const tick = await withoutOrphans(trx, block.height, { ...given, tick_id: await nameOf(trx, given) })
  const row = { ...block, tick_id: tick.tick_id }
  if (row.height > size) throw corrupt('blocks', `the block of height ${size} next`, `height ${row.height}`)
  if (tick.source !== 'registry') {
    await takeBackMarketTicks(trx, tick)
    const sealedAt = BigInt(row.sealed.header.timestamp)
    await raiseUntil(trx, 'orders_closed_until', sealedAt)
    if (tick.tick_id.startsWith(UNKNOWN_ID)) await raiseUntil(trx, 'ticks_unknown_until', sealedAt)
  }
  await refuseForeignIds(trx, row, tick)
  const difference = await differenceToStored(trx, tick)
  if (difference === NO_SUCH_TICK) await insertTick(trx, dialect, tick)
  else if (difference === undefined) await takeSealedNonces(trx, tick)
  else throw ledgerError('tick_conflict', { tick_id: tick.tick_id, ...difference })
  await insertBlock(trx, row)
  await recordRedactions(trx, tick.redactions)
}

/** A tick that waits here for its block has kept its hashes: one of them tells the name where no body of the block is left. */
async function nameOf(trx: WriteTransaction, { tick_id, tx_hashes }: RestoredTick): Promise<string> {
  const [tx_hash] = tx_hashes
  if (!tick_id.startsWith(UNKNOWN_ID) || tx_hash === undefined) return tick_id
  const waiting = await trx
    .selectFrom('ticks')
    .innerJoin('transactions', 'transactions.tick_id', 'ticks.tick_id')
    .select('ticks.tick_id')
    .where(sql<boolean>`unsealed = 1`)
    .where('transactions.tx_hash', '=', tx_hash)
    .executeTakeFirst()
  return waiting?.tick_id ?? tick_id
}

/**
 * A correction goes with its trade: where the trade's body is gone, and the peer that shows the block has
 * removed the one without the other, the correction becomes a hole as well. Its id stays used up.
 */
async function withoutOrphans(trx: WriteTransaction, height: number, tick: RestoredTick): Promise<RestoredTick> {
  const corrected = tick.transactions.flatMap((tx) => (tx.kind === 'correction' ? [tx.corrects] : []))
  const trades = new Set<string>()
  for (const ids of chunks([...new Set(corrected)], IN_LIST)) {
    const rows = trx.selectFrom('transactions').select('id').where('id', 'in', ids).where('kind', '=', 'trade')
    for (const { id } of await rows.execute()) trades.add(id)
  }
  if (corrected.every((id) => trades.has(id))) return tick
  const redactions = [...tick.redactions]
  const transactions = tick.transactions.map((tx): ShownTransaction => {
    if (tx.kind !== 'correction' || trades.has(tx.corrects)) return tx
    const tx_hash = hashTransaction(tx)
    redactions.push({
      ...unknownRedaction(tx_hash, height),
      tx_id: tx.id,
      reason: 'the trade that it corrects is gone',
    })
    return { kind: 'redacted', tx_hash }
  })
  return { ...tick, transactions, redactions, content_hash: REDACTED_CONTENT }
}

function idsOf({ transactions, redactions }: RestoredTick): readonly string[] {
  const nameOfHole = holeNames(redactions)
  return transactions.map((tx) => (tx.kind === 'redacted' ? nameOfHole(tx.tx_hash) : tx.id))
}

async function numberOfBlocks(trx: WriteTransaction): Promise<number> {
  const last = await trx.selectFrom('blocks').select('height').orderBy('height', 'desc').limit(1).executeTakeFirst()
  return last === undefined ? 0 : toSafeInteger(last.height, 'blocks height') + 1
}

/**
 * A market tick that waits for its block was never answered, and took orders that the restored blocks may have traded.
 * The one that this block seals stays if it made the same trades: then its fills are right.
 */
async function takeBackMarketTicks(trx: WriteTransaction, sealed: RestoredTick): Promise<void> {
  const unsealed = await trx
    .selectFrom('ticks')
    .select('tick_id')
    .where(sql<boolean>`unsealed = 1`)
    .where('source', '=', 'market')
    .execute()
  for (const { tick_id } of unsealed) {
    if (tick_id === sealed.tick_id && (await differenceToStored(trx, sealed)) === undefined) continue
    await removeTick(trx, tick_id)
  }
}

/** An id is unique on the chain: in any other tick it stands for something that must not be sealed as well. */
async function refuseForeignIds(trx: WriteTransaction, { height }: BlockRow, tick: RestoredTick): Promise<void> {
  const ids = idsOf(tick)
  for (const part of chunks(ids, IN_LIST)) {
    const foreign = await trx
      .selectFrom('transactions')
      .select(['id', 'tick_id'])
      .where('id', 'in', part)
      .where('tick_id', '<>', tick.tick_id)
      .limit(1)
      .executeTakeFirst()
    if (foreign === undefined) continue
    const expected = `it in tick ${tick.tick_id}, as in the sealed block ${height}`
    throw corrupt(`SQL, transaction ${foreign.id}`, expected, `it in tick ${foreign.tick_id}`)
  }
}

/** What differs between a tick and the one of its id that is committed here, but for the nonces; `undefined`: nothing. */
async function differenceToStored(
  trx: WriteTransaction,
  tick: RestoredTick,
): Promise<RowDifference | typeof NO_SUCH_TICK | undefined> {
  const { tick_id, transactions } = tick
  const stored = await trx.selectFrom('ticks').select('tick_id').where('tick_id', '=', tick_id).executeTakeFirst()
  if (stored === undefined) return NO_SUCH_TICK
  const rows = await trx
    .selectFrom('transactions')
    .selectAll()
    .where('tick_id', '=', tick_id)
    .orderBy('position')
    .execute()
  const committed = rows.map((row) => ({ id: row.id, ...decodeShown(row) }))
  const nameOfHole = holeNames(tick.redactions)
  // Of a body that is gone its id alone can be compared, if that is known.
  const sealed = transactions.map((tx, index) => {
    if (tx.kind !== 'redacted') return tx
    const [here, name] = [committed[index], nameOfHole(tx.tx_hash)]
    return here?.id === name || (here !== undefined && name.startsWith(UNKNOWN_ID)) ? here : { ...tx, id: name }
  })
  return differenceOfRows(committed, sealed, ['nonce'])
}

async function insertTick(trx: WriteTransaction, dialect: SqlDialect, tick: RestoredTick): Promise<void> {
  const { tick_id, source, content_hash } = tick
  const timestamp = BigInt(tick.timestamp)
  await trx.insertInto('ticks').values({ tick_id, timestamp, source, content_hash, unsealed: 1n }).execute()
  const parties = await correctedParties(trx, tick.transactions)
  await insertTransactions(trx, dialect, tick, parties)
}

/** The sealed nonces take the place of those that were drawn when the tick was committed here; what is gone goes here too. */
async function takeSealedNonces(trx: WriteTransaction, tick: RestoredTick): Promise<void> {
  const { tick_id, source, content_hash, transactions, tx_hashes } = tick
  for (const [position, tx] of transactions.entries()) {
    const tx_hash = tx_hashes[position] ?? refuse('tick.tx_hashes', `${transactions.length} hashes`, tx_hashes)
    const nonce = tx.kind === 'redacted' ? '' : tx.nonce
    const row = await trx
      .updateTable('transactions')
      .set({ nonce, tx_hash })
      .where('tick_id', '=', tick_id)
      .where('position', '=', BigInt(position))
      .returning('id')
      .executeTakeFirstOrThrow()
    if (tx.kind === 'redacted') await forgetTransaction(trx, { id: row.id, tick_id, tick_time: BigInt(tick.timestamp) })
  }
  await trx
    .updateTable('ticks')
    .set({ timestamp: BigInt(tick.timestamp), source, content_hash })
    .where('tick_id', '=', tick_id)
    .execute()
}
