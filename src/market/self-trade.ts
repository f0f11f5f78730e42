import { endsPiece, type Pieces } from '../protocol/pieces.ts'
import { curveOf, filterCurve, type BookOrder, type Curve, type Fill } from './order-book.ts'

/**
 * No trade with oneself. Let the fills of user u be s(u) sold and b(u) bought, and V the volume. They can be paired without
 * a self-trade if and only if s(u) + b(u) <= V for every u (Hall's theorem: only the buyers of u itself are closed to the
 * sellers of u). At most one user can break that, since the sums of all users add up to 2V; that user dominates.
 */
export interface Market {
  readonly sells: Curve
  readonly buys: Curve
}

/** One pair of a clearing. */
export interface Match {
  readonly sell_order_id: string
  readonly buy_order_id: string
  /** The seller. */
  readonly from_user_id: string
  /** The buyer. */
  readonly to_user_id: string
  /** Micro-kWh, > 0. */
  readonly kwh_micro: bigint
}

/** Adds up fills by user as the volume grows, and knows whose sum is the greatest: sums only grow. */
function runningShares() {
  const shares = new Map<string, bigint>()
  let leader = ''
  let most = 0n
  return {
    add(user: string, quantity: bigint): void {
      const share = (shares.get(user) ?? 0n) + quantity
      shares.set(user, share)
      if (share <= most) return
      leader = user
      most = share
    },
    /** The user whose fills are more than `volume`. */
    above: (volume: bigint): string | undefined => (most > volume ? leader : undefined),
  }
}

/**
 * Who dominates when the best V of both sides trade, for every V at which an order of either side is used up. Volumes that
 * nobody dominates are not in the map.
 */
export function* dominators({ sells, buys }: Market): Pieces<ReadonlyMap<bigint, string>> {
  const found = new Map<bigint, string>()
  const shares = runningShares()
  let volume = 0n
  let sellIndex = 0
  let buyIndex = 0
  for (;;) {
    if (endsPiece(sellIndex + buyIndex)) yield
    const sell = sells.orders[sellIndex]
    const buy = buys.orders[buyIndex]
    if (sell === undefined || buy === undefined) return found
    const sellEnd = sells.quantity[sellIndex + 1] ?? 0n
    const buyEnd = buys.quantity[buyIndex + 1] ?? 0n
    const end = sellEnd < buyEnd ? sellEnd : buyEnd
    shares.add(sell.user_id, end - volume)
    shares.add(buy.user_id, end - volume)
    volume = end
    if (sellEnd === end) sellIndex++
    if (buyEnd === end) buyIndex++
    const user = shares.above(volume)
    if (user !== undefined) found.set(volume, user)
  }
}

/**
 * What is left of a market that `user` dominates. Its constraint then holds with equality in an optimum (welfare is linear:
 * on the way from a better point that breaks the constraint to one that keeps it, the last one that keeps it is no worse),
 * and s(u) + b(u) = V says that everybody else trades with this user only. So there are two markets: its sales to the
 * others, and its purchases from them.
 */
export function* splitMarket({ sells, buys }: Market, user: string): Pieces<readonly Market[]> {
  const own = (order: BookOrder): boolean => order.user_id === user
  const foreign = (order: BookOrder): boolean => order.user_id !== user
  return [
    { sells: yield* filterCurve(sells, own), buys: yield* filterCurve(buys, foreign) },
    { sells: yield* filterCurve(sells, foreign), buys: yield* filterCurve(buys, own) },
  ]
}

/** The whole market, by side. */
export function* marketOf(orders: readonly BookOrder[]): Pieces<Market> {
  return { sells: yield* curveOf('sell', orders), buys: yield* curveOf('buy', orders) }
}

/**
 * Pairs fills without a self-trade, in at most as many matches as there are fills. Both sides are laid on a circle of
 * length V, grouped by user in one common order u1, u2, ...; the buys are turned until no user's buys overlap its own
 * sells. With S(k), B(k) the sums up to user k, the turn max(S(k) - B(k-1)) does that for all users as soon as
 * s(u) + b(u) <= V for each. Cutting the circle where that maximum is reached starts both sides with a whole order:
 * the sells after user k, the buys with user k. Without a user on both sides the result is: first seller, first buyer.
 *
 * At a uniform price it is all the same to everybody with whom it is paired.
 */
export function* pairFills(sells: readonly Fill[], buys: readonly Fill[]): Pieces<Match[]> {
  const sellsOf = yield* groupByUser(sells)
  const buysOf = yield* groupByUser(buys)
  const users = [...new Set([...sellsOf.keys(), ...buysOf.keys()])]
  let turn: bigint | undefined
  let cut = 0
  let sold = 0n
  let bought = 0n
  for (const [index, user] of users.entries()) {
    sold += totalOf(sellsOf.get(user))
    if (turn === undefined || sold - bought > turn) {
      turn = sold - bought
      cut = index
    }
    bought += totalOf(buysOf.get(user))
    if (endsPiece(index)) yield
  }
  return yield* zip(yield* turnedTo(cut + 1, users, sellsOf), yield* turnedTo(cut, users, buysOf))
}

/** The fills of all users, once around the circle from the user at `start` on. */
function* turnedTo(start: number, users: readonly string[], fillsOf: ReadonlyMap<string, Fill[]>): Pieces<Fill[]> {
  const fills: Fill[] = []
  for (const step of users.keys()) {
    for (const fill of fillsOf.get(users[(start + step) % users.length] ?? '') ?? []) fills.push(fill)
    if (endsPiece(step)) yield
  }
  return fills
}

function* groupByUser(fills: readonly Fill[]): Pieces<Map<string, Fill[]>> {
  const groups = new Map<string, Fill[]>()
  for (const [index, fill] of fills.entries()) {
    const group = groups.get(fill.order.user_id)
    if (group === undefined) groups.set(fill.order.user_id, [fill])
    else group.push(fill)
    if (endsPiece(index)) yield
  }
  return groups
}

const totalOf = (fills: readonly Fill[] | undefined): bigint =>
  (fills ?? []).reduce((sum, fill) => sum + fill.kwh_micro, 0n)

/** Serves both lists from their start; they add up to the same. */
function* zip(sells: readonly Fill[], buys: readonly Fill[]): Pieces<Match[]> {
  const matches: Match[] = []
  let buyIndex = 0
  let buyLeft = buys[0]?.kwh_micro ?? 0n
  for (const sell of sells) {
    let sellLeft = sell.kwh_micro
    for (let buy = buys[buyIndex]; buy !== undefined && sellLeft > 0n; buy = buys[buyIndex]) {
      const kwh_micro = sellLeft < buyLeft ? sellLeft : buyLeft
      matches.push({
        sell_order_id: sell.order.order_id,
        buy_order_id: buy.order.order_id,
        from_user_id: sell.order.user_id,
        to_user_id: buy.order.user_id,
        kwh_micro,
      })
      if (endsPiece(matches.length)) yield
      sellLeft -= kwh_micro
      buyLeft -= kwh_micro
      if (buyLeft > 0n) continue
      buyIndex++
      buyLeft = buys[buyIndex]?.kwh_micro ?? 0n
    }
  }
  return matches
}
