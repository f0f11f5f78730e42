import type { Selectable } from 'kysely'
import type { BlockRow, OpenOrder, TransactionPlace } from '../../ports/market-store.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { sealedHeaderShape, type SealedHeader } from '../../protocol/header.ts'
import { orderShape, type Order } from '../../protocol/order.ts'
import { registryTransactionShape, type RegistryTransaction } from '../../protocol/registry-transaction.ts'
import { isJsonObject, refuse } from '../../protocol/shape.ts'
import { redactedShape, transactionShape, type ShownTransaction, type Transaction } from '../../protocol/transaction.ts'
import { voteShape, type Vote } from '../../protocol/vote.ts'
import { corrupt, decodeText, decodeValue } from '../decode.ts'
import type { BlocksTable, Schema, TransactionsTable, VotesTable } from './schema.ts'

/** A stored BIGINT as a number. Throws `corrupt` beyond 2^53-1: no such value was ever accepted. */
export function toSafeInteger(value: bigint, place: string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw corrupt(place, 'an integer of at most 2^53-1', String(value))
  return number
}

/** The transaction of a row, with exactly the fields that were hashed. Throws `corrupt`. */
export function decodeTransaction(row: Selectable<TransactionsTable>): Transaction {
  const shown = decodeShown(row)
  if (shown.kind !== 'redacted') return shown
  throw corrupt(`transactions ${row.id}`, 'its body', 'a redacted one')
}

/** The same, or the hash that is left of it. */
export function decodeShown(row: Selectable<TransactionsTable>): ShownTransaction {
  const place = `transactions ${row.id}`
  if (row.kind === 'redacted') return decodeValue(place, { kind: row.kind, tx_hash: row.tx_hash }, redactedShape)
  const timestamp = toSafeInteger(row.timestamp, `${place} timestamp`)
  const { kind, id, tick_id, nonce } = row
  if (kind === 'correction') {
    const { corrects, kwh_delta, amount_delta, reason } = row
    const correction = { kind, id, corrects, kwh_delta, amount_delta, reason, timestamp, tick_id, nonce }
    return decodeValue(place, correction, transactionShape)
  }
  if (kind === 'registry')
    return decodeRegistry(`${place} registry`, row.registry, { kind, id, timestamp, tick_id, nonce })
  const { from_user_id, to_user_id, kwh, price_per_kwh, total_amount, payload } = row
  const trade = { kind, id, from_user_id, to_user_id, kwh, price_per_kwh, total_amount, timestamp, tick_id, nonce }
  return decodeValue(place, payload === null ? trade : { ...trade, payload }, transactionShape)
}

type RegistryColumns = Pick<RegistryTransaction, 'kind' | 'id' | 'timestamp' | 'tick_id' | 'nonce'>
const REGISTRY_COLUMNS: readonly string[] = [
  'kind',
  'id',
  'timestamp',
  'tick_id',
  'nonce',
] satisfies (keyof RegistryColumns)[]

/** The text in which a registry change is stored: its fields that have no column. The same change is the same text. */
export const encodeRegistry = (tx: RegistryTransaction): string =>
  canonicalText(Object.fromEntries(Object.entries(tx).filter(([name]) => !REGISTRY_COLUMNS.includes(name))))

/** Throws `corrupt`, also for a text that would decode but is not the one that was stored. */
function decodeRegistry(place: string, text: string | null, columns: RegistryColumns): RegistryTransaction {
  const own = decodeText(place, text ?? '', (value, path) =>
    isJsonObject(value) ? value : refuse(path, 'an object', value),
  )
  const transaction = decodeValue(place, { ...own, ...columns }, registryTransactionShape)
  const expected = encodeRegistry(transaction)
  if (text !== expected) throw corrupt(place, expected, String(text))
  return transaction
}

export type PlacedRow = Selectable<TransactionsTable> & {
  readonly block_hash: string | null
  readonly height: bigint | null
}

/** A transaction joined with the block that sealed it, if one did. */
export function decodePlace(row: PlacedRow): TransactionPlace {
  return {
    transaction: decodeShown(row),
    tx_hash: row.tx_hash,
    tick_id: row.tick_id,
    block_hash: row.block_hash,
    height: row.height === null ? null : toSafeInteger(row.height, `blocks ${row.tick_id} height`),
  }
}

/** The text in which a sealed header is stored: the same header is the same text. */
export const encodeSealed = ({ header, signature }: SealedHeader): string => canonicalText({ header, signature })

/** Throws `corrupt`, also if the sealed header is of another height than its row. */
export function decodeBlock(row: Selectable<BlocksTable>): BlockRow {
  const place = `blocks ${row.height}`
  const height = toSafeInteger(row.height, place)
  const sealed = decodeText(`${place} sealed`, row.sealed, sealedHeaderShape)
  if (sealed.header.height !== height) {
    throw corrupt(`${place} sealed`, `height ${height}`, `height ${sealed.header.height}`)
  }
  const finalized_at = row.finalized_at === null ? null : toSafeInteger(row.finalized_at, `${place} finalized_at`)
  return { height, block_hash: row.block_hash, tick_id: row.tick_id, sealed, finalized_at }
}

export function decodeVote(row: Selectable<VotesTable>): Vote {
  const { chain_id, header_hash, voter_id, decision, signature } = row
  const place = `votes ${header_hash} ${voter_id}`
  const height = toSafeInteger(row.height, place)
  return decodeValue(place, { chain_id, header_hash, height, voter_id, decision, signature }, voteShape)
}

/** Throws `corrupt`. */
export function decodeOrder(row: Selectable<Schema['orders']>): Order {
  const { order_id, user_id, side, kwh, price_per_kwh, valid_until } = row
  const place = `orders ${order_id}`
  const timestamp = toSafeInteger(row.timestamp, `${place} timestamp`)
  const order = { order_id, user_id, side, kwh, price_per_kwh, timestamp }
  if (valid_until === null) return decodeValue(place, order, orderShape)
  return decodeValue(place, { ...order, valid_until: toSafeInteger(valid_until, `${place} valid_until`) }, orderShape)
}

export function decodeOpenOrder(row: Selectable<Schema['orders']>): OpenOrder {
  const sequence = toSafeInteger(row.sequence, `orders ${row.order_id} sequence`)
  return { ...decodeOrder(row), open_micro: row.open_micro, sequence }
}
