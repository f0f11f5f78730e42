import assert from 'node:assert/strict'
import { runChurn } from '../../soak/churn.ts'

describe('twenty light nodes under votes:11, half of them killed and brought back again and again', () => {
  it('have no block final while half are dead and all soon after, and no vote counts twice', async () => {
    const { rounds, blocks, votes, slowestMs } = await runChurn({ durationMs: 20_000, seed: 1 })
    console.log(`        ${rounds} times, ${blocks} blocks, ${votes} votes, all final at most ${slowestMs} ms later`)
    assert.ok(rounds > 0)
  })
})
