import assert from 'node:assert/strict'
import { parseExactDecimal, subtractExact, toMicroHalfEven } from '../../../src/market/exact-decimal.ts'
import { parseIntervalStart } from '../../../src/market/interval-time.ts'
import {
  collectReadings,
  findColumns,
  type Column,
  type Readings,
  type ReadingRules,
} from '../../../src/market/readings.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { orderShape } from '../../../src/protocol/order.ts'

const HEADER = ['timestamp', 'household', 'load_kwh', 'pv_kwh', 'price_per_kwh']
const RULES: ReadingRules = { feedInMicro: 80_000n, minTradeMicro: 10_000n }
const T0 = '2016-08-08T00:00:00'
const T1 = '2016-08-08T01:00:00'
const START = Date.UTC(2016, 7, 8)

function read(rows: readonly string[], rules = RULES): Readings {
  const collector = collectReadings(findColumns(HEADER), rules)
  for (const [index, row] of rows.entries()) collector.add(row.split(','), index + 2)
  return collector.finish()
}
const only = (row: string) => read([row]).intervals[0]?.orders[0]
const reason = (row: string): string => {
  const { intervals, bad } = read([row])
  assert.deepEqual(intervals, [])
  assert.equal(bad[0]?.line, 2)
  return bad[0].reason
}

describe('meter readings', () => {
  it('become a sale at the feed-in price or a purchase at the price of the row', () => {
    assert.deepEqual(only(`${T0},ann,0.25,1.5,0.22`), {
      order_id: `${T0}@ann`,
      user_id: 'ann',
      side: 'sell',
      kwh: '1.25',
      price_per_kwh: '0.08',
      timestamp: START,
      valid_until: START + 1,
    })
    assert.deepEqual(only(`${T0},bob,1.5,0.25,0.22`), {
      order_id: `${T0}@bob`,
      user_id: 'bob',
      side: 'buy',
      kwh: '1.25',
      price_per_kwh: '0.22',
      timestamp: START,
      valid_until: START + 1,
    })
  })

  it('are rounded once, after the subtraction, half to even', () => {
    // Rounded one by one, the second of these would be 1.000001 - 0.
    assert.equal(only(`${T0},a,0.0000005,1.000002,1`)?.kwh, '1.000002')
    assert.equal(only(`${T0},a,0.0000005,1.000001,1`)?.kwh, '1')
    assert.equal(only(`${T0},a,9.7529096e-08,1,1`)?.kwh, '1')
    assert.equal(only(`${T0},a,9.7529096e-08,0.0100004,1`)?.kwh, '0.01')
    assert.equal(only(`${T0},a,${'0.1'.padEnd(60, '0')}1,0.2,1`)?.kwh, '0.1')
    assert.equal(only(`${T0},a,1e-1,2E+1,1`)?.kwh, '19.9')
  })

  it('below the minimum are dropped, at the minimum they count', () => {
    const { intervals, dropped, bad } = read([
      `${T0},a,0.009999,0,0.2`,
      `${T0},b,0,0.0099994,0.2`,
      `${T0},c,0,0.0099996,0.2`,
      `${T0},d,1,1,0.2`,
    ])
    assert.deepEqual([dropped, bad.length], [3, 0])
    assert.deepEqual(
      intervals[0]?.orders.map(({ user_id, kwh }) => [user_id, kwh]),
      [['c', '0.01']],
    )
    assert.equal(read([`${T0},d,1,1,0.2`], { ...RULES, minTradeMicro: 0n }).dropped, 1)
  })

  it('with a price of more than six decimals bid it rounded half to even', () => {
    assert.equal(only(`${T0},a,1,0,0.2200005`)?.price_per_kwh, '0.22')
    assert.equal(only(`${T0},a,1,0,0.2200015`)?.price_per_kwh, '0.220002')
  })

  it('give the same order whatever else is in the file, valid at the start of the interval alone', () => {
    const row = `${T0},ann,1,0,0.22`
    const alone = only(row)
    for (const others of [[`${T1},ann,1,0,0.22`], [`2016-08-09T00:00:00,bob,1,0,0.22`, `${T0},bob,0,2,0.2`]]) {
      assert.deepEqual(
        read([...others, row]).intervals[0]?.orders.find(({ user_id }) => user_id === 'ann'),
        alone,
      )
    }
    assert.equal(alone?.valid_until, alone?.timestamp === undefined ? undefined : alone.timestamp + 1)
  })

  it('are grouped by interval and given in time order, whatever the order of the rows', () => {
    const { intervals } = read([`${T1},a,1,0,0.2`, `${T0},a,1,0,0.2`, `${T1},b,0,1,0.2`])
    assert.deepEqual(
      intervals.map(({ tick_id, timestamp, orders }) => [tick_id, timestamp, orders.map(({ user_id }) => user_id)]),
      [
        [T0, START, ['a']],
        [T1, START + 3_600_000, ['a', 'b']],
      ],
    )
  })

  it('make an interval of their own even if none of them is large enough for an order', () => {
    assert.deepEqual(read([`${T0},a,0,0,0.2`]).intervals, [{ tick_id: T0, timestamp: START, orders: [] }])
  })

  it('of households with long names get an order_id that is still an identifier', () => {
    const [a, b] = ['a', 'b'].map((end) => only(`${T0},${'h'.repeat(63)}${end},1,0,0.2`))
    assert.match(a?.order_id ?? '', /^[0-9a-f]{64}$/)
    assert.notEqual(a?.order_id, b?.order_id)
    orderShape(a, 'order')
  })

  it('name a household as the edge does', () => {
    const uuid = '123E4567-E89B-12D3-A456-426614174000'
    assert.equal(only(`${T0},${uuid},1,0,0.2`)?.user_id, uuid.toLowerCase())
  })
})

describe('a bad row', () => {
  it('is reported with its line and what is wrong with it', () => {
    assert.match(reason(`${T0},a,much,0,0.2`), /load_kwh.*decimal number.*"much"/)
    assert.match(reason(`${T0},a,,0,0.2`), /load_kwh.*decimal number/)
    assert.match(reason(`${T0},a,NaN,0,0.2`), /load_kwh/)
    assert.match(reason(`${T0},a,.,0,0.2`), /load_kwh/)
    assert.match(reason(`${T0},a,-1,0,0.2`), /load_kwh.*at least 0/)
    assert.match(reason(`${T0},a,1e999999999,0,0.2`), /load_kwh/)
    assert.match(reason(`${T0},a,1e12,0,0.2`), /pv_kwh - load_kwh/)
    assert.match(reason(`${T0},a,1,0`), /price_per_kwh: /)
    assert.match(reason(`${T0},a,1,0,1e12`), /price_per_kwh: /)
    assert.match(reason(`${T0},a b,1,0,0.2`), /household.*identifier/)
    assert.match(reason('2016-08-08 00:00:00,a,1,0,0.2'), /timestamp.*identifier/)
    assert.match(reason('yesterday,a,1,0,0.2'), /timestamp.*"yesterday"/)
  })

  it('leaves the other rows of its interval as they are', () => {
    const { intervals, bad } = read([`${T0},a,1,0,0.2`, `${T0},b,x,0,0.2`, `${T0},c,0,1,0.2`])
    assert.deepEqual(
      intervals[0]?.orders.map(({ user_id }) => user_id),
      ['a', 'c'],
    )
    assert.deepEqual(
      bad.map(({ line }) => line),
      [3],
    )
  })

  it('is a second reading of a household in one interval, also if the first was dropped', () => {
    assert.match(read([`${T0},a,0,0,0.2`, `${T0},a,1,0,0.2`]).bad[0]?.reason ?? '', /one reading.*line 2/)
  })

  it('is another spelling of the same time, which would be a second tick with open orders of the first', () => {
    assert.deepEqual(
      read([`${T0},a,1,0,0.2`, `${T0}Z,b,1,0,0.2`]).bad.map(({ line }) => line),
      [3],
    )
  })
})

describe('the header line', () => {
  const columns = ['household', 'load_kwh', 'pv_kwh']
  it('may name the start and the price in either way, with other columns between', () => {
    const first = findColumns(['interval_start_local', 'x', ...columns, 'price_usd_per_kwh'])
    assert.deepEqual(
      Object.values(first).map(({ index, name }: Column) => `${index} ${name}`),
      ['0 interval_start_local', '2 household', '3 load_kwh', '4 pv_kwh', '5 price_usd_per_kwh'],
    )
    assert.deepEqual(findColumns(['timestamp', ...columns, 'price_per_kwh', 'interval_start_local']).start, {
      index: 5,
      name: 'interval_start_local',
    })
  })

  it('without a column, or with one twice, is refused by the name of the column', () => {
    assert.throws(
      () => findColumns(['timestamp', ...columns]),
      (error) => isSolarError(error, 'malformed') && error.message.includes('price_usd_per_kwh or price_per_kwh'),
    )
    assert.throws(() => findColumns([...HEADER, 'household']), /one column household/)
  })
})

describe('the start of an interval', () => {
  it('is read as UTC, or with its own offset', () => {
    assert.equal(parseIntervalStart(T0, 't'), START)
    assert.equal(parseIntervalStart('2016-08-08T00:00', 't'), START)
    assert.equal(parseIntervalStart('2016-08-08T00:00:00.5Z', 't'), START + 500)
    assert.equal(parseIntervalStart('2016-08-08T02:30:00+02:30', 't'), START)
    assert.equal(parseIntervalStart('2016-08-07T19:00:00-05:00', 't'), START)
  })

  it('names a time that exists', () => {
    const wrong = ['2016-02-30T00:00:00', '2015-02-29T00:00:00', '2016-13-01T00:00:00', '2016-08-08T24:00:00']
    for (const text of [...wrong, '2016-08-08T00:60:00', '2016-08-08T00:00:60', '1969-12-31T23:00:00', '2016-08-08']) {
      assert.throws(
        () => parseIntervalStart(text, 't'),
        (error) => isSolarError(error, 'malformed'),
        text,
      )
    }
  })
})

describe('exact decimals', () => {
  it('subtract without losing a digit', () => {
    const difference = subtractExact(parseExactDecimal('1e-30', 'a'), parseExactDecimal('1', 'b'))
    assert.equal(difference.coefficient, 1n - 10n ** 30n)
    assert.equal(toMicroHalfEven(difference), -1_000_000n)
    assert.equal(toMicroHalfEven(parseExactDecimal('0.0000015', 'a')), 2n)
    assert.equal(toMicroHalfEven(parseExactDecimal('0.0000025', 'a')), 2n)
    assert.equal(toMicroHalfEven(parseExactDecimal('-0.0', 'a')), 0n)
  })
})
