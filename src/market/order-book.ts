import { endsPiece, sortInPieces, type Pieces } from '../protocol/pieces.ts'

/**
 * The book of one tick: orders of each side in the order in which they are served, with running sums, so that "what are
 * the best q kWh worth" is one binary search.
 */
export interface BookOrder {
  readonly order_id: string
  readonly user_id: string
  readonly side: 'buy' | 'sell'
  /** The unfilled rest, micro-kWh, > 0. */
  readonly kwh_micro: bigint
  /** The lowest price a seller takes, the highest a buyer pays; micro-units a kWh. */
  readonly price_micro: bigint
  /** Order of arrival at the authority: decides between equal prices, whatever time an order says that it is of. */
  readonly sequence: number
}

/** How much of an order is served. */
export interface Fill {
  readonly order: BookOrder
  /** Micro-kWh, > 0. */
  readonly kwh_micro: bigint
}

/** One side of a book, best first. */
export interface Curve {
  readonly side: 'buy' | 'sell'
  readonly orders: readonly BookOrder[]
  /** `quantity[i]`: micro-kWh of the first i orders. */
  readonly quantity: readonly bigint[]
  /** `value[i]`: sum of kwh x limit of the first i orders, in units of 10^-12. */
  readonly value: readonly bigint[]
}

/** Best price first, then the earlier arrival. */
export function compareOrders(a: BookOrder, b: BookOrder): number {
  if (a.price_micro !== b.price_micro) return a.price_micro < b.price_micro === (a.side === 'sell') ? -1 : 1
  return a.sequence - b.sequence
}

/** The orders of one side as a curve; orders without a rest are left out. */
export function* curveOf(side: 'buy' | 'sell', orders: readonly BookOrder[]): Pieces<Curve> {
  const open = orders.filter((order) => order.side === side && order.kwh_micro > 0n)
  return yield* curveOfSorted(side, yield* sortInPieces(open, compareOrders))
}

/** The part of a curve that belongs to orders for which `keep` holds. */
export const filterCurve = (curve: Curve, keep: (order: BookOrder) => boolean): Pieces<Curve> =>
  curveOfSorted(curve.side, curve.orders.filter(keep))

function* curveOfSorted(side: 'buy' | 'sell', orders: readonly BookOrder[]): Pieces<Curve> {
  const quantity = [0n]
  const value = [0n]
  let quantitySum = 0n
  let valueSum = 0n
  for (const [index, order] of orders.entries()) {
    quantitySum += order.kwh_micro
    valueSum += order.kwh_micro * order.price_micro
    quantity.push(quantitySum)
    value.push(valueSum)
    if (endsPiece(index)) yield
  }
  return { side, orders, quantity, value }
}

/** The first index of [0, length) at which `holds` (false, then true) is true; `length` if nowhere. */
function firstIndex(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}

/** Micro-kWh of the orders that can trade at `price`. */
export function quantityWithin(curve: Curve, price: bigint): bigint {
  const count = firstIndex(curve.orders.length, (index) => {
    const limit = curve.orders[index]?.price_micro ?? 0n
    return curve.side === 'sell' ? limit > price : limit < price
  })
  return curve.quantity[count] ?? 0n
}

/** Index of the first order that the best `quantity` does not fill completely; the number of orders if there is none. */
function firstNotFull(curve: Curve, quantity: bigint): number {
  return firstIndex(curve.orders.length, (index) => (curve.quantity[index + 1] ?? 0n) > quantity)
}

/** Sum of kwh x limit of the best `quantity`, in units of 10^-12. `quantity` is at most the whole curve. */
export function valueOfBest(curve: Curve, quantity: bigint): bigint {
  const index = firstNotFull(curve, quantity)
  const rest = quantity - (curve.quantity[index] ?? 0n)
  return (curve.value[index] ?? 0n) + rest * (curve.orders[index]?.price_micro ?? 0n)
}

/** The fills of the best `quantity`, best first. */
export function fillBest(curve: Curve, quantity: bigint): Fill[] {
  const fills: Fill[] = []
  let rest = quantity
  for (const order of curve.orders) {
    if (rest === 0n) break
    const kwh_micro = order.kwh_micro < rest ? order.kwh_micro : rest
    fills.push({ order, kwh_micro })
    rest -= kwh_micro
  }
  return fills
}

/** Limit of the first order that the best `quantity` leaves wanting, in part or whole; `undefined` if all are filled. */
export function limitLeftOut(curve: Curve, quantity: bigint): bigint | undefined {
  return curve.orders[firstNotFull(curve, quantity)]?.price_micro
}
