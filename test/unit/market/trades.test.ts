import assert from 'node:assert/strict'
import type { Clearing } from '../../../src/market/clearing.ts'
import { tradeId } from '../../../src/market/trades.ts'
import { tradesOf } from '../../helpers/clear-now.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { identifier } from '../../../src/protocol/shape.ts'
import { checkTransaction, transactionShape } from '../../../src/protocol/transaction.ts'

const clearing: Clearing = {
  price_micro: 150_000n,
  matches: [
    { sell_order_id: 's1', buy_order_id: 'b1', from_user_id: 'ann', to_user_id: 'bob', kwh_micro: 1_500_001n },
    { sell_order_id: 's1', buy_order_id: 'b2', from_user_id: 'ann', to_user_id: 'cid', kwh_micro: 1n },
  ],
  volume_micro: 1_500_002n,
  welfare: 0n,
}
const nonces = () => {
  let count = 0
  return () => (count++).toString(16).padStart(32, '0')
}
const terms = { tick_id: '2016-08-08T00:00:00', timestamp: 7, amountDecimals: 2, nonces: nonces() }

describe('tradesOf', () => {
  it('writes trades that a block accepts, with totals rounded to the decimals of the currency', () => {
    const { trades } = tradesOf(clearing, terms)
    assert.deepEqual(
      trades.map(({ id, kwh, price_per_kwh, total_amount }) => [id, kwh, price_per_kwh, total_amount]),
      [
        ['2016-08-08T00:00:00.0', '1.500001', '0.15', '0.23'],
        ['2016-08-08T00:00:00.1', '0.000001', '0.15', '0'],
      ],
    )
    for (const trade of trades) {
      checkTransaction(transactionShape(trade, 'trade'), 2)
      assert.deepEqual([trade.timestamp, trade.tick_id], [7, terms.tick_id])
    }
    assert.notEqual(trades[0]?.nonce, trades[1]?.nonce)
  })

  it('takes from both orders what the trade moved', () => {
    const { fills } = tradesOf(clearing, terms)
    assert.deepEqual(
      fills.map(({ order_id, transaction_id, kwh_micro }) => [order_id, transaction_id, kwh_micro]),
      [
        ['s1', '2016-08-08T00:00:00.0', 1_500_001n],
        ['b1', '2016-08-08T00:00:00.0', 1_500_001n],
        ['s1', '2016-08-08T00:00:00.1', 1n],
        ['b2', '2016-08-08T00:00:00.1', 1n],
      ],
    )
  })

  it('writes nothing for a tick that trades nothing', () => {
    const nothing: Clearing = { price_micro: null, matches: [], volume_micro: 0n, welfare: 0n }
    assert.deepEqual(tradesOf(nothing, terms), { trades: [], fills: [] })
  })

  it('names a trade of a tick with a long name by the hash of that name', () => {
    const long = 'x'.repeat(63)
    assert.equal(tradeId('x'.repeat(62), 3), `${'x'.repeat(62)}.3`)
    assert.equal(tradeId(long, 3), `${sha256Hex(long).slice(0, 32)}.3`)
    assert.equal(identifier(tradeId(long, 99_999), 'id'), tradeId(long, 99_999))
  })
})
