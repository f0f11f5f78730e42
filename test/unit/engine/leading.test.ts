import assert from 'node:assert/strict'
import { whileLeading } from '../../../src/engine/leading.ts'
import { SOLE_LEADERSHIP, type Leadership } from '../../../src/ports/leadership.ts'

/** Leadership that the test gives and takes away. */
function handedLeadership(): { readonly leadership: Leadership; readonly hand: (leads: boolean) => void } {
  let isLeading = false
  const listeners = new Set<() => void>()
  const leadership = {
    ...SOLE_LEADERSHIP,
    leads: () => isLeading,
    onChange: (listener: () => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return {
    leadership,
    hand(leads) {
      isLeading = leads
      for (const listener of listeners) listener()
    },
  }
}

describe('what only the leader does', () => {
  let done: string[]
  beforeEach(() => (done = []))
  const work = {
    start: () => void done.push('start'),
    stop: () => {
      done.push('stop')
      return Promise.resolve()
    },
  }

  it('begins at once where nobody else can lead', async () => {
    const end = whileLeading(SOLE_LEADERSHIP, work)
    assert.deepEqual(done, ['start'])
    await end()
    assert.deepEqual(done, ['start', 'stop'])
  })

  it('begins with the lead and ends with it, and does not begin again once it is ended', async () => {
    const { leadership, hand } = handedLeadership()
    const end = whileLeading(leadership, work)
    assert.ok(!done.includes('start'))
    hand(true)
    assert.equal(done.at(-1), 'start')
    hand(false)
    assert.equal(done.at(-1), 'stop')
    await end()
    hand(true)
    assert.equal(done.at(-1), 'stop')
  })
})
