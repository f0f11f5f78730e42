import assert from 'node:assert/strict'
import { createTurns } from '../../../src/network/turns.ts'

describe('turns of the event loop', () => {
  it('are given at once to so many, and to the rest in later ones, in order', async () => {
    const tasks: (() => void)[] = []
    const clock = { now: () => 0, after: (_: number, task: () => void) => (tasks.push(task), () => undefined) }
    const turns = createTurns(clock, 2)
    const had: number[] = []
    const settle = () => new Promise((resolve) => setImmediate(resolve))
    const nextTurn = async () => {
      tasks.shift()?.()
      await settle()
    }
    for (let n = 0; n < 5; n++) void turns.next().then(() => had.push(n))
    await settle()
    assert.deepEqual(had, [0, 1])
    await nextTurn()
    assert.deepEqual(had, [0, 1, 2, 3])
    await nextTurn()
    assert.deepEqual(had, [0, 1, 2, 3, 4])
    await nextTurn()
    assert.equal(tasks.length, 0, 'no timer while there is nothing to count')
    void turns.next().then(() => had.push(5))
    await settle()
    assert.equal(had.at(-1), 5)
  })
})
