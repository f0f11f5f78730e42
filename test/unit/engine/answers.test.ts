import { collectAnswers } from '../../../src/engine/answers.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'
import assert from 'node:assert/strict'

describe('collecting the answers of peers', () => {
  let clock: VirtualClock

  beforeEach(() => (clock = createVirtualClock(0)))

  /** Questions that a test answers. */
  function questions(count: number) {
    const all = Array.from({ length: count }, () => deferred())
    let ended = false
    const collected = collectAnswers(
      clock,
      all.map(({ promise }) => promise),
    )
    void collected.then(() => (ended = true))
    const settle = () => new Promise<void>(setImmediate)
    return { all, collected, settle, hasEnded: () => ended }
  }

  it('waits for all of them while they come, and for nobody if nobody is asked', async () => {
    assert.deepEqual(await collectAnswers(clock, []), { given: [], failures: [] })
    const { all, collected, settle, hasEnded } = questions(3)
    all[1]!.resolve('b')
    all[0]!.reject(new Error('gone'))
    await settle()
    assert.ok(!hasEnded())
    all[2]!.resolve('c')
    const { given, failures } = await collected
    assert.deepEqual([given, failures.map(({ message }) => message)], [['b', 'c'], ['gone']])
    assert.equal(clock.waiting(), 0, 'no timer is left')
  })

  it('gives the others 1.5 s after the first has answered', async () => {
    const { all, collected, settle, hasEnded } = questions(3)
    clock.advance(60_000)
    await settle()
    assert.ok(!hasEnded(), 'nobody has answered yet')
    all[0]!.resolve('a')
    await settle()
    clock.advance(1499)
    all[1]!.resolve('b')
    await settle()
    assert.ok(!hasEnded())
    clock.advance(1)
    assert.deepEqual(await collected, { given: ['a', 'b'], failures: [] })
  })

  it('is not hurried by a failure', async () => {
    const { all, collected, settle, hasEnded } = questions(2)
    all[0]!.reject(new Error('refused'))
    await settle()
    clock.advance(10_000)
    await settle()
    assert.ok(!hasEnded())
    all[1]!.resolve('late')
    assert.deepEqual((await collected).given, ['late'])
  })

  it('drops what comes later', async () => {
    const { all, collected, settle } = questions(3)
    all[0]!.resolve('a')
    await settle()
    clock.advance(1500)
    const answers = await collected
    all[1]!.resolve('too late')
    all[2]!.reject(new Error('too late'))
    await settle()
    assert.deepEqual(answers, { given: ['a'], failures: [] })
  })

  it('makes an error of whatever a peer fails with', async () => {
    const asked = Promise.resolve().then(() => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- a transport does so
      throw 'a word'
    })
    const { failures } = await collectAnswers(clock, [asked])
    assert.ok(failures[0] instanceof Error)
    assert.equal(failures[0].message, 'a word')
  })
})

function deferred() {
  let resolve: (value: string) => void = () => undefined
  let reject: (error: Error) => void = () => undefined
  const promise = new Promise<string>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
