import assert from 'node:assert/strict'
import fc from 'fast-check'
import { lateCorrections, lateId, type LateReading, type TradeState } from '../../../src/market/late-readings.ts'
import { multiplyToAmount, parseDelta } from '../../../src/protocol/decimal.ts'

const RULES = { timestamp: 1_000, amountDecimals: 6 }
const MICRO = 1_000_000n

function trade(id: string, from: string, to: string, kwhMicro: bigint, priceMicro = 200_000n): TradeState {
  const amountMicro = multiplyToAmount(kwhMicro, priceMicro, RULES.amountDecimals)
  return { id, from_user_id: from, to_user_id: to, priceMicro, kwhMicro, amountMicro, corrections: 0 }
}

/** The trades after these corrections. */
function after(trades: readonly TradeState[], rows: ReturnType<typeof lateCorrections>): TradeState[] {
  return trades.map((state) =>
    rows
      .filter(({ corrects }) => corrects === state.id)
      .reduce(
        (now, row) => ({
          ...now,
          kwhMicro: now.kwhMicro + parseDelta(row.kwh_delta),
          amountMicro: now.amountMicro + parseDelta(row.amount_delta),
          corrections: now.corrections + 1,
        }),
        state,
      ),
  )
}

describe('late meter readings', () => {
  const trades = [trade('t.0', 'roof', 'flat', MICRO), trade('t.1', 'roof', 'shop', 2n * MICRO)]

  it('take back what a seller did not have, from its last trade on, at the price of the trade', () => {
    const rows = lateCorrections(trades, [{ household: 'roof', netMicro: 500_000n }], RULES)
    assert.deepEqual(
      rows.map(({ id, corrects, kwh_delta, amount_delta }) => [id, corrects, kwh_delta, amount_delta]),
      [
        ['t.1.late-1', 't.1', '-2', '-0.4'],
        ['t.0.late-1', 't.0', '-0.5', '-0.1'],
      ],
    )
    assert.match(rows[0]!.reason, /late meter reading of roof/)
  })

  it('take back what a buyer did not need, and all of it from one who sold instead', () => {
    const needed = lateCorrections(trades, [{ household: 'shop', netMicro: -1_500_000n }], RULES)
    assert.deepEqual(
      needed.map(({ kwh_delta }) => kwh_delta),
      ['-0.5'],
    )
    const sold = lateCorrections(trades, [{ household: 'shop', netMicro: 1_000_000n }], RULES)
    assert.deepEqual(
      sold.map(({ kwh_delta }) => kwh_delta),
      ['-2'],
    )
  })

  it('change nothing that they cover, and never raise a trade', () => {
    for (const netMicro of [3n * MICRO, 9n * MICRO]) {
      assert.deepEqual(lateCorrections(trades, [{ household: 'roof', netMicro }], RULES), [])
    }
    assert.deepEqual(lateCorrections(trades, [{ household: 'nobody', netMicro: 0n }], RULES), [])
  })

  it('keep what was corrected by hand: they take back the price of the energy, and leave no amount below 0', () => {
    const [sold] = trades
    const amounts = [0n, 1n, sold!.amountMicro / 2n, sold!.amountMicro, 7n * MICRO]
    for (const amountMicro of amounts) {
      const byHand = { ...sold!, amountMicro, corrections: 1 }
      const readings = [{ household: byHand.from_user_id, netMicro: byHand.kwhMicro / 2n }]
      const [row] = lateCorrections([byHand], readings, RULES)
      const worth = multiplyToAmount(byHand.kwhMicro / 2n, byHand.priceMicro, RULES.amountDecimals)
      assert.equal(parseDelta(row!.amount_delta), -(amountMicro < worth ? amountMicro : worth))
    }
  })

  it('count a trade that both of its parties correct once', () => {
    const readings = [
      { household: 'roof', netMicro: 2n * MICRO },
      { household: 'shop', netMicro: -MICRO },
    ]
    const left = after(trades, lateCorrections(trades, readings, RULES))
    assert.deepEqual(
      left.map(({ kwhMicro }) => kwhMicro),
      [MICRO, MICRO],
    )
  })

  it('name long ids by their hash', () => {
    assert.equal(lateId('x'.repeat(64), 1).length, 64)
    assert.notEqual(lateId('x'.repeat(64), 1), lateId('x'.repeat(64), 2))
  })

  const household = fc.constantFrom('a', 'b', 'c', 'd')
  const anyTrade = fc.record({
    from: household,
    to: household,
    kwh: fc.bigInt(1n, 5n * MICRO),
    price: fc.bigInt(0n, MICRO),
  })
  const anyReading = fc.record({ household, netMicro: fc.bigInt(-6n * MICRO, 6n * MICRO) })

  it('leave nobody with more than its meter says, every amount exact, and applied again give nothing', () => {
    fc.assert(
      fc.property(
        fc.array(anyTrade, { maxLength: 8 }),
        fc.uniqueArray(anyReading, { selector: (r) => r.household }),
        (some, readings: LateReading[]) => {
          const before = some
            .filter(({ from, to }) => from !== to)
            .map(({ from, to, kwh, price }, index) => trade(`t.${index}`, from, to, kwh, price))
          const rows = lateCorrections(before, readings, RULES)
          const left = after(before, rows)
          for (const { kwhMicro, amountMicro, priceMicro } of left) {
            assert.ok(kwhMicro >= 0n)
            assert.equal(amountMicro, multiplyToAmount(kwhMicro, priceMicro, RULES.amountDecimals))
          }
          for (const { household: who, netMicro } of readings) {
            const sum = (side: 'from_user_id' | 'to_user_id') =>
              left.filter((one) => one[side] === who).reduce((total, { kwhMicro }) => total + kwhMicro, 0n)
            assert.ok(sum('from_user_id') <= (netMicro > 0n ? netMicro : 0n))
            assert.ok(sum('to_user_id') <= (netMicro < 0n ? -netMicro : 0n))
          }
          assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length)
          assert.deepEqual(lateCorrections(left, readings, RULES), [])
        },
      ),
    )
  })
})
