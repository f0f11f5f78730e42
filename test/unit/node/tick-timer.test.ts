import assert from 'node:assert/strict'
import { setImmediate as settled } from 'node:timers/promises'
import { checkLeads } from '../../../src/engine/leading.ts'
import { runEvery } from '../../../src/node/tick-timer.ts'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import type { Leadership } from '../../../src/ports/leadership.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const INTERVAL_MS = 60_000
const START = Date.UTC(2026, 0, 1)
const NOTHING = { height: null, block_hash: null, header_hash: null, merkle_root: null, transactions: [] }

/** An authority that comes to lead when the test says so. */
function switchableLeadership() {
  const listeners = new Set<() => void>()
  let leads = false
  const leadership: Leadership = {
    leads: () => leads,
    trouble: () => undefined,
    term: 0,
    confirm: () => Promise.resolve(leads),
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const set = (next: boolean): void => {
    leads = next
    for (const listener of listeners) listener()
  }
  return { leadership, set, listeners }
}

describe('the timer of the built-in market', () => {
  const begin = () => {
    const clock = createVirtualClock(START)
    const { leadership, set, listeners } = switchableLeadership()
    const run: string[] = []
    const stop = runEvery(
      INTERVAL_MS,
      ({ tick_id = '' }): Promise<TickAnswer> =>
        Promise.resolve().then(() => {
          checkLeads(leadership)
          run.push(tick_id)
          return { tick_id, ...NOTHING }
        }),
      { clock, logger: silentLogger, leadership },
    )
    const pass = async (intervals: number): Promise<void> => {
      for (let n = 0; n < intervals; n++) {
        clock.advance(INTERVAL_MS)
        await settled()
      }
    }
    return { clock, set, listeners, run, stop, pass }
  }
  const idOf = (interval: number): string => new Date(START + interval * INTERVAL_MS).toISOString()

  it('runs each interval once at the authority that leads, and none at one that stands by', async () => {
    const { run, stop, pass, set, clock, listeners } = begin()
    set(true)
    await pass(2)
    assert.deepEqual(run, [idOf(0), idOf(1)])
    set(false)
    await pass(3)
    assert.deepEqual(run, [idOf(0), idOf(1)])
    stop()
    assert.deepEqual([clock.waiting(), listeners.size], [0, 0])
  })

  it('runs the last interval that ended as soon as the node leads, and goes on with the next', async () => {
    const { run, stop, pass, set } = begin()
    await pass(3)
    set(true)
    await settled()
    assert.deepEqual(run, [idOf(2)])
    set(true)
    await settled()
    await pass(1)
    assert.deepEqual(run, [idOf(2), idOf(3)])
    stop()
  })
})
