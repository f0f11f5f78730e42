import type { Hash } from './bytes.ts'
import { canonicalText } from './canonical-json.ts'
import {
  decimalsOfTotal,
  delta,
  formatQuantity,
  isTotalOf,
  MAX_QUANTITY_MICRO,
  multiplyToAmount,
  parseDelta,
  parseQuantity,
  quantity,
} from './decimal.ts'
import { protocolError } from './errors.ts'
import { sha256Hex } from './hash.ts'
import { payloadShape } from './payload.ts'
import { registryTickId, registryTransactionShape, type RegistryTransaction } from './registry-transaction.ts'
import {
  hash32,
  identifier,
  literal,
  nonceHex,
  object,
  isJsonObject,
  refuse,
  text,
  timestampMs,
  type Shape,
  type TypeOf,
} from './shape.ts'

/**
 * Transactions are the leaves of a block (docs/protocol.md 3): the plan's eight fields of a trade, `kind` and `nonce`,
 * with the same names as in SQL.
 */
const tradeShape = object(
  {
    kind: literal('trade'),
    id: identifier,
    /** The seller. */
    from_user_id: identifier,
    /** The buyer. */
    to_user_id: identifier,
    kwh: quantity,
    price_per_kwh: quantity,
    total_amount: quantity,
    timestamp: timestampMs,
    tick_id: identifier,
    nonce: nonceHex,
  },
  {
    /** Encrypted for the parties and auditors. */
    payload: payloadShape,
  },
)

/** Why a correction was made: printable ASCII, shown to people. */
export const correctionReason = text(/^[\x20-\x7e]{1,200}$/, '1 to 200 printable ASCII characters')

const correctionShape = object({
  kind: literal('correction'),
  id: identifier,
  /** The id of the sealed trade that is corrected; the trade itself stays as it is. */
  corrects: identifier,
  kwh_delta: delta,
  amount_delta: delta,
  reason: correctionReason,
  timestamp: timestampMs,
  tick_id: identifier,
  nonce: nonceHex,
})

export type Trade = TypeOf<typeof tradeShape>
export type Correction = TypeOf<typeof correctionShape>
export type Transaction = Trade | Correction | RegistryTransaction

/** Shape of any transaction, by its `kind`. */
export const transactionShape: Shape<Transaction> = (value, path) => {
  const kind = isJsonObject(value) ? value.kind : undefined
  if (kind === 'trade') return tradeShape(value, path)
  if (kind === 'correction') return correctionShape(value, path)
  if (kind === 'registry') return registryTransactionShape(value, path)
  return refuse(`${path}.kind`, 'one of trade, correction, registry', kind)
}

/** Shown in place of a transaction whose body was removed, or is not for the asker; it proves nothing but its hash. */
export const redactedShape = object({ kind: literal('redacted'), tx_hash: hash32 })
export type Redacted = TypeOf<typeof redactedShape>

/** A transaction as a block shows it: whole, or its hash alone. A change of the registry is never redacted. */
export type ShownTransaction = Transaction | Redacted

export const shownTransactionShape: Shape<ShownTransaction> = (value, path) =>
  isJsonObject(value) && value.kind === 'redacted' ? redactedShape(value, path) : transactionShape(value, path)

/**
 * Checks what the shape cannot: the parties differ, energy is positive, the total is kwh x price.
 * Throws `bad_transaction` or `wrong_total`.
 *
 * @param amountDecimals the genesis' `amount_decimals`, 0..6
 */
export function checkTransaction(tx: Transaction, amountDecimals: number): void {
  switch (tx.kind) {
    case 'trade': {
      if (tx.from_user_id === tx.to_user_id) throw badTransaction(tx.id, `${tx.from_user_id} trades with itself`)
      const kwh = parseQuantity(tx.kwh)
      const price = parseQuantity(tx.price_per_kwh)
      if (kwh === 0n) throw badTransaction(tx.id, 'kwh is 0')
      if (!isTotalOf(parseQuantity(tx.total_amount), kwh, price, amountDecimals)) throw wrongTotal(tx, amountDecimals)
      return
    }
    case 'correction':
      if (parseDelta(tx.kwh_delta) === 0n && parseDelta(tx.amount_delta) === 0n)
        throw badTransaction(tx.id, 'corrects nothing')
      if (tx.corrects === tx.id) throw badTransaction(tx.id, 'corrects itself')
      return
    case 'registry':
      // Whether the registry allows it depends on the height: Registry.after decides.
      if (tx.tick_id !== registryTickId(tx.nonce))
        throw badTransaction(tx.id, `its tick is ${registryTickId(tx.nonce)}`)
      return
  }
}

function wrongTotal({ id, kwh, price_per_kwh, total_amount }: Trade, amount_decimals: number) {
  const [kwhMicro, priceMicro] = [parseQuantity(kwh), parseQuantity(price_per_kwh)]
  const amount = multiplyToAmount(kwhMicro, priceMicro, amount_decimals)
  if (amount > MAX_QUANTITY_MICRO)
    return badTransaction(id, 'kwh x price_per_kwh has more than 12 digits before the point')
  const rounded_to = decimalsOfTotal(parseQuantity(total_amount), kwhMicro, priceMicro, amount_decimals)
  return protocolError('wrong_total', {
    id,
    kwh,
    price_per_kwh,
    total_amount,
    expected: formatQuantity(amount),
    amount_decimals,
    ...(rounded_to !== undefined && { rounded_to }),
  })
}

const badTransaction = (id: string, reason: string) => protocolError('bad_transaction', { id, reason })

/** What identifiers, quantities and nonces are made of: JSON writes it as it is. */
const PLAIN = /^[A-Za-z0-9._:@+-]*$/

/**
 * canonical(tx). A trade without payload is written out, in sorted order of names: each tick does it for
 * every trade.
 */
export function canonicalTransaction(tx: Transaction): string {
  if (tx.kind !== 'trade' || !isPlain(tx)) return canonicalText(tx)
  return (
    `{"from_user_id":"${tx.from_user_id}","id":"${tx.id}","kind":"trade","kwh":"${tx.kwh}","nonce":"${tx.nonce}",` +
    `"price_per_kwh":"${tx.price_per_kwh}","tick_id":"${tx.tick_id}","timestamp":${tx.timestamp},` +
    `"to_user_id":"${tx.to_user_id}","total_amount":"${tx.total_amount}"}`
  )
}

/**
 * True of every trade without payload that has its shape; any other takes the general writer, which refuses
 * what cannot be written.
 */
const isPlain = (tx: Trade): boolean =>
  tx.payload === undefined &&
  PLAIN.test(tx.id) &&
  PLAIN.test(tx.from_user_id) &&
  PLAIN.test(tx.to_user_id) &&
  PLAIN.test(tx.kwh) &&
  PLAIN.test(tx.price_per_kwh) &&
  PLAIN.test(tx.total_amount) &&
  Number.isSafeInteger(tx.timestamp) &&
  PLAIN.test(tx.tick_id) &&
  PLAIN.test(tx.nonce)

/** sha256(canonical(tx)): the leaf of the block's Merkle tree. */
export const hashTransaction = (tx: Transaction): Hash => sha256Hex(canonicalTransaction(tx))

/** The leaf of a transaction that may be redacted. */
export const leafOf = (shown: ShownTransaction): Hash =>
  shown.kind === 'redacted' ? shown.tx_hash : hashTransaction(shown)
