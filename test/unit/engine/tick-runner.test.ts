import assert from 'node:assert/strict'
import { createTickRunner, type TickRunnerParts } from '../../../src/engine/tick-runner.ts'
import { SOLE_LEADERSHIP } from '../../../src/ports/leadership.ts'
import type { BlockRow } from '../../../src/ports/market-store.ts'
import { createStreet } from '../../helpers/branches.ts'
import { replicaFolder } from './replica-harness.ts'

const street = createStreet({ finality: { policy: 'authority' } })

describe('an authority that leads on a database that others share', () => {
  it('asks its stores once, and again when who led before has committed or sealed something since', async () => {
    const folder = await replicaFolder(street)
    const { chain } = await folder.open()
    let unsealed: object | undefined
    let above: readonly object[] = []
    let caughtUp = 0
    const parts = {
      chain,
      leadership: SOLE_LEADERSHIP,
      store: {
        nextUnsealedTick: () => Promise.resolve(unsealed),
        blocks: (from: number) => Promise.resolve((from === chain.size ? above : []) as readonly BlockRow[]),
      },
      sealer: {
        catchUp() {
          caughtUp += 1
          return Promise.resolve()
        },
      },
    }
    const runner = createTickRunner(parts as unknown as TickRunnerParts)
    await runner.recover()
    await runner.recover()
    assert.equal(caughtUp, 1)
    unsealed = {}
    await runner.recover()
    unsealed = undefined
    assert.equal(caughtUp, 2)
    above = [{}]
    await runner.recover()
    above = []
    assert.equal(caughtUp, 3, 'a block that it does not have')
    await runner.recover()
    assert.equal(caughtUp, 3)
    await folder.remove()
  })
})
