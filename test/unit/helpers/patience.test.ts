import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { eventually, progressed, rateOf, sinceProgressMs, within } from '../../helpers/patience.ts'
import { processGroup } from '../../helpers/processes.ts'

const HANGING = fileURLToPath(new URL('hanging-test.ts', import.meta.url))
const never = new Promise<never>(() => undefined)

describe('the patience of the tests', () => {
  const processes = processGroup()
  after(() => processes.killAll())

  it('runs with the clock while a processor is idle, and at a tenth while none is', () => {
    const start = { at: 1_000, idleMs: 70_000 }
    assert.equal(rateOf(start, { at: 2_000, idleMs: 72_000 }), 1, 'two processors were idle')
    assert.equal(rateOf(start, { at: 2_000, idleMs: 71_000 }), 1)
    assert.equal(rateOf(start, { at: 2_000, idleMs: 70_500 }), 0.5)
    assert.equal(rateOf(start, { at: 2_000, idleMs: 70_000 }), 0.1)
  })

  it('ends a wait for what does not come, and says what that was', async () => {
    await assert.rejects(
      eventually('the sun rises', () => false, 1),
      /not within 1 ms: the sun rises/,
    )
    await assert.rejects(within('the sun sets', never, 1), /not within 1 ms: the sun sets/)
  })

  it('begins anew with whatever comes', async () => {
    assert.equal(await within('an answer', Promise.resolve(7)), 7)
    progressed()
    assert.equal(sinceProgressMs(), 0)
  })

  it('gives on what is awaited when that fails', async () => {
    await assert.rejects(within('an answer', Promise.reject(new Error('no'))), /^Error: no$/)
  })

  it('ends a test that hangs', async () => {
    const node = processes.start(['--import=tsx', HANGING])
    assert.match(await node.awaitLine((line) => line), /nothing that it waits for has come/)
    assert.deepEqual(await node.ended, { code: 0, signal: null })
  })
})
