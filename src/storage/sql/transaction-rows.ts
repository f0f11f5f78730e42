import type { RestoredTick } from '../../ports/market-store.ts'
import { ledgerError } from '../../ports/errors.ts'
import { nextTurn } from '../../ports/turns.ts'
import { endsPiece } from '../../protocol/pieces.ts'
import { refuse } from '../../protocol/shape.ts'
import type { Hash } from '../../protocol/bytes.ts'
import { unknownId, type Redaction } from '../../protocol/redaction.ts'
import type { Transaction } from '../../protocol/transaction.ts'
import { chunks, IN_LIST } from './chunks.ts'
import type { Parties } from './corrections.ts'
import type { SqlDialect, SqlValue, WriteTransaction } from './dialect.ts'
import { encodeRegistry } from './rows.ts'
import type { Database } from './schema.ts'

const PLACE = ['id', 'timestamp', 'position', 'nonce', 'tx_hash'] as const
const PARTIES = [...PLACE, 'from_user_id', 'to_user_id'] as const
const TRADE = [...PARTIES, 'kwh', 'price_per_kwh', 'total_amount'] as const
const COLUMNS = {
  trade: TRADE,
  'trade with payload': [...TRADE, 'payload'],
  correction: [...PARTIES, 'corrects', 'kwh_delta', 'amount_delta', 'reason'],
  registry: [...PLACE, 'registry'],
  redacted: PARTIES,
} as const
type Batch = keyof typeof COLUMNS
const BATCHES = [
  'trade',
  'trade with payload',
  'correction',
  'registry',
  'redacted',
] as const satisfies readonly Batch[]

type Rows = Omit<RestoredTick, 'source' | 'content_hash' | 'redactions'> & Partial<Pick<RestoredTick, 'redactions'>>

/** The id under which a transaction whose body is gone is kept: its own if that is known. */
export function holeNames(redactions: readonly Redaction[]): (txHash: Hash) => string {
  const ids = new Map(redactions.map(({ tx_hash, tx_id }) => [tx_hash, tx_id]))
  return (txHash) => ids.get(txHash) ?? unknownId(txHash)
}

/**
 * Writes the transactions of a tick: one batch for each kind, so that trades, the many, bind no empty
 * columns; those with a payload are one of their own.
 *
 * @param parties the parties of each corrected trade, by its id
 */
export async function insertTransactions(
  trx: WriteTransaction,
  dialect: SqlDialect,
  { tick_id, timestamp, transactions, tx_hashes, redactions = [] }: Rows,
  parties: ReadonlyMap<string, Parties>,
): Promise<void> {
  const names = holeNames(redactions)
  const rows: Record<Batch, SqlValue[][]> = {
    trade: [],
    'trade with payload': [],
    correction: [],
    registry: [],
    redacted: [],
  }
  for (const [position, tx] of transactions.entries()) {
    if (endsPiece(position)) await nextTurn()
    const tx_hash = tx_hashes[position] ?? refuse('tick.tx_hashes', `${transactions.length} hashes`, tx_hashes)
    if (tx.kind === 'redacted') {
      rows.redacted.push([names(tx_hash), timestamp, position, '', tx_hash, '', ''])
      continue
    }
    if (tx.tick_id !== tick_id) {
      throw ledgerError('refused_row', { id: tx.id, reason: `it is of tick ${tx.tick_id}, not of ${tick_id}` })
    }
    rows[batchOf(tx)].push([tx.id, tx.timestamp, position, tx.nonce, tx_hash, ...ownValues(tx, parties)])
  }
  for (const batchName of BATCHES) {
    const kind = batchName === 'trade with payload' ? 'trade' : batchName
    const batch = {
      table: 'transactions',
      shared: { tick_id, kind },
      columns: COLUMNS[batchName],
      rows: rows[batchName],
    } as const
    await dialect.insertRows(trx, batch)
  }
}

const batchOf = (tx: Transaction): Batch =>
  tx.kind === 'trade' && tx.payload !== undefined ? 'trade with payload' : tx.kind

/** The values that follow PLACE in the columns of the transaction's batch. */
function ownValues(tx: Transaction, parties: ReadonlyMap<string, Parties>): SqlValue[] {
  switch (tx.kind) {
    case 'trade': {
      const values = [tx.from_user_id, tx.to_user_id, tx.kwh, tx.price_per_kwh, tx.total_amount]
      return tx.payload === undefined ? values : [...values, tx.payload]
    }
    case 'correction': {
      const { corrects, kwh_delta, amount_delta, reason } = tx
      const { from_user_id, to_user_id } = parties.get(corrects) ?? refuse('corrects', 'a sealed trade', corrects)
      return [from_user_id, to_user_id, corrects, kwh_delta, amount_delta, reason]
    }
    case 'registry':
      return [encodeRegistry(tx)]
  }
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
