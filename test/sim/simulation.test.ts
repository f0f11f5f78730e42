import assert from 'node:assert/strict'
import { runSeed } from './simulation.ts'

describe('a seeded network with faults and an adversary, in short', () => {
  it('stays safe after every step: seed 0, and more in simulation.long.ts', async () => {
    const { blocks } = await runSeed(0)
    assert.ok(blocks > 0)
  })
})
