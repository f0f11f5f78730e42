import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { jsonOf } from '../../../src/http/large-answer.ts'

const rows = (count: number) => Array.from({ length: count }, (_, n) => ({ id: `trade-${n}`, kwh: '1.5' }))

describe('the JSON of an answer', () => {
  for (const body of [{ a: 1, rows: rows(1_000) }, { rows: [] }, null, [1, 2], 'text']) {
    it(`is text where it is small: ${JSON.stringify(body).slice(0, 20)}`, () => {
      assert.equal(jsonOf(body), JSON.stringify(body))
    })
  }

  it('is the same text in parts where it has many items', async () => {
    for (const body of [
      { rows: rows(2_500) },
      { first: 'a', rows: rows(1_001), no: undefined, more: rows(3_000), last: null },
      { rows: rows(2_000) },
    ]) {
      const stream = jsonOf(body)
      assert.ok(typeof stream !== 'string')
      assert.equal(await text(stream), JSON.stringify(body))
    }
  })
})
