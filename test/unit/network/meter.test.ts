import assert from 'node:assert/strict'
import { createMeter } from '../../../src/network/meter.ts'

describe('the meter of work', () => {
  it('divides the time that was used between what was in hand and everything else', () => {
    let used = 0
    const meter = createMeter(() => used)
    used += 1_000
    const endFirst = meter.begin()
    used += 10
    const endSecond = meter.begin()
    used += 30
    assert.equal(endSecond(), 10, 'a third of 30')
    used += 8
    assert.equal(endFirst(), 5 + 10 + 4, 'half of 10, a third of 30, half of 8')
  })

  it('counts nothing for what waits while the process does nothing', () => {
    const meter = createMeter(() => 7)
    assert.equal(meter.begin()(), 0)
  })
})
