import assert from 'node:assert/strict'
import { createTurns } from '../../../src/network/turns.ts'

const settle = () => new Promise((resolve) => setImmediate(resolve))

function turnsOfTest(ofTurn: number, inHand: number) {
  const tasks: (() => void)[] = []
  const clock = { now: () => 0, after: (_: number, task: () => void) => (tasks.push(task), () => undefined) }
  const turns = createTurns(clock, { ofTurn, inHand })
  const had: string[] = []
  return {
    turns,
    tasks,
    had,
    take: (lane: string, name: string, work = () => Promise.resolve()) =>
      turns.take(lane, () => {
        had.push(name)
        return work()
      }),
    nextTurn: async () => {
      tasks.shift()?.()
      await settle()
    },
  }
}

describe('turns of the event loop', () => {
  it('are given at once to so many, and to the rest in later ones, in order', async () => {
    const { take, tasks, had, nextTurn } = turnsOfTest(2, 10)
    for (let n = 0; n < 5; n++) void take('a', `${n}`)
    await settle()
    assert.deepEqual(had, ['0', '1'])
    await nextTurn()
    assert.deepEqual(had, ['0', '1', '2', '3'])
    await nextTurn()
    assert.deepEqual(had, ['0', '1', '2', '3', '4'])
    await nextTurn()
    assert.equal(tasks.length, 0, 'no timer while there is nothing to count')
    void take('a', '5')
    await settle()
    assert.equal(had.at(-1), '5')
  })

  it('are for so many at a time: what waits for a store keeps the rest from it, and goes on when it ends', async () => {
    const { turns, take, had, nextTurn } = turnsOfTest(10, 2)
    const ends: (() => void)[] = []
    const work = () => new Promise<void>((resolve) => ends.push(resolve))
    for (let n = 0; n < 4; n++) void take('a', `${n}`, work)
    for (let n = 0; n < 3; n++) await nextTurn()
    assert.deepEqual(had, ['0', '1'])
    ends[0]?.()
    await settle()
    assert.deepEqual(had, ['0', '1', '2'])
    ends[1]?.()
    ends[2]?.()
    await settle()
    ends[3]?.()
    await assert.rejects(
      turns.take('a', () => Promise.reject(new Error('failed'))),
      /failed/,
    )
    assert.equal(await turns.take('a', () => Promise.resolve('what fails has ended')), 'what fails has ended')
  })

  it('go round the lanes: who has sent much holds up nobody else', async () => {
    const { take, had, nextTurn } = turnsOfTest(1, 10)
    for (let n = 0; n < 100; n++) void take('flood', `junk ${n}`)
    void take('a', 'honest')
    for (let n = 0; n < 3; n++) await nextTurn()
    assert.ok(had.includes('honest'), had.join(', '))
  })
})
