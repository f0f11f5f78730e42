import assert from 'node:assert/strict'
import { anyDelta, anyQuantity, edgeIdentifier, edgeTime, edgeTimeBound } from '../../../src/protocol/edge.ts'
import { normalizeDelta, normalizeQuantity, parseDelta } from '../../../src/protocol/decimal.ts'
import { decodeText } from '../../../src/protocol/text.ts'
import { checkTransaction } from '../../../src/protocol/transaction.ts'

const MS = 1_760_000_000_000

describe('the outer edge', () => {
  const same: readonly (readonly [string, string])[] = [
    ['0.750000', '0.75'],
    ['1.', '1'],
    ['.5', '0.5'],
    ['+1', '1'],
    ['1e3', '1000'],
    ['1E+3', '1000'],
    ['1E-3', '0.001'],
    ['0E-6', '0'],
    ['0e9999', '0'],
    ['-0', '0'],
    ['007', '7'],
    ['0.7500000', '0.75'],
    ['12345678901200e-2', '123456789012'],
    ['999999999999.999999000', '999999999999.999999'],
  ]
  for (const [spelled, one] of same) {
    it(`writes ${spelled} as ${one}`, () => {
      assert.equal(normalizeQuantity(spelled), one)
      assert.equal(normalizeDelta(spelled), one)
      if (!spelled.startsWith('-') && !spelled.startsWith('+') && one !== '0')
        assert.equal(parseDelta(normalizeDelta(`-${spelled}`)), -parseDelta(one))
    })
  }

  it('takes an integer as an id where every reader of JSON has the same one', () => {
    assert.equal(edgeIdentifier(42, 'id'), '42')
    assert.equal(edgeIdentifier(2 ** 53 - 1, 'id'), '9007199254740991')
    for (const id of [2 ** 53, 1e19, -0, 1.5, NaN]) {
      assert.throws(() => edgeIdentifier(id, 'id'), /id: expected a string, or an integer below 2\^53/)
    }
  })

  const refused: readonly (readonly [unknown, RegExp])[] = [
    ['', /a decimal such as "0.75"/],
    ['.', /a decimal such as/],
    ['e3', /a decimal such as/],
    [' 1', /a decimal such as/],
    ['1\n', /a decimal such as/],
    ['0x10', /a decimal such as/],
    ['NaN', /a decimal such as/],
    ['Infinity', /a decimal such as/],
    ['1e99999', /a decimal such as/],
    ['１', /a decimal such as/],
    ['1,5', /a decimal point and no thousands separator/],
    ['1,234.5', /a decimal point and no thousands separator/],
    ['0.0000001', /at most 6 decimals/],
    ['1e-7', /at most 6 decimals/],
    ['1000000000000', /at most 12 digits/],
    ['1e9999', /at most 12 digits/],
    ['-1', /not negative/],
    [`0.5${'0'.repeat(10_000)}`, /at most 100 characters/],
    [0.1 + 0.2, /at most 6 decimals/],
    [2 ** 33, /a string, or a number below/],
    [null, /a decimal string or a number/],
    [['1'], /a decimal string or a number/],
  ]
  for (const [value, expected] of refused) {
    it(`refuses ${String(value).slice(0, 30)} and says what it takes`, () => {
      assert.throws(() => anyQuantity(value, 'kwh'), { code: 'malformed', message: expected })
    })
  }

  it('takes numbers that convert exactly, also a negative zero', () => {
    assert.deepEqual([anyQuantity(0.75, ''), anyQuantity(-0, ''), anyDelta(-1.5, '')], ['0.75', '0', '-1.5'])
  })

  it('takes times from 2001 on', () => {
    for (const time of [Date.UTC(2001, 0), MS, Date.UTC(2400, 0)]) assert.equal(edgeTime(time, ''), time)
  })

  const times: readonly (readonly [unknown, RegExp])[] = [
    [MS / 1000, /looks like seconds: send 1760000000000/],
    [MS / 1000 + 0.25, /looks like seconds: send 1760000000250/],
    [MS * 1000, /looks like microseconds: send 1760000000000/],
    [MS * 1_000_000, /looks like nanoseconds: send 1760000000000/],
    [MS + 0.5, /whole Unix milliseconds: send 1760000000000/],
    [0, /from 978307200000 \(the year 2001\) on/],
    [-1, /from 978307200000/],
    [String(MS), /a number, not text/],
    [String(MS / 1000), /looks like seconds/],
    ['2024-01-01T00:00:00Z', /1704067200000 for this time/],
    ['2024-01-01 01:00:00+01:00', /1704067200000 for this time/],
    ['2024-01-01T00:00:00', /Unix milliseconds such as 1760000000000, not text/],
    [null, /Unix milliseconds such as/],
    ['9'.repeat(100_000), /Unix milliseconds such as/],
  ]
  for (const [value, expected] of times) {
    it(`refuses the time ${String(value).slice(0, 30)} with its likely cause`, () => {
      assert.throws(() => edgeTime(value, 'timestamp'), { code: 'malformed', message: expected })
    })
  }

  it('takes any end of a range but one in another unit', () => {
    for (const bound of [0, 1, MS, Number.MAX_SAFE_INTEGER]) assert.equal(edgeTimeBound(bound, 'from'), bound)
    for (const bound of [MS / 1000, MS * 1000]) assert.throws(() => edgeTimeBound(bound, 'from'), /looks like/)
  })

  it('says which rounding a wrong total has, and nothing of one that is no rounding', () => {
    const trade = {
      kind: 'trade',
      id: 'a',
      from_user_id: 'b',
      to_user_id: 'c',
      kwh: '0.75',
      price_per_kwh: '0.18',
      timestamp: 1,
      tick_id: 't',
      nonce: '0'.repeat(32),
    } as const
    const fieldsOf = (total_amount: string) => {
      try {
        checkTransaction({ ...trade, total_amount }, 6)
        return undefined
      } catch (error) {
        return (error as { fields: { rounded_to?: number } }).fields.rounded_to ?? 'none'
      }
    }
    assert.deepEqual(['0.135', '0.14', '0.1', '0.2', '1'].map(fieldsOf), [undefined, 2, 1, 'none', 'none'])
  })

  it('reads text with and without a byte order mark, UTF-16 in either order, and nothing else', () => {
    const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')
    const inputs = [Buffer.from('año'), Buffer.from('\ufeffaño'), utf16('año'), utf16('año').swap16()]
    for (const bytes of inputs) assert.equal(decodeText(bytes), 'año')
    assert.throws(() => decodeText(Uint8Array.of(0x61, 0xf1)), { code: 'malformed' })
  })
})
