import { formatQuantity, MICRO, parseQuantity } from '../protocol/decimal.ts'
import { invalid, VALID, type Verdict } from '../protocol/errors.ts'
import { MAX_FUTURE_MS } from '../protocol/limits.ts'
import { timeWords } from '../protocol/time-words.ts'
import type { Order } from '../protocol/order.ts'

/** What an order must keep to enter the book. */
export interface IntakeRules {
  /** MIN_TRADE_KWH in micro-kWh. Fills may be smaller. */
  readonly minTradeMicro: bigint
  /** Unix milliseconds. */
  readonly now: number
}

/** A user has no more orders in the book: ten days of 15-minute intervals. */
export const MAX_OPEN_ORDERS = 1_000

/** What is left of an order leaves the book so long after it arrived, milliseconds; its own `valid_until` may be earlier. */
export const ORDER_LIFETIME_MS = 90 * 24 * 60 * 60_000

export type IntakeCode = 'order_too_small' | 'order_too_large' | 'never_valid' | 'from_the_future'

/**
 * A total is a quantity, below 10^12. No trade costs more than the buyer's whole order at its limit, so that is what intake
 * bounds: otherwise one absurd order could make a tick that cannot be written. One unit of room is left for rounding.
 */
const MAX_ORDER_VALUE = (10n ** 12n - 1n) * MICRO * MICRO

/**
 * Whether an order may enter the book. It guarantees a) at least the minimum and more than nothing (`order_too_small`),
 * b) a buyer's cost that a total can hold (`order_too_large`), c) that there is a time at which it is valid
 * (`never_valid`), d) a timestamp at most 2 minutes ahead (`from_the_future`). Old timestamps are fine: validity is judged
 * against the tick's time.
 *
 * @param order as `orderShape` has it
 */
export function checkOrder(order: Order, rules: IntakeRules): Verdict<IntakeCode> {
  const kwh = parseQuantity(order.kwh, 'kwh')
  const price = parseQuantity(order.price_per_kwh, 'price_per_kwh')
  if (kwh === 0n || kwh < rules.minTradeMicro) {
    return invalid(
      'order_too_small',
      `${order.kwh} kWh is below the minimum of ${formatQuantity(rules.minTradeMicro)} kWh`,
    )
  }
  if (order.side === 'buy' && kwh * price > MAX_ORDER_VALUE) {
    return invalid('order_too_large', `${order.kwh} kWh at ${order.price_per_kwh} cost more than a total can hold`)
  }
  if (order.valid_until !== undefined && order.valid_until <= order.timestamp) {
    return invalid(
      'never_valid',
      `valid_until ${timeWords(order.valid_until)} is not after timestamp ${timeWords(order.timestamp)}`,
    )
  }
  if (order.timestamp > rules.now + MAX_FUTURE_MS) {
    return invalid(
      'from_the_future',
      `timestamp ${timeWords(order.timestamp)} is more than 2 minutes ahead of ${timeWords(rules.now)}`,
    )
  }
  return VALID
}
