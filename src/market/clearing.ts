import { divideHalfEven } from '../protocol/decimal.ts'
import { endsPiece, type Pieces } from '../protocol/pieces.ts'
import { fillBest, limitLeftOut, quantityWithin, valueOfBest, type BookOrder } from './order-book.ts'
import { dominators, marketOf, pairFills, splitMarket, type Market, type Match } from './self-trade.ts'

export type { BookOrder } from './order-book.ts'
export type { Match } from './self-trade.ts'

/** The prices at which a tick may clear, inclusive, micro-units a kWh; floor <= ceiling. */
export interface PriceBand {
  readonly floorMicro: bigint
  readonly ceilingMicro: bigint
}

/** The outcome of a call auction. */
export interface Clearing {
  /** The one price of all trades, micro-units a kWh; null if nothing trades. */
  readonly price_micro: bigint | null
  readonly matches: readonly Match[]
  /** Micro-kWh, the sum of the matches. */
  readonly volume_micro: bigint
  /** Sum of kwh x (buyer's limit - seller's limit), in units of 10^-12. */
  readonly welfare: bigint
}

/** A market and how much of it trades. */
interface Traded extends Market {
  readonly volume: bigint
}

/** What trades if the tick clears at one price. */
interface Plan {
  readonly markets: readonly Traded[]
  readonly welfare: bigint
  readonly volume: bigint
}

const NOTHING: Clearing = { price_micro: null, matches: [], volume_micro: 0n, welfare: 0n }

const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b)
const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const sumOf = (values: readonly bigint[]): bigint => values.reduce((sum, value) => sum + value, 0n)

/**
 * Clears the book of one tick as a uniform-price call auction (docs/architecture.md, The market). It guarantees
 * a) everybody who trades is within their limit at the one price, and that price is within the band,
 * b) nobody trades with oneself,
 * c) no other outcome with a) and b) has a greater welfare, and none of that welfare a greater volume,
 * d) the best price is served first, then the earliest arrival; a user who could only trade
 *    with itself steps back, and whoever is next takes its turn,
 * e) the price is the middle of the admissible interval: within the limits of all who trade, and so that nobody is left
 *    out who would rather trade. An order that is filled in part narrows it to its own limit. Half a micro rounds to even.
 *    A band moves the price to its nearest edge: a sell above the ceiling and a buy below the floor wait in the book, all
 *    other orders take part with their own limits.
 *
 * Where d) and a band or a user on both sides leave no price that satisfies everybody left out, e) takes the middle of what
 * they ask for, moved within a). Pure, exact, O(n log n); the same orders in any sequence give the same outcome.
 */
export function* clear(
  orders: readonly BookOrder[],
  options: { readonly priceBand?: PriceBand } = {},
): Pieces<Clearing> {
  const band = options.priceBand
  const plan = yield* bestPlan(yield* marketOf(orders), band)
  if (plan.volume === 0n) return NOTHING
  const sells = plan.markets.flatMap((market) => fillBest(market.sells, market.volume))
  const buys = plan.markets.flatMap((market) => fillBest(market.buys, market.volume))
  return {
    price_micro: uniformPrice(plan, band),
    matches: yield* pairFills(sells, buys),
    volume_micro: plan.volume,
    welfare: plan.welfare,
  }
}

/**
 * The plan of greatest welfare, then volume, then lowest price. Only sellers' limits need be tried: between two of them the
 * same sells can trade, and the lower the price, the more buys.
 */
function* bestPlan(market: Market, band: PriceBand | undefined): Pieces<Plan> {
  const planAt = yield* planner(market)
  let best: Plan = { markets: [], welfare: 0n, volume: 0n }
  let lastPrice: bigint | undefined
  for (const [index, order] of market.sells.orders.entries()) {
    if (endsPiece(index)) yield
    const price = within(order.price_micro, band)
    if (price === lastPrice) continue
    lastPrice = price
    const plan = yield* planAt(price)
    if (plan.welfare > best.welfare || (plan.welfare === best.welfare && plan.volume > best.volume)) best = plan
  }
  return best
}

/**
 * What trades best at a given price: every pair that can trade gains or breaks even, so the greatest volume, best orders
 * first; unless a user dominates that volume, then the two markets that are left (./self-trade.ts).
 */
function* planner(market: Market): Pieces<(price: bigint) => Pieces<Plan>> {
  const dominatorAt = yield* dominators(market)
  const splits = new Map<string, readonly Market[]>()
  function* splitBy(user: string): Pieces<readonly Market[]> {
    const split = splits.get(user) ?? (yield* splitMarket(market, user))
    splits.set(user, split)
    return split
  }
  return function* (price) {
    const whole = tradeAt(market, price)
    const user = dominatorAt.get(whole.volume)
    const markets = user === undefined ? [whole] : (yield* splitBy(user)).map((part) => tradeAt(part, price))
    const trading = markets.filter(({ volume }) => volume > 0n)
    return {
      markets: trading,
      welfare: sumOf(trading.map(({ sells, buys, volume }) => valueOfBest(buys, volume) - valueOfBest(sells, volume))),
      volume: sumOf(trading.map(({ volume }) => volume)),
    }
  }
}

function tradeAt(market: Market, price: bigint): Traded {
  return { ...market, volume: minOf(quantityWithin(market.sells, price), quantityWithin(market.buys, price)) }
}

/**
 * The middle of the admissible interval, moved within the limits of those who trade and the band. Both hold the price that
 * the plan was made for, so they meet.
 */
function uniformPrice(plan: Plan, band: PriceBand | undefined): bigint {
  const lastSells = plan.markets.map(({ sells, volume }) => lastLimit(sells, volume))
  const lastBuys = plan.markets.map(({ buys, volume }) => lastLimit(buys, volume))
  const lowest = lastSells.reduce(maxOf)
  const highest = lastBuys.reduce(minOf)
  const wantedByBuyers = plan.markets.map(({ buys, volume }) => limitLeftOut(buys, volume) ?? lowest)
  const wantedBySellers = plan.markets.map(({ sells, volume }) => limitLeftOut(sells, volume) ?? highest)
  const middle = divideHalfEven(wantedByBuyers.reduce(maxOf, lowest) + wantedBySellers.reduce(minOf, highest), 2n)
  return minOf(maxOf(within(middle, band), lowest), highest)
}

/** Limit of the last order that the best `volume` (> 0) touches. */
const lastLimit = (curve: Market['sells'], volume: bigint): bigint =>
  fillBest(curve, volume).at(-1)?.order.price_micro ?? 0n

function within(price: bigint, band: PriceBand | undefined): bigint {
  return band === undefined ? price : minOf(maxOf(price, band.floorMicro), band.ceilingMicro)
}
