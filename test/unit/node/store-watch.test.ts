import { strict as assert } from 'node:assert'
import { createStoreWatch, type StoreChecks } from '../../../src/node/store-watch.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Logger } from '../../../src/ports/logger.ts'

/** Lets what was promised happen. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const broken = (reason: string) =>
  ledgerError('store_failed', { store: 'sql', operation: 'x', retryable: true, reason })

describe('the watch over the stores', () => {
  let tasks: (() => void)[]
  let log: string[]
  let answers: Record<keyof StoreChecks, () => Promise<void>>
  let calls: string[]
  let watch: ReturnType<typeof createStoreWatch>

  beforeEach(() => {
    tasks = []
    log = []
    calls = []
    const clock: Clock = {
      now: () => 0,
      after(_, task) {
        tasks.push(task)
        return () => (tasks = tasks.filter((one) => one !== task))
      },
    }
    const note = (_: object, message: string): void => void log.push(message)
    const logger: Logger = { debug: note, info: note, warn: note, error: note }
    const works = () => Promise.resolve()
    answers = { read: works, write: works, recover: works }
    watch = createStoreWatch(clock, logger, {
      failing: 'NOT TAKING TICKS',
      working: 'ticks are taken',
      advice: () => undefined,
    })
    const check = (name: keyof StoreChecks) => () => (calls.push(name), answers[name]())
    watch.start({ read: check('read'), write: check('write'), recover: check('recover') })
  })

  async function look(): Promise<void> {
    for (const task of tasks.splice(0)) task()
    await settled()
  }

  it('reads while all is well, and says nothing', async () => {
    await look()
    await look()
    assert.deepEqual([calls, log, watch.reason()], [['read', 'read'], [], undefined])
  })

  it('tells of a store that went away while nobody called, once', async () => {
    answers.read = answers.write = () => Promise.reject(broken('gone'))
    await look()
    await look()
    await look()
    assert.match(watch.reason() ?? '', /gone/)
    assert.deepEqual(log, ['NOT TAKING TICKS: sql x failed, try again: gone'])
    assert.deepEqual(calls, ['read', 'write', 'write'])
  })

  it('notes what fails in a call, which the caller is told as ever, and nothing that a store only refuses', async () => {
    const failing = { put: (error: Error) => Promise.reject(error), size: 7 }
    const store = watch.watched(failing)
    assert.equal(store.size, 7)
    const refused = ledgerError('duplicate_transaction', { id: 'a' })
    await assert.rejects(store.put(refused), refused)
    assert.equal(watch.reason(), undefined)
    const full = broken('disk full')
    await assert.rejects(store.put(full), full)
    assert.match(watch.reason() ?? '', /disk full/)
  })

  it('trusts a store again only after a write, and after what was left half-way is made good', async () => {
    await assert.rejects(watch.watched({ put: () => Promise.reject(broken('full')) }).put())
    answers.write = () => Promise.reject(broken('still full'))
    await look()
    assert.match(watch.reason() ?? '', /still full/)
    answers.write = () => Promise.resolve()
    answers.recover = () => Promise.reject(broken('LevelDB is full'))
    await look()
    assert.match(watch.reason() ?? '', /LevelDB is full/)
    answers.recover = () => Promise.resolve()
    await look()
    assert.deepEqual([watch.reason(), log.at(-1)], [undefined, 'the stores work again: ticks are taken'])
    assert.deepEqual(calls.slice(-2), ['write', 'recover'])
  })

  it('leaves what else is against sealing to who says so', async () => {
    await assert.rejects(watch.watched({ put: () => Promise.reject(broken('full')) }).put())
    answers.recover = () => Promise.reject(ledgerError('not_ready', { reason: 'behind' }))
    await look()
    assert.equal(watch.reason(), undefined)
  })

  it('asks no more once it is stopped, and waits for the look in hand', async () => {
    let end = (): void => undefined
    answers.read = () => new Promise((resolve) => (end = resolve))
    await look()
    let isOver = false
    const stopping = watch.stop().then(() => (isOver = true))
    await settled()
    assert.equal(isOver, false)
    end()
    await stopping
    assert.deepEqual(tasks, [])
  })
})
