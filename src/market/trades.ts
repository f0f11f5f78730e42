import { formatQuantity, multiplyToAmount } from '../protocol/decimal.ts'
import { sha256Hex } from '../protocol/hash.ts'
import { endsPiece, type Pieces } from '../protocol/pieces.ts'
import { identifier } from '../protocol/shape.ts'
import type { Trade } from '../protocol/transaction.ts'
import type { Clearing } from './clearing.ts'

/** What the trades of a tick need besides the clearing. */
export interface TradeTerms {
  readonly tick_id: string
  /** Unix milliseconds; the trades carry the tick's time. */
  readonly timestamp: number
  /** The genesis' `amount_decimals`, 0..6. */
  readonly amountDecimals: number
  /** A fresh nonce at each call: 128 random bits, hex. */
  readonly nonces: () => string
}

/** Micro-kWh taken from an order by a trade; two fills a trade. */
export interface OrderFill {
  readonly order_id: string
  readonly transaction_id: string
  readonly kwh_micro: bigint
}

/**
 * The trades of a clearing, in its order, and what they take from the orders. The total is kwh x price rounded half to even
 * (0 for a fill too small to cost anything). Everything but the nonces follows from the clearing and the terms.
 */
export function* tradesOf(
  clearing: Clearing,
  terms: TradeTerms,
): Pieces<{ readonly trades: readonly Trade[]; readonly fills: readonly OrderFill[] }> {
  const price = clearing.price_micro
  if (price === null) return { trades: [], fills: [] }
  const price_per_kwh = formatQuantity(price, 'price_per_kwh')
  const trades: Trade[] = []
  const fills: OrderFill[] = []
  for (const [position, match] of clearing.matches.entries()) {
    if (endsPiece(position)) yield
    const id = tradeId(terms.tick_id, position)
    trades.push({
      kind: 'trade',
      id,
      from_user_id: match.from_user_id,
      to_user_id: match.to_user_id,
      kwh: formatQuantity(match.kwh_micro, 'kwh'),
      price_per_kwh,
      total_amount: formatQuantity(multiplyToAmount(match.kwh_micro, price, terms.amountDecimals), 'total_amount'),
      timestamp: terms.timestamp,
      tick_id: terms.tick_id,
      nonce: terms.nonces(),
    })
    for (const order_id of [match.sell_order_id, match.buy_order_id]) {
      fills.push({ order_id, transaction_id: id, kwh_micro: match.kwh_micro })
    }
  }
  return { trades, fills }
}

const MAX_IDENTIFIER_LENGTH = 64

/**
 * `<tick_id>.<position>`, with the first 32 hex digits of the tick_id's SHA-256 where that would be longer than an
 * identifier may be. Position counts from 0.
 */
export function tradeId(tickId: string, position: number): string {
  const plain = `${tickId}.${position}`
  if (plain.length <= MAX_IDENTIFIER_LENGTH) return identifier(plain, 'id')
  return `${sha256Hex(tickId).slice(0, 32)}.${position}`
}
