import assert from 'node:assert/strict'
import {
  count,
  formatDecimal,
  formatMicro,
  formatMoney,
  formatTick,
  formatTime,
  nameList,
  shortHash,
} from '../../../src/web/format.ts'
import { barSlots, niceMaximum } from '../../../src/web/scale.ts'
import { createMemory, judgeTrust, readLink } from '../../../src/web/trust.ts'

const UTC = { locale: 'en-GB', timeZone: 'UTC' }
const NOON = Date.UTC(2026, 5, 21, 12, 0)

describe('web formats', () => {
  it('shortens a hash to its ends', () => {
    assert.equal(shortHash(`3f9a41c2${'0'.repeat(52)}8b1e`), '3f9a41c2…8b1e')
  })

  it('keeps every digit of energy and money, and gives money its two decimals', () => {
    assert.equal(formatDecimal('999999999999.123456', 0, UTC), '999,999,999,999.123456')
    assert.equal(formatMicro(-1_250_000n, 0, UTC), '-1.25')
    assert.deepEqual([formatMoney('0.2', 'EUR', UTC), formatMoney('0.2516', 'EUR', UTC)], ['0.20 EUR', '0.2516 EUR'])
  })

  it('counts in words', () => {
    assert.deepEqual(
      [count(1, 'trade'), count(0, 'trade'), count(1204, 'vote', UTC)],
      ['1 trade', '0 trades', '1,204 votes'],
    )
  })

  it('leaves out today and this year, and names other days', () => {
    assert.equal(formatTime(NOON - 3_600_000, NOON, UTC), '11:00')
    assert.match(formatTime(NOON - 10 * 86_400_000, NOON, UTC), /^11 Jun, 12:00$/)
    const year = new Date(NOON).getUTCFullYear() - 1
    assert.equal(formatTime(Date.UTC(year, 5, 11, 12), NOON, UTC), `11 Jun ${year}, 12:00`)
  })

  it('keeps the numbers beside an axis short', () => {
    assert.deepEqual(
      [0.5, 8_000, 20_000, 2e11].map((value) => formatTick(value, { locale: 'en-US' })),
      ['0.5', '8,000', '20K', '200B'],
    )
  })

  it('lists names and sums up the rest', () => {
    assert.deepEqual(
      [
        nameList([]),
        nameList(['a']),
        nameList(['a', 'b']),
        nameList(['a', 'b', 'c']),
        nameList(['a', 'b', 'c', 'd', 'e']),
      ],
      ['', 'a', 'a and b', 'a, b and c', 'a, b and 3 more'],
    )
  })

  it('ends an axis at a round number that is not below the largest value', () => {
    for (const value of [0, 1, 3, 5, 9, 10, 11, 61, 99, 100, 101, 99_999]) assert.ok(niceMaximum(value) >= value)
    assert.deepEqual([0, 3, 5, 7, 23, 61].map(niceMaximum), [2, 4, 6, 10, 40, 100])
  })

  it('keeps all bars inside the plot, the newest at the right', () => {
    for (const n of [1, 7, 100]) {
      const { start, step, width } = barSlots(n, 300)
      assert.ok(start >= 0 && start + (n - 1) * step + width <= 300)
    }
  })
})

describe('web trust', () => {
  const [mine, other] = ['aa'.repeat(32), 'bb'.repeat(32)]
  const remembered = { chain_id: mine, first_seen: 5, anchor: null }

  it('knows a chain again, and says when it is another', () => {
    assert.deepEqual(judgeTrust(mine, undefined, undefined), { kind: 'first-use' })
    assert.deepEqual(judgeTrust(mine, undefined, remembered), { kind: 'known', since: 5 })
    assert.deepEqual(judgeTrust(other, undefined, remembered), { kind: 'changed', expected: mine, since: 5 })
  })

  it('puts the pin of a link above what it remembers', () => {
    assert.deepEqual(judgeTrust(other, other, remembered), { kind: 'pinned' })
    assert.deepEqual(judgeTrust(mine, 'not a chain id', remembered), { kind: 'wrong-pin', expected: 'not a chain id' })
  })

  it('remembers through the storage, and lives without one', () => {
    const kept = new Map<string, string>()
    const memory = createMemory(() => ({
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
    }))
    assert.equal(memory.recall(), undefined)
    memory.remember(remembered)
    assert.deepEqual(memory.recall(), remembered)
    const closed = createMemory(() => {
      throw new Error('storage is closed')
    })
    closed.remember(remembered)
    assert.equal(closed.recall(), undefined)
  })

  it('forgets what somebody else has written there', () => {
    assert.equal(
      createMemory(() => ({ getItem: () => '{"chain_id":1}', setItem: () => undefined })).recall(),
      undefined,
    )
  })

  it('reads what a link asks for', () => {
    assert.deepEqual(readLink(`#chain=${mine}&tx=1&block=2`), { chain: mine, tx: '1', block: '2' })
    assert.equal(readLink('#tx=a+b').tx, 'a+b')
    assert.deepEqual(readLink(''), { chain: undefined, tx: undefined, block: undefined })
  })
})
