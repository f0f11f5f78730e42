import assert from 'node:assert/strict'
import type { BookOrder, Clearing } from '../../../src/market/clearing.ts'
import { parseQuantity } from '../../../src/protocol/decimal.ts'
import { clear } from '../../helpers/clear-now.ts'

let arrivals = 0
/** "ann sells 2 at 0.1" as an order; arrival in the sequence of the calls. */
function order(user: string, side: 'buy' | 'sell', kwh: string, price: string): BookOrder {
  const sequence = arrivals++
  return {
    order_id: `${user}-${side}-${kwh}@${price}`,
    user_id: user,
    side,
    kwh_micro: parseQuantity(kwh),
    price_micro: parseQuantity(price),
    sequence,
  }
}
const sells = (user: string, kwh: string, price: string) => order(user, 'sell', kwh, price)
const buys = (user: string, kwh: string, price: string) => order(user, 'buy', kwh, price)
const band = (floor: string, ceiling: string) => ({
  priceBand: { floorMicro: parseQuantity(floor), ceilingMicro: parseQuantity(ceiling) },
})
const who = ({ matches }: Clearing) => matches.map((m) => `${m.from_user_id}>${m.to_user_id} ${m.kwh_micro}`)

describe('clear', () => {
  it('has no price when nothing trades', () => {
    const nothing = { price_micro: null, matches: [], volume_micro: 0n, welfare: 0n }
    assert.deepEqual(clear([]), nothing)
    assert.deepEqual(clear([sells('ann', '1', '0.2')]), nothing)
    assert.deepEqual(clear([sells('ann', '1', '0.2'), buys('bob', '1', '0.19')]), nothing)
    assert.deepEqual(clear([sells('ann', '0', '0.2'), buys('bob', '1', '0.3')]), nothing)
  })

  it('trades at a price that both only just accept', () => {
    const clearing = clear([sells('ann', '1', '0.2'), buys('bob', '1', '0.2')])
    assert.deepEqual([clearing.price_micro, clearing.volume_micro, clearing.welfare], [200_000n, 1_000_000n, 0n])
  })

  it('takes the middle of the admissible interval, half a micro to even', () => {
    assert.equal(clear([sells('ann', '1', '0.08'), buys('bob', '1', '0.22')]).price_micro, 150_000n)
    assert.equal(clear([sells('ann', '1', '0.000001'), buys('bob', '1', '0.000002')]).price_micro, 2n)
    assert.equal(clear([sells('ann', '1', '0.000002'), buys('bob', '1', '0.000003')]).price_micro, 2n)
  })

  it('lets those who are left out narrow the interval', () => {
    const book = [sells('ann', '1', '0.1'), buys('bob', '1', '0.4'), buys('cid', '1', '0.2'), sells('dan', '1', '0.3')]
    assert.equal(clear(book).price_micro, 250_000n)
  })

  it('takes the limit of the order that is filled in part', () => {
    assert.equal(clear([sells('ann', '3', '0.08'), buys('bob', '1', '0.22')]).price_micro, 80_000n)
    assert.equal(clear([sells('ann', '1', '0.08'), buys('bob', '3', '0.22')]).price_micro, 220_000n)
  })

  it('serves the better price before the earlier arrival', () => {
    const dear = sells('dear', '1', '0.11')
    const early = sells('early', '1', '0.1')
    const late = sells('late', '1', '0.1')
    assert.deepEqual(who(clear([dear, late, early, buys('bob', '2', '0.2')])), [
      'early>bob 1000000',
      'late>bob 1000000',
    ])
    const [first, second] = [sells('first', '1', '0.1'), sells('second', '1', '0.1')]
    assert.deepEqual(who(clear([second, first, buys('bob', '1', '0.2')])), ['first>bob 1000000'])
  })

  it('passes over an own order for the next one, though it is later', () => {
    const clearing = clear([sells('ann', '1', '0.1'), sells('bob', '1', '0.1'), buys('ann', '1', '0.2')])
    assert.deepEqual(who(clearing), ['bob>ann 1000000'])
  })

  it('trades nothing when a user has only itself to trade with', () => {
    assert.equal(clear([sells('ann', '1', '0.1'), buys('ann', '1', '0.2')]).volume_micro, 0n)
  })

  it('cuts the volume to what a dominating user can trade with others, at the price without its own crossing', () => {
    const clearing = clear([sells('ann', '5', '0.1'), buys('ann', '1', '0.9'), buys('bob', '2', '0.4')])
    assert.deepEqual(who(clearing), ['ann>bob 2000000'])
    assert.equal(clearing.price_micro, 100_000n)
  })

  it('turns the pairing when users are on both sides and nobody dominates', () => {
    const users = ['ann', 'bob', 'cid']
    const clearing = clear(users.flatMap((user) => [sells(user, '1', '0.1'), buys(user, '1', '0.2')]))
    assert.equal(clearing.volume_micro, 3_000_000n)
    assert.ok(clearing.matches.every((match) => match.from_user_id !== match.to_user_id))
  })

  it('gives up the lesser of two trades that no single price can serve', () => {
    // ann could sell to bob between 0.10 and 0.15 and buy from cid between 0.25 and 0.30, but not at one price.
    const book = [
      sells('ann', '1', '0.01'),
      sells('ann', '1', '0.1'),
      buys('bob', '1', '0.2'),
      buys('bob', '1', '0.15'),
      buys('ann', '3', '0.3'),
      sells('cid', '1', '0.25'),
    ]
    const clearing = clear(book)
    assert.deepEqual(who(clearing), ['ann>bob 1000000', 'ann>bob 1000000'])
    assert.ok(clearing.price_micro !== null && clearing.price_micro >= 100_000n && clearing.price_micro <= 150_000n)
  })

  describe('with a price band', () => {
    it('moves the price to the nearest edge', () => {
      const book = [sells('ann', '1', '0.02'), buys('bob', '1', '0.04')]
      assert.equal(clear(book, band('0.03', '0.22')).price_micro, 30_000n)
      const dear = [sells('ann', '1', '0.1'), buys('bob', '1', '0.6')]
      assert.equal(clear(dear, band('0.08', '0.22')).price_micro, 220_000n)
      assert.equal(clear(dear, band('0.08', '0.5')).price_micro, 350_000n)
    })

    it('leaves out a sell above the ceiling and a buy below the floor', () => {
      assert.equal(clear([sells('ann', '1', '0.3'), buys('bob', '1', '0.6')], band('0.08', '0.22')).volume_micro, 0n)
      assert.equal(clear([sells('ann', '1', '0.01'), buys('bob', '1', '0.05')], band('0.08', '0.22')).volume_micro, 0n)
    })

    it('rations the long side at the edge', () => {
      // Without the band both would trade at 0.03; at the floor there is one buyer for two sellers.
      const book = [
        sells('bob', '1', '0.02'),
        sells('ann', '1', '0.02'),
        buys('cid', '1', '0.3'),
        buys('dan', '1', '0.04'),
      ]
      const clearing = clear(book, band('0.08', '0.22'))
      assert.deepEqual(who(clearing), ['bob>cid 1000000'])
      assert.equal(clearing.price_micro, 80_000n)
    })
  })
})
