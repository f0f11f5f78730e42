import assert from 'node:assert/strict'
import { createNewestFirst } from '../../../src/engine/newest-first.ts'

describe('work on blocks, one at a time', () => {
  it('goes to the newest block that waits, and does what came first of one block first', async () => {
    const inTurn = createNewestFirst()
    const done: string[] = []
    let go = (): void => undefined
    const first = new Promise<void>((resolve) => (go = resolve))
    const work = (height: number, name: string, until: Promise<unknown> = Promise.resolve()) =>
      inTurn(height, async () => {
        await until
        done.push(name)
      })
    const all = [work(1, 'in hand', first), work(2, 'old'), work(9, 'new'), work(9, 'new too'), work(3, 'middle')]
    go()
    await Promise.all(all)
    assert.deepEqual(done, ['in hand', 'new', 'new too', 'middle', 'old'])
  })

  it('goes on after what fails, which fails for who asked for it alone', async () => {
    const inTurn = createNewestFirst()
    const failing = inTurn(5, () => Promise.reject(new Error('gone')))
    const fine = inTurn(1, () => Promise.resolve('here'))
    await assert.rejects(failing, /gone/)
    assert.equal(await fine, 'here')
    assert.equal(await inTurn(1, () => Promise.resolve('later')), 'later')
  })
})
