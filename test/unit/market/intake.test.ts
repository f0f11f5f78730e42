import assert from 'node:assert/strict'
import { checkOrder } from '../../../src/market/intake.ts'
import { clear, tradesOf } from '../../helpers/clear-now.ts'
import { parseQuantity } from '../../../src/protocol/decimal.ts'
import type { Order } from '../../../src/protocol/order.ts'

const now = Date.UTC(2026, 0, 1)
const rules = { minTradeMicro: 10_000n, now }
const base: Order = { order_id: 'o', user_id: 'u', side: 'buy', kwh: '1', price_per_kwh: '0.2', timestamp: now }
const code = (change: Partial<Order>, over: Partial<typeof rules> = {}): string => {
  const verdict = checkOrder({ ...base, ...change }, { ...rules, ...over })
  return verdict.ok ? 'ok' : verdict.code
}

describe('checkOrder', () => {
  it('takes the minimum and refuses a micro-kWh less', () => {
    assert.equal(code({ kwh: '0.01' }), 'ok')
    assert.equal(code({ kwh: '0.009999' }), 'order_too_small')
  })

  it('refuses an order for nothing even without a minimum', () => {
    assert.equal(code({ kwh: '0.000001' }, { minTradeMicro: 0n }), 'ok')
    assert.equal(code({ kwh: '0' }, { minTradeMicro: 0n }), 'order_too_small')
  })

  it('refuses a purchase whose cost no total could hold, so that every tick can be written', () => {
    const most = '999999999999'
    assert.equal(code({ kwh: most, price_per_kwh: '1.000001' }), 'order_too_large')
    assert.equal(code({ kwh: most, price_per_kwh: most }), 'order_too_large')
    assert.equal(code({ kwh: most, price_per_kwh: most, side: 'sell' }), 'ok')
    assert.equal(code({ kwh: most, price_per_kwh: '1' }), 'ok')
    const largest = { kwh_micro: parseQuantity(most), price_micro: 1_000_000n, timestamp: 0 }
    const clearing = clear([
      { ...largest, order_id: 's', user_id: 'a', side: 'sell', sequence: 1 },
      { ...largest, order_id: 'b', user_id: 'b', side: 'buy', sequence: 2 },
    ])
    const terms = { tick_id: 't', timestamp: 0, amountDecimals: 0, nonces: () => '' }
    assert.equal(tradesOf(clearing, terms).trades[0]?.total_amount, most)
  })

  it('refuses an order that is valid at no time', () => {
    assert.equal(code({ valid_until: now }), 'never_valid')
    assert.equal(code({ valid_until: now + 1 }), 'ok')
  })

  it('refuses a timestamp more than two minutes ahead, and takes any old one', () => {
    assert.equal(code({ timestamp: now + 120_000 }), 'ok')
    assert.equal(code({ timestamp: now + 120_001 }), 'from_the_future')
    assert.equal(code({ timestamp: 0, valid_until: 1 }), 'ok')
  })
})
