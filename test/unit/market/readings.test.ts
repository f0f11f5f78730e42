import assert from 'node:assert/strict'
import {
  createDecimalReader,
  parseExactDecimal,
  subtractExact,
  toMicroHalfEven,
} from '../../../src/market/exact-decimal.ts'
import { intervalId, parseIntervalStart, UTC_CLOCK } from '../../../src/market/interval-time.ts'
import {
  findColumns,
  needsZone,
  orderOf,
  readingParser,
  type Column,
  type ReadingRules,
} from '../../../src/market/readings.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { orderShape } from '../../../src/protocol/order.ts'

const HEADER = ['timestamp', 'household', 'load_kwh', 'pv_kwh', 'price_per_kwh']
const RULES: ReadingRules = { feedInMicro: 80_000n, minTradeMicro: 10_000n }
const T0 = '2016-08-08T00:00:00'
const START = Date.UTC(2016, 7, 8)

function reader(header = HEADER, commaSeparates = true) {
  return readingParser(findColumns(header), createDecimalReader(commaSeparates), UTC_CLOCK)
}
const only = (row: string, rules = RULES) => orderOf(reader()(row.split(',')), rules)
const reason = (row: string): string => {
  try {
    reader()(row.split(','))
  } catch (error) {
    if (isSolarError(error)) return error.message
    throw error
  }
  return 'no error'
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

  it('below the minimum make no order, at the minimum they do', () => {
    for (const row of ['a,0.009999,0,0.2', 'b,0,0.0099994,0.2', 'd,1,1,0.2'])
      assert.equal(only(`${T0},${row}`), undefined)
    assert.equal(only(`${T0},c,0,0.0099996,0.2`)?.kwh, '0.01')
    assert.equal(only(`${T0},d,1,1,0.2`, { ...RULES, minTradeMicro: 0n }), undefined)
  })

  it('with a price of more than six decimals bid it rounded half to even', () => {
    assert.equal(only(`${T0},a,1,0,0.2200005`)?.price_per_kwh, '0.22')
    assert.equal(only(`${T0},a,1,0,0.2200015`)?.price_per_kwh, '0.220002')
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
    assert.match(reason('yesterday,a,1,0,0.2'), /timestamp.*"yesterday"/)
  })

  it('is one with more fields than the header: a comma inside a number would shift all that follow', () => {
    assert.match(reason(`${T0},a,0,5,2,0,0,30`), /row: expected 5 fields.*got 8/)
    assert.equal(reason(`${T0},a,0.5,2,0.3,,`), 'no error')
  })
})

describe('the header line', () => {
  const columns = ['household', 'load_kwh', 'pv_kwh']
  it('may name the start and the price in either way, with other columns between', () => {
    const first = findColumns(['interval_start_local', 'x', ...columns, 'price_usd_per_kwh'])
    assert.deepEqual(
      [first.start, first.household, first.load, first.pv, first.price].map(
        ({ index, name }: Column) => `${index} ${name}`,
      ),
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

  it('is refused once for all that is missing, with what is there', () => {
    assert.throws(
      () => findColumns(['time', 'household', 'Load (kWh)']),
      /a column interval_start_local or timestamp, a column pv_kwh, a column price_.*got "time", "household", "Load \(kWh\)"/,
    )
  })

  it('may be in capitals, with units in brackets', () => {
    assert.equal(findColumns(['TIMESTAMP', ' Household', 'Load (kWh)', 'PV [kWh]', 'Price per kWh']).price.index, 4)
  })

  it('that calls its only times local needs a zone, but for interval_start_local, which has always been UTC', () => {
    const local = findColumns(['local_time', ...columns, 'price_per_kwh'])
    assert.deepEqual([local.start.name, needsZone(local)], ['local_time', true])
    assert.equal(needsZone(findColumns(['interval_start_local', ...columns, 'price_per_kwh'])), false)
  })
})

describe('the start of an interval', () => {
  const at = (text: string) => parseIntervalStart(text, 't', UTC_CLOCK).timestamp

  it('is one instant however it is spelled, and its interval has one name', () => {
    const spellings = [
      'T00:00',
      ' 00:00:00',
      'T00:00:00.000000',
      'T00:00Z',
      't00:00:00z',
      ' 00:00:00+00:00',
      ' 00:00:00 UTC',
    ]
    for (const text of [T0, ...spellings.map((time) => `2016-08-08${time}`)]) assert.equal(at(text), START, text)
    for (const text of ['T02:30:00+02:30', ' 02:30:00+0230', 'T01:00+01'])
      assert.equal(at(`2016-08-08${text}`), START, text)
    assert.equal(at('2016-08-07T19:00:00-05:00'), START)
    assert.equal(intervalId(START), T0)
    assert.equal(intervalId(at('2016-08-08T00:00:00.5Z')), '2016-08-08T00:00:00.500')
  })

  it('names a time that exists', () => {
    const wrong = ['2016-02-30T00:00:00', '2015-02-29T00:00:00', '2016-13-01T00:00:00', '2016-08-08T24:00:00']
    for (const text of [...wrong, '2016-08-08T00:60:00', '2016-08-08T00:00:60', '2000-12-31T23:59:59', '2016-08-08']) {
      assert.throws(
        () => at(text),
        (error) => isSolarError(error, 'malformed'),
        text,
      )
    }
  })

  it('is refused with what is wrong with it', () => {
    const wrong: readonly [string, RegExp][] = [
      ['', /cell is empty/],
      ['08.08.2016 00:00', /the year first/],
      ['2016/08/08 00:00', /joined by -/],
      ['2016-08-08', /time of day/],
      ['1470614400000', /not a Unix time/],
      ['42590.25', /spreadsheet/],
      ['2016-08-08T24:00', /00:00 of the next day/],
      ['2016-12-31T23:59:60', /leap second/],
      ['2016-08-08T00:00:00.0005', /whole milliseconds/],
      ['0099-06-02T12:00', /with the century/],
      ['2001-01-01T00:30+01:00', /from the year 2001 on/],
      ['9999-12-31T23:00-05:00', /up to the year 9999/],
    ]
    for (const [text, expected] of wrong) assert.throws(() => at(text), expected, text)
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

  it('of one file have one decimal mark, which the first number with one decides', () => {
    const micro = (text: string, reader: ReturnType<typeof createDecimalReader>) =>
      toMicroHalfEven(reader.read(text, 'a'))
    const comma = createDecimalReader(false)
    assert.deepEqual(
      ['1', '0,5', '1,234', '9,75e-02'].map((text) => micro(text, comma)),
      [1_000_000n, 500_000n, 1_234_000n, 97_500n],
    )
    assert.throws(() => comma.read('1.234', 'a'), /decimal mark ","/)
    for (const text of ['1.234,5', '1,234,567', '1 234,5']) {
      assert.throws(() => createDecimalReader(false).read(text, 'a'), /thousands/, text)
    }
    assert.throws(() => createDecimalReader(true).read('1,234', 'a'), /may be in thousands/)
    assert.equal(micro('0,234', createDecimalReader(true)), 234_000n)
  })
})
