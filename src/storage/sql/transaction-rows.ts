import type { TickCommit } from '../../ports/market-store.ts'
import { ledgerError } from '../../ports/errors.ts'
import { refuse } from '../../protocol/shape.ts'
import type { Transaction } from '../../protocol/transaction.ts'
import { chunks, IN_LIST } from './chunks.ts'
import type { Parties } from './corrections.ts'
import type { SqlDialect, SqlValue, WriteTransaction } from './dialect.ts'
import type { Database } from './schema.ts'

const PLACE = ['id', 'timestamp', 'position', 'nonce', 'tx_hash', 'from_user_id', 'to_user_id'] as const
const TRADE = [...PLACE, 'kwh', 'price_per_kwh', 'total_amount'] as const
const CORRECTION = [...PLACE, 'corrects', 'kwh_delta', 'amount_delta', 'reason'] as const

/**
 * Writes the transactions of a tick: one batch for each kind, so that trades, the many, bind no empty columns.
 *
 * @param parties the parties of each corrected trade, by its id
 */
export async function insertTransactions(
  trx: WriteTransaction,
  dialect: SqlDialect,
  { tick_id, transactions, tx_hashes }: TickCommit,
  parties: ReadonlyMap<string, Parties>,
): Promise<void> {
  const trades: SqlValue[][] = []
  const corrections: SqlValue[][] = []
  for (const [position, tx] of transactions.entries()) {
    const tx_hash = tx_hashes[position] ?? refuse('tick.tx_hashes', `${transactions.length} hashes`, tx_hashes)
    if (tx.tick_id !== tick_id) {
      throw ledgerError('refused_row', { id: tx.id, reason: `it is of tick ${tx.tick_id}, not of ${tick_id}` })
    }
    const { id, timestamp, nonce } = tx
    if (tx.kind === 'trade') {
      const { from_user_id, to_user_id, kwh, price_per_kwh, total_amount } = tx
      const quantities = [kwh, price_per_kwh, total_amount]
      trades.push([id, timestamp, position, nonce, tx_hash, from_user_id, to_user_id, ...quantities])
    } else {
      const { corrects, kwh_delta, amount_delta, reason } = tx
      const { from_user_id, to_user_id } = parties.get(corrects) ?? refuse('corrects', 'a sealed trade', corrects)
      const change = [corrects, kwh_delta, amount_delta, reason]
      corrections.push([id, timestamp, position, nonce, tx_hash, from_user_id, to_user_id, ...change])
    }
  }
  const table = 'transactions'
  await dialect.insertRows(trx, { table, shared: { tick_id, kind: 'trade' }, columns: TRADE, rows: trades })
  await dialect.insertRows(trx, {
    table,
    shared: { tick_id, kind: 'correction' },
    columns: CORRECTION,
    rows: corrections,
  })
}

/** The first id that is in `transactions` twice or in the database already. */
export async function repeatedId(db: Database, transactions: readonly Transaction[]): Promise<string | undefined> {
  const seen = new Set<string>()
  for (const { id } of transactions) {
    if (seen.has(id)) return id
    seen.add(id)
  }
  for (const ids of chunks([...seen], IN_LIST)) {
    const known = await db.selectFrom('transactions').select('id').where('id', 'in', ids).execute()
    const knownIds = new Set(known.map(({ id }) => id))
    const first = ids.find((id) => knownIds.has(id))
    if (first !== undefined) return first
  }
  return undefined
}
