import assert from 'node:assert/strict'
import { createLine } from '../../../src/network/line.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const settle = () => new Promise((resolve) => setImmediate(resolve))

function lineOfTest() {
  const clock = createVirtualClock(0)
  let freeAt = 0
  const line = createLine(
    clock,
    () => Math.max(0, freeAt - clock.now()),
    () => (freeAt = clock.now() + 100),
  )
  const had: string[] = []
  return {
    line,
    had,
    wait: async (lane: string, name: string, signal = new AbortController().signal) => {
      await line.turn(lane, signal)
      had.push(name)
    },
    pass: async (ms: number) => {
      clock.advance(ms)
      await settle()
    },
  }
}

describe('a line', () => {
  it('lets the next go when there is something again, one of each lane in turn', async () => {
    const { wait, had, pass } = lineOfTest()
    for (let n = 0; n < 50; n++) void wait('flood', `flood ${n}`)
    void wait('a', 'a')
    void wait('b', 'b')
    await settle()
    assert.deepEqual(had, ['flood 0'])
    for (let n = 0; n < 3; n++) await pass(100)
    assert.deepEqual(had, ['flood 0', 'flood 1', 'a', 'b'])
  })

  it('is left by who gives up, with the reason of its signal', async () => {
    const { wait, had, pass } = lineOfTest()
    await wait('a', 'first')
    const controller = new AbortController()
    const second = wait('a', 'second', controller.signal)
    void wait('a', 'third')
    controller.abort(new Error('too long'))
    await assert.rejects(second, /too long/)
    await pass(100)
    assert.deepEqual(had, ['first', 'third'])
    await assert.rejects(wait('a', 'late', controller.signal), /too long/)
    await pass(1_000)
    await wait('a', 'fourth')
    assert.deepEqual(had, ['first', 'third', 'fourth'])
  })
})
