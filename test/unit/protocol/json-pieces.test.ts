import assert from 'node:assert/strict'
import { parseJson, repeatsName } from '../../../src/protocol/json.ts'
import { parseJsonInPieces } from '../../../src/protocol/json-pieces.ts'
import { atOnce } from '../../../src/protocol/pieces.ts'

/** Long enough that an array of some of them is parsed in several pieces. */
const LONG = 'x'.repeat(90_000)
const ITEMS = Array.from({ length: 12 }, (_, n) => JSON.stringify({ a: LONG, b: [n, { c: '],[{}"\\' }] }))
const TICK = `{"tick_id":"t","short":[0],"transactions":[${ITEMS.join(',')}],"none":[ ],"__proto__":[1],"last":{"a":[2]}}`

const outcome = (parse: () => unknown): unknown => {
  try {
    return parse()
  } catch (error) {
    assert.ok(error instanceof SyntaxError)
    return 'no JSON'
  }
}
const whole = (text: string): unknown =>
  outcome(() => {
    const value = parseJson(text)
    return { value, repeatsName: repeatsName(text, value) }
  })

/** In pieces, as one text and cut at every `size` characters: the same as at once. */
function assertSame(text: string, size = 70_001): void {
  const expected = whole(text)
  assert.deepEqual(
    outcome(() => atOnce(parseJsonInPieces(text))),
    expected,
  )
  const parts = Array.from({ length: Math.ceil(text.length / size) }, (_, n) => text.slice(n * size, (n + 1) * size))
  assert.deepEqual(
    outcome(() => atOnce(parseJsonInPieces(parts))),
    expected,
  )
}

describe('JSON that is parsed in pieces', () => {
  it('is the same value as at once', () => {
    for (const text of [
      TICK,
      `[${ITEMS.join(' , ')}]`,
      `"${LONG.repeat(4)}"`,
      '{}',
      '[]',
      '7',
      `{"a":{"b":[${ITEMS.join(',')}]}}`,
    ])
      assertSame(text)
  })

  it('is refused where it is none', () => {
    const items = ITEMS.join(',')
    for (const text of [
      `{"a":[${items},]}`,
      `{"a":[,${items}]}`,
      `{"a":[${ITEMS.join(',,')}]}`,
      `{"a":[${items}`,
      `{"a":[${items}}}`,
      `{"a":[${items}]],"b":[1]}`,
      `{"a":[${items}]`,
      '',
    ])
      assertSame(text)
  })

  it('tells of a field that is there twice, wherever that is', () => {
    for (const text of [
      `{"a":[${ITEMS.join(',')}],"a":[1]}`,
      `[1,${ITEMS.join(',')},{"q":1,"q":2}]`,
      `{"a":1,"a":2,"b":[${ITEMS.join(',')}]}`,
    ]) {
      assertSame(text)
      assert.equal(atOnce(parseJsonInPieces(text)).repeatsName, true)
    }
  })

  it('is the same, or refused the same, whichever mark is changed', () => {
    const marks = [...TICK.matchAll(/[[\]{},:"]/g)].map(({ index }) => index)
    // Each as likely as any other: the items are all alike.
    for (const [n, at] of marks.filter((_, nth) => nth % 7 === 0).entries()) {
      const mark = '[]{},:"\\1 '[n % 10] ?? ''
      assertSame(TICK.slice(0, at) + mark + TICK.slice(at + 1), 50_021)
      assertSame(TICK.slice(0, at) + mark + TICK.slice(at))
    }
  })

  it('pauses many times', () => {
    let pauses = 0
    for (const work = parseJsonInPieces(TICK); work.next().done !== true;) pauses += 1
    assert.ok(pauses >= 4, String(pauses))
  })

  it('is nested no deeper, and has no more arrays around everything, than any document', () => {
    const deep = `{"a":[${ITEMS.join(',')},${'['.repeat(40)}${']'.repeat(40)}]}`
    assert.throws(() => atOnce(parseJsonInPieces(deep)), /nested deeper/)
    const many = `{${Array.from({ length: 20 }, (_, n) => `"a${n}":[1]`).join(',')},"b":[${ITEMS.join(',')}]}`
    assert.throws(() => atOnce(parseJsonInPieces(many)), /more than 16 arrays/)
  })
})
