import assert from 'node:assert/strict'
import fc from 'fast-check'
import { equalBytes } from '../../src/protocol/bytes.ts'
import {
  canonicalBytes,
  canonicalText,
  parseCanonicalBytes,
  parseCanonicalText,
} from '../../src/protocol/canonical-json.ts'
import {
  delta,
  divideHalfEven,
  formatDelta,
  formatQuantity,
  isTotalOf,
  multiplyToAmount,
  parseDelta,
  quantity,
} from '../../src/protocol/decimal.ts'
import { edgeQuantity } from '../../src/protocol/edge.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { nativeHasher, portableHasher } from '../../src/protocol/hash.ts'
import { array, integer, object, text } from '../../src/protocol/shape.ts'
import {
  canonicalTransaction,
  checkTransaction,
  hashTransaction,
  transactionShape,
  type Trade,
} from '../../src/protocol/transaction.ts'
import { compare, distance, multiply, naiveJcs, rationalOf } from './protocol-naive.ts'

const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) })
const name = fc.oneof(printable, fc.constantFrom('__proto__', 'constructor', 'toString', 'length', '', '10', '9'))
const safeInteger = fc.maxSafeInteger().map((n) => (n === 0 ? 0 : n))
const { value: jsonValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 8, withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), printable, safeInteger),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 5 }).map((members) => fromMembers(members)),
  ),
}))

/** An object as JSON.parse makes it: every name, `__proto__` too, is an own member. */
function fromMembers(members: readonly (readonly [string, unknown])[]): object {
  const result = {}
  for (const [key, value] of members) {
    Object.defineProperty(result, key, { value, enumerable: true, configurable: true, writable: true })
  }
  return result
}

const refused = (run: () => unknown, code: string): boolean => {
  try {
    run()
    return false
  } catch (error) {
    assert.ok(isSolarError(error, code), String(error))
    return true
  }
}

describe('canonical JSON', () => {
  it('equals a naive JCS writer for random values', () => {
    fc.assert(
      fc.property(jsonValue, (value) => assert.equal(canonicalText(value), naiveJcs(value))),
      { numRuns: 500 },
    )
  })

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(jsonValue, (value) => {
        assert.deepEqual(parseCanonicalBytes(canonicalBytes(value)), value)
        assert.deepEqual(parseCanonicalText(canonicalText(value)), value)
      }),
      { numRuns: 500 },
    )
  })

  it('does not depend on the order in which members were added', () => {
    const members = fc.uniqueArray(fc.tuple(name, fc.integer()), { selector: ([key]) => key, maxLength: 8 })
    fc.assert(
      fc.property(members, (list) => {
        assert.equal(canonicalText(fromMembers(list)), canonicalText(fromMembers(list.toReversed())))
      }),
    )
  })

  it('with any single byte changed is refused, or is the canonical bytes of another value', () => {
    const mutation = fc.record({ value: jsonValue, at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) })
    fc.assert(
      fc.property(mutation, ({ value, at, byte }) => {
        const original = canonicalBytes(value)
        const changed = Uint8Array.from(original)
        changed[at % changed.length] = byte
        if (equalBytes(changed, original)) return
        let read: unknown
        if (refused(() => (read = parseCanonicalBytes(changed)), 'not_canonical')) return
        assert.ok(equalBytes(canonicalBytes(read), changed))
        assert.notDeepEqual(read, value)
      }),
      { numRuns: 2_000 },
    )
  })

  it('with a byte inserted or removed is refused, or is the canonical bytes of another value', () => {
    const mutation = fc.record({ value: jsonValue, at: fc.nat(), insert: fc.option(fc.integer({ min: 0, max: 255 })) })
    fc.assert(
      fc.property(mutation, ({ value, at, insert }) => {
        const original = [...canonicalBytes(value)]
        original.splice(at % original.length, insert === null ? 1 : 0, ...(insert === null ? [] : [insert]))
        const changed = Uint8Array.from(original)
        let read: unknown
        if (refused(() => (read = parseCanonicalBytes(changed)), 'not_canonical')) return
        assert.ok(equalBytes(canonicalBytes(read), changed))
        assert.notDeepEqual(read, value)
      }),
      { numRuns: 2_000 },
    )
  })

  it('refuses everything outside the profile wherever it stands', () => {
    const foreign: readonly unknown[] = [
      -0,
      NaN,
      Infinity,
      1e21,
      0.5,
      2 ** 53,
      undefined,
      1n,
      Symbol('s'),
      () => 1,
      new Date(0),
      new Map(),
      new Uint8Array(2),
      Object.create({ inherited: 1 }),
      '\u007f',
      'é',
      '\n',
      '\ud800',
    ]
    for (const value of foreign) {
      for (const carrier of [value, [value], { a: value }, { a: [{ b: value }] }]) {
        assert.throws(() => canonicalText(carrier), { code: 'not_canonical' })
      }
    }
  })

  it('refuses arrays with holes', () => {
    const holes: unknown[] = [1]
    holes[2] = 3
    assert.throws(() => canonicalText(holes), { code: 'not_canonical' })
  })

  it('refuses a nested depth bomb without exhausting the stack', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const bomb = new TextEncoder().encode(`${open.repeat(1_000_000)}1${close.repeat(1_000_000)}`)
      assert.throws(() => parseCanonicalBytes(bomb), { code: 'not_canonical' })
    }
    let nested: unknown = 1
    for (let i = 0; i < 100_000; i++) nested = { a: nested }
    assert.throws(() => canonicalText(nested), { code: 'not_canonical' })
  })

  it('never treats a member named __proto__ as a prototype', () => {
    const value = parseCanonicalText('{"__proto__":{"admin":true}}') as { admin?: unknown }
    assert.equal(value.admin, undefined)
    assert.equal(canonicalText(value), '{"__proto__":{"admin":true}}')
  })
})

const micro = fc.bigInt(0n, 10n ** 18n - 1n)
const smallMicro = fc.bigInt(0n, 10n ** 12n)

describe('decimals', () => {
  it('have one spelling for each value, which reads back as that value', () => {
    fc.assert(
      fc.property(micro, fc.boolean(), (size, negative) => {
        const value = negative ? -size : size
        const spelled = formatDelta(value)
        assert.equal(delta(spelled, 'delta'), spelled)
        assert.equal(parseDelta(spelled), value)
        assert.equal(compare(rationalOf(spelled), { top: value, bottom: 1_000_000n }), 0)
        if (!negative) assert.equal(quantity(formatQuantity(value), 'quantity'), spelled)
      }),
    )
  })

  it('refuse every other spelling', () => {
    const spelling = fc.stringMatching(/^-?[0-9]{0,14}\.?[0-9]{0,8}$/)
    fc.assert(
      fc.property(spelling, (candidate) => {
        if (refused(() => parseDelta(candidate), 'malformed')) return
        assert.equal(formatDelta(parseDelta(candidate)), candidate)
      }),
      { numRuns: 2_000 },
    )
  })

  it('are not written beyond 12 digits or below zero', () => {
    assert.throws(() => formatQuantity(10n ** 18n), { code: 'malformed' })
    assert.throws(() => formatQuantity(-1n), { code: 'malformed' })
    assert.throws(() => formatDelta(-(10n ** 18n)), { code: 'malformed' })
  })

  it('divide half to even, as exact rationals say', () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 20n), 10n ** 20n), fc.bigInt(1n, 10n ** 9n), (top, bottom) => {
        const result = divideHalfEven(top, bottom)
        const twice = distance({ top, bottom }, { top: result, bottom: 1n })
        const order = compare({ top: twice.top * 2n, bottom: twice.bottom }, { top: 1n, bottom: 1n })
        assert.ok(order <= 0)
        if (order === 0) assert.equal(result % 2n, 0n)
      }),
    )
    const halves = [
      [5n, 0n],
      [15n, 2n],
      [25n, 2n],
      [35n, 4n],
      [-5n, 0n],
      [-15n, -2n],
    ] as const
    for (const [top, expected] of halves) assert.equal(divideHalfEven(top, 10n), expected)
  })

  it('judge totals as exact rationals do, and the market writes totals that pass', () => {
    fc.assert(
      fc.property(
        smallMicro,
        smallMicro,
        fc.integer({ min: 0, max: 6 }),
        fc.bigInt(-3n, 3n),
        (kwh, price, decimals, off) => {
          const exact = multiply({ top: kwh, bottom: 1_000_000n }, { top: price, bottom: 1_000_000n })
          const half = { top: 1n, bottom: 2n * 10n ** BigInt(decimals) }
          const rounded = multiplyToAmount(kwh, price, decimals)
          assert.ok(isTotalOf(rounded, kwh, price, decimals))
          assert.equal(rounded % 10n ** BigInt(6 - decimals), 0n)
          const total = rounded + off * 10n ** BigInt(6 - decimals) + off
          const expected = compare(distance(exact, { top: total, bottom: 1_000_000n }), half) <= 0
          assert.equal(isTotalOf(total, kwh, price, decimals), expected)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('taken as JSON numbers are exactly the number that was written', () => {
    fc.assert(
      fc.property(fc.oneof(smallMicro, micro), (value) => {
        const spelled = formatQuantity(value)
        const number = JSON.parse(spelled) as number
        if (number >= 2 ** 33) assert.throws(() => edgeQuantity(number, 'kwh'), { code: 'malformed' })
        else assert.equal(edgeQuantity(number, 'kwh'), spelled)
      }),
      { numRuns: 1_000 },
    )
  })
})

const identifier = fc.stringMatching(/^[A-Za-z0-9._:@+-]{1,64}$/)
const trade: fc.Arbitrary<Trade> = fc.record({
  kind: fc.constant('trade' as const),
  id: identifier,
  from_user_id: identifier,
  to_user_id: identifier,
  kwh: micro.map((value) => formatQuantity(value)),
  price_per_kwh: micro.map((value) => formatQuantity(value)),
  total_amount: micro.map((value) => formatQuantity(value)),
  timestamp: fc.maxSafeNat(),
  tick_id: identifier,
  nonce: fc.stringMatching(/^[0-9a-f]{32}$/),
})

describe('transactions', () => {
  it('are written by the fast writer as by the general one', () => {
    fc.assert(
      fc.property(trade, (tx) => {
        assert.equal(canonicalTransaction(transactionShape(tx, 'tx')), canonicalText(tx))
        assert.equal(hashTransaction(tx), portableHasher.hex(naiveJcs(tx)))
      }),
      { numRuns: 500 },
    )
  })

  it('are checked with the documented codes alone, whatever the numbers', () => {
    fc.assert(
      fc.property(trade, fc.integer({ min: 0, max: 6 }), (tx, decimals) => {
        try {
          checkTransaction(tx, decimals)
        } catch (error) {
          assert.ok(isSolarError(error, 'wrong_total') || isSolarError(error, 'bad_transaction'), String(error))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('with any other field, or one less, are refused', () => {
    fc.assert(
      fc.property(trade, name, fc.nat({ max: 9 }), (tx, extra, index) => {
        if (!Object.hasOwn(tx, extra)) {
          const more = fromMembers([...Object.entries(tx), [extra, '1']])
          assert.throws(() => transactionShape(more, 'tx'), { code: 'malformed' })
        }
        const less = fromMembers(Object.entries(tx).toSpliced(index, 1))
        assert.throws(() => transactionShape(less, 'tx'), { code: 'malformed' })
      }),
    )
  })
})

describe('shapes', () => {
  const point = object({ x: integer() }, { note: text(/^[a-z]*$/, 'letters') })

  it('refuse prototype keys, inherited values and undefined fields', () => {
    const hostile: readonly unknown[] = [
      JSON.parse('{"x":1,"__proto__":{"y":2}}'),
      JSON.parse('{"x":1,"constructor":1}'),
      JSON.parse('{"x":1,"toString":1}'),
      JSON.parse('{"__proto__":{"x":1}}'),
      Object.create({ x: 1 }),
      { x: undefined },
      { x: 1, note: undefined },
      { x: 1, note: null },
      [],
      null,
      'x',
    ]
    for (const value of hostile) assert.throws(() => point(value, 'p'), { code: 'malformed' })
    assert.deepEqual(point({ x: 1, note: 'a' }, 'p'), { x: 1, note: 'a' })
  })

  it('refuse every number that is no plain integer', () => {
    for (const x of [-0, 0.5, -1, NaN, Infinity, 1e21, 2 ** 53, '1', true, null, [1], 1n]) {
      assert.throws(() => point({ x }, 'p'), { code: 'malformed' })
    }
  })

  it('refuse arrays with holes and arrays that are too long', () => {
    const holes: unknown[] = [1]
    holes[2] = 3
    assert.throws(() => array(integer(), 5)(holes, 'a'), { code: 'malformed' })
    assert.throws(() => array(integer(), 2)([1, 2, 3], 'a'), { code: 'malformed' })
    assert.throws(() => array(integer(), 2)({ length: 0 }, 'a'), { code: 'malformed' })
  })

  it('refuse any random JSON value without crashing', () => {
    fc.assert(
      fc.property(jsonValue, (value) => refused(() => transactionShape(value, 'tx'), 'malformed')),
      { numRuns: 300 },
    )
  })
})

describe('hashers', () => {
  it('agree, native and portable, on bytes and on text', () => {
    assert.ok(nativeHasher)
    const native = nativeHasher
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.string({ unit: 'binary' }),
        fc.nat({ max: 40 }),
        (data, str, offset) => {
          assert.equal(native.hex(data), portableHasher.hex(data))
          assert.equal(native.hex(str), portableHasher.hex(str))
          const [a, b] = [new Uint8Array(80), new Uint8Array(80)]
          native.into(a, offset, data)
          portableHasher.into(b, offset, data)
          assert.deepEqual(a, b)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('may write into the buffer that they read from', () => {
    for (const hasher of [nativeHasher!, portableHasher]) {
      const buffer = Uint8Array.from({ length: 64 }, (_, i) => i)
      const expected = hasher.hex(buffer)
      hasher.into(buffer, 0, buffer)
      assert.equal(Buffer.from(buffer.subarray(0, 32)).toString('hex'), expected)
    }
  })
})
