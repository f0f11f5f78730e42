import assert from 'node:assert/strict'
import { openFinalizer } from '../../../src/engine/finalizer.ts'
import { createStreet } from '../../helpers/branches.ts'
import { replicaFolder } from './replica-harness.ts'

const street = createStreet({ finality: { policy: 'votes', threshold: 1 }, voters: ['ann'] })
const chain = street.start.grow('t0', 't1', 't2')

describe('what is final', () => {
  it('never goes back, though another authority on the database counts further meanwhile', async () => {
    const folder = await replicaFolder(street)
    try {
      const { chain: held, store, hub, clock, ...node } = await folder.open()
      await node.acceptAll(chain)
      const asked = Promise.withResolvers<undefined>()
      const go = Promise.withResolvers<undefined>()
      const slow = {
        ...store.finality,
        async finalizeUpTo(height: number, at: number) {
          asked.resolve(undefined)
          await go.promise
          await store.finality.finalizeUpTo(height, at)
        },
      }
      const finalizer = await openFinalizer({ chain: held, store: slow, events: hub, clock })
      const counting = finalizer.count([street.vote('ann', chain.at(0))])
      await asked.promise
      finalizer.sealedFinal(2)
      assert.equal(finalizer.finalHeight, 2)
      go.resolve(undefined)
      await counting
      assert.equal(finalizer.finalHeight, 2)
    } finally {
      await folder.remove()
    }
  })
})
