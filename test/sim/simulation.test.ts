import assert from 'node:assert/strict'
import { progressed } from '../helpers/patience.ts'
import { runSeed } from './simulation.ts'

/** More of them run in simulation.long.ts. */
const SEEDS = 3

describe('a seeded network with faults and an adversary, in short', () => {
  for (let seed = 0; seed < SEEDS; seed++) {
    it(`stays safe after every step: seed ${seed}`, async () => {
      const { blocks } = await runSeed(seed)
      assert.ok(blocks > 0)
      progressed()
    })
  }
})
