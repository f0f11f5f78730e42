import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import type { BookOrder } from '../../src/market/clearing.ts'
import { clear } from '../helpers/clear-now.ts'

const file = new URL('../../../shared/vectors/clearing/uniform-price.json', import.meta.url)

interface Row {
  readonly id: number
  readonly user: number
  readonly price: number
  readonly quantity: number
}
interface Case {
  readonly id: string
  readonly rule: string
  readonly bids: readonly Row[]
  readonly offers: readonly Row[]
  readonly expected: {
    readonly clearing_price?: number
    readonly cleared_quantity?: number
    readonly welfare?: number
  }
}

const toOrders = (rows: readonly Row[], side: 'buy' | 'sell'): BookOrder[] =>
  rows.map(({ id, user, price, quantity }) => ({
    order_id: String(id),
    user_id: String(user),
    side,
    kwh_micro: BigInt(quantity) * 1_000_000n,
    price_micro: BigInt(price) * 1_000_000n,
    timestamp: 0,
    sequence: id,
  }))

if (existsSync(file)) {
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Case[] }
  describe('published answers of uniform-price auctions', () => {
    for (const { id, rule, bids, offers, expected } of cases) {
      it(`agrees with ${id} (${rule})`, () => {
        const clearing = clear([...toOrders(bids, 'buy'), ...toOrders(offers, 'sell')])
        const known = {
          ...(expected.clearing_price !== undefined && { clearing_price: expected.clearing_price }),
          ...(expected.cleared_quantity !== undefined && { cleared_quantity: expected.cleared_quantity }),
          ...(expected.welfare !== undefined && { welfare: expected.welfare }),
        }
        const got: Record<string, number> = {
          clearing_price: Number(clearing.price_micro) / 1e6,
          cleared_quantity: Number(clearing.volume_micro) / 1e6,
          welfare: Number(clearing.welfare) / 1e12,
        }
        assert.ok(Object.keys(known).length > 0, 'the case asserts nothing that a clearing has')
        for (const [name, value] of Object.entries(known)) assert.equal(got[name], value, name)
      })
    }
  })
}
