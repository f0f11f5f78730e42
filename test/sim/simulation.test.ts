import { runSeed } from './simulation.ts'

const SEEDS = 200
const AT_ONCE = 25

describe('a seeded network with faults and an adversary', () => {
  for (let from = 0; from < SEEDS; from += AT_ONCE) {
    it(`stays safe after every step: seeds ${from} to ${from + AT_ONCE - 1}`, async function () {
      this.timeout(300_000)
      for (let seed = from; seed < from + AT_ONCE; seed++) await runSeed(seed)
    })
  }
})
