import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { BookOrder, Clearing, PriceBand } from '../../src/market/clearing.ts'
import { compareOrders } from '../../src/market/order-book.ts'
import { checkOrder } from '../../src/market/intake.ts'
import { formatQuantity, multiplyToAmount } from '../../src/protocol/decimal.ts'
import { DEFAULT_MIN_TRADE_MICRO } from '../../src/protocol/limits.ts'
import { clear, tradesOf } from '../helpers/clear-now.ts'

interface Draft {
  readonly user: string
  readonly side: 'buy' | 'sell'
  readonly kwh: number
  readonly price: number
}

const bookOf = (drafts: readonly Draft[]): BookOrder[] =>
  drafts.map(({ user, side, kwh, price }, index) => ({
    order_id: `o${index}`,
    user_id: user,
    side,
    kwh_micro: BigInt(kwh),
    price_micro: BigInt(price),
    sequence: index,
  }))

/** Small books with few users, so that users meet their own orders often, and few prices, so that ties are common. */
const draft = (users: readonly string[]): fc.Arbitrary<Draft> =>
  fc.record({
    user: fc.constantFrom(...users),
    side: fc.constantFrom('buy', 'sell'),
    kwh: fc.integer({ min: 1, max: 3 }),
    price: fc.integer({ min: 0, max: 6 }),
  })
const smallBook = fc
  .constantFrom(['a', 'b'], ['a', 'b', 'c'], ['a', 'b', 'c', 'd', 'e'])
  .chain((users) => fc.array(draft(users), { maxLength: 6 }))
  .map(bookOf)
/** Each user is on one side only: the textbook auction. */
const oneSidedBook = fc
  .array(draft(['a', 'b', 'c']), { maxLength: 8 })
  .map((drafts) => bookOf(drafts.map((order) => ({ ...order, user: `${order.side}-${order.user}` }))))
const largeBook = fc
  .array(
    fc.record({
      user: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
      side: fc.constantFrom<'buy' | 'sell'>('buy', 'sell'),
      kwh: fc.integer({ min: 1, max: 5_000_000 }),
      price: fc.integer({ min: 0, max: 400_000 }),
    }),
    { maxLength: 60 },
  )
  .map(bookOf)
const maybeBand: fc.Arbitrary<PriceBand | undefined> = fc.option(
  fc
    .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 }))
    .map(([a, b]) => ({ floorMicro: BigInt(Math.min(a, b)), ceilingMicro: BigInt(Math.max(a, b)) })),
  { nil: undefined },
)

const clearIn = (book: readonly BookOrder[], band: PriceBand | undefined): Clearing =>
  clear(book, band === undefined ? {} : { priceBand: band })

/**
 * The optimum by trying every combination of fills. A combination counts if both sides add up to the same, one price (in the
 * band) suits everybody in it, and its units can be handed from sellers to buyers one by one without a self-trade.
 */
function bruteForce(book: readonly BookOrder[], band: PriceBand | undefined): { welfare: bigint; volume: bigint } {
  let best = { welfare: 0n, volume: 0n }
  const fills = book.map(() => 0n)
  const visit = (index: number): void => {
    const order = book[index]
    if (order !== undefined) {
      for (let fill = 0n; fill <= order.kwh_micro; fill++) {
        fills[index] = fill
        visit(index + 1)
      }
      return
    }
    const sum = (side: 'buy' | 'sell'): bigint =>
      book.reduce((total, { side: own }, at) => (own === side ? total + fills[at]! : total), 0n)
    const volume = sum('buy')
    if (volume !== sum('sell') || volume === 0n) return
    const welfare = book.reduce(
      (total, { side, price_micro }, at) => total + (side === 'buy' ? 1n : -1n) * fills[at]! * price_micro,
      0n,
    )
    if (welfare < best.welfare || (welfare === best.welfare && volume <= best.volume)) return
    if (suitsOnePrice(book, fills, band) && canBePaired(book, fills)) best = { welfare, volume }
  }
  visit(0)
  return best
}

function suitsOnePrice(book: readonly BookOrder[], fills: readonly bigint[], band: PriceBand | undefined): boolean {
  const traded = book.filter((_, at) => fills[at]! > 0n)
  for (let price = 0n; price <= 6n; price++) {
    if (band !== undefined && (price < band.floorMicro || price > band.ceilingMicro)) continue
    if (traded.every(({ side, price_micro }) => (side === 'buy' ? price_micro >= price : price_micro <= price)))
      return true
  }
  return false
}

/** Hands over unit by unit, with every choice of buyer. */
function canBePaired(book: readonly BookOrder[], fills: readonly bigint[]): boolean {
  const sellers = book.flatMap(({ side, user_id }, at) =>
    side === 'sell' ? Array.from({ length: Number(fills[at]) }, () => user_id) : [],
  )
  const wanted = new Map<string, number>()
  for (const [at, { side, user_id }] of book.entries()) {
    if (side === 'buy') wanted.set(user_id, (wanted.get(user_id) ?? 0) + Number(fills[at]))
  }
  const hand = (unit: number): boolean => {
    const seller = sellers[unit]
    if (seller === undefined) return true
    for (const [buyer, units] of wanted) {
      if (buyer === seller || units === 0) continue
      wanted.set(buyer, units - 1)
      const done = hand(unit + 1)
      wanted.set(buyer, units)
      if (done) return true
    }
    return false
  }
  return hand(0)
}

function filled(book: readonly BookOrder[], clearing: Clearing): Map<string, bigint> {
  const fills = new Map(book.map(({ order_id }) => [order_id, 0n]))
  for (const match of clearing.matches) {
    for (const id of [match.sell_order_id, match.buy_order_id]) fills.set(id, fills.get(id)! + match.kwh_micro)
  }
  return fills
}

/** What must hold for any clearing of any book. */
function assertSound(book: readonly BookOrder[], clearing: Clearing, band: PriceBand | undefined): void {
  const orders = new Map(book.map((order) => [order.order_id, order]))
  const price = clearing.price_micro
  assert.equal(price === null, clearing.matches.length === 0)
  if (price === null) return
  if (band !== undefined) assert.ok(price >= band.floorMicro && price <= band.ceilingMicro, 'outside the band')
  let welfare = 0n
  for (const match of clearing.matches) {
    const sell = orders.get(match.sell_order_id)!
    const buy = orders.get(match.buy_order_id)!
    assert.deepEqual([sell.side, buy.side], ['sell', 'buy'])
    assert.deepEqual([match.from_user_id, match.to_user_id], [sell.user_id, buy.user_id])
    assert.notEqual(match.from_user_id, match.to_user_id, 'a trade with oneself')
    assert.ok(match.kwh_micro > 0n)
    assert.ok(sell.price_micro <= price, `sold at ${price}, asked ${sell.price_micro}`)
    assert.ok(buy.price_micro >= price, `bought at ${price}, bid ${buy.price_micro}`)
    welfare += match.kwh_micro * (buy.price_micro - sell.price_micro)
  }
  for (const [id, kwh] of filled(book, clearing)) assert.ok(kwh <= orders.get(id)!.kwh_micro, `${id} is overfilled`)
  assert.equal(welfare, clearing.welfare)
  assert.equal(
    clearing.matches.reduce((sum, match) => sum + match.kwh_micro, 0n),
    clearing.volume_micro,
  )
  assert.ok(clearing.matches.length < book.length, 'more trades than orders')
}

describe('the clearing of a book', () => {
  it('reaches the welfare, and with it the volume, of a brute-force optimum, with and without a price band', () => {
    fc.assert(
      fc.property(smallBook, maybeBand, (book, band) => {
        const clearing = clearIn(book, band)
        assertSound(book, clearing, band)
        const best = bruteForce(book, band)
        assert.deepEqual({ welfare: clearing.welfare, volume: clearing.volume_micro }, best)
      }),
      { numRuns: 1500 },
    )
  })

  it('keeps everybody within their limit, pairs nobody with itself and fills no order beyond its rest', () => {
    fc.assert(
      fc.property(largeBook, (book) => {
        assertSound(book, clear(book), undefined)
      }),
      { numRuns: 300 },
    )
  })

  it('takes the middle of the prices at which supply and demand meet', () => {
    fc.assert(
      fc.property(oneSidedBook, (book) => {
        const { price_micro } = clear(book)
        if (price_micro === null) return
        const sum = (side: 'buy' | 'sell', within: (limit: bigint) => boolean): bigint =>
          book.reduce((t, order) => (order.side === side && within(order.price_micro) ? t + order.kwh_micro : t), 0n)
        const meets = [0n, 1n, 2n, 3n, 4n, 5n, 6n].filter(
          (p) =>
            sum('sell', (limit) => limit < p) <= sum('buy', (limit) => limit >= p) &&
            sum('buy', (limit) => limit > p) <= sum('sell', (limit) => limit <= p),
        )
        const twice = meets[0]! + meets.at(-1)!
        const expected = twice % 2n === 0n ? twice / 2n : twice / 2n + ((twice / 2n) % 2n)
        assert.equal(price_micro, expected)
      }),
      { numRuns: 1000 },
    )
  })

  it('serves the best price first, then the earliest arrival', () => {
    fc.assert(
      fc.property(oneSidedBook, (book) => {
        const fills = filled(book, clear(book))
        for (const side of ['sell', 'buy'] as const) {
          const queue = book.filter((order) => order.side === side).sort(compareOrders)
          const lastServed = queue.findLastIndex(({ order_id }) => fills.get(order_id)! > 0n)
          for (const order of queue.slice(0, Math.max(lastServed, 0))) {
            assert.equal(fills.get(order.order_id), order.kwh_micro, `${order.order_id} was passed over`)
          }
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('balances energy and money to the last micro-unit, whatever the decimals of the currency', () => {
    fc.assert(
      fc.property(largeBook, fc.integer({ min: 0, max: 6 }), (book, amountDecimals) => {
        const clearing = clear(book)
        const terms = { tick_id: 't', timestamp: 1, amountDecimals, nonces: () => '0'.repeat(32) }
        const { trades, fills } = tradesOf(clearing, terms)
        const energy = new Map<string, bigint>()
        const money = new Map<string, bigint>()
        const add = (map: Map<string, bigint>, key: string, value: bigint) => map.set(key, (map.get(key) ?? 0n) + value)
        for (const [index, trade] of trades.entries()) {
          const { kwh_micro } = clearing.matches[index]!
          const total = multiplyToAmount(kwh_micro, clearing.price_micro!, amountDecimals)
          assert.equal(trade.kwh, formatQuantity(kwh_micro))
          assert.equal(trade.total_amount, formatQuantity(total))
          add(energy, trade.from_user_id, -kwh_micro)
          add(energy, trade.to_user_id, kwh_micro)
          add(money, trade.from_user_id, total)
          add(money, trade.to_user_id, -total)
        }
        const sum = (map: Map<string, bigint>) => [...map.values()].reduce((total, value) => total + value, 0n)
        assert.deepEqual([sum(energy), sum(money)], [0n, 0n])
        const side = new Map(book.map((order) => [order.order_id, order.side]))
        const taken = (wanted: 'buy' | 'sell') =>
          fills.reduce((total, fill) => (side.get(fill.order_id) === wanted ? total + fill.kwh_micro : total), 0n)
        assert.deepEqual([taken('sell'), taken('buy')], [clearing.volume_micro, clearing.volume_micro])
      }),
      { numRuns: 300 },
    )
  })

  it('does not depend on the sequence in which the orders are given', () => {
    fc.assert(
      fc.property(
        smallBook.chain((book) => fc.tuple(fc.constant(book), fc.shuffledSubarray(book, { minLength: book.length }))),
        ([book, shuffled]) => {
          assert.deepEqual(clear(shuffled), clear(book))
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('the intake of orders', () => {
  it('lets no order below the minimum into the book', () => {
    const minimum = DEFAULT_MIN_TRADE_MICRO
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 3n * minimum }), (kwh) => {
        const order = {
          order_id: 'o',
          user_id: 'u',
          side: 'buy',
          kwh: formatQuantity(kwh),
          price_per_kwh: '0.2',
          timestamp: 0,
        } as const
        assert.equal(checkOrder(order, { minTradeMicro: minimum, now: 0 }).ok, kwh >= minimum)
      }),
    )
  })
})
