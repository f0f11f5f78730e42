import assert from 'node:assert/strict'
import { runKillRounds } from './kill-rounds.ts'

/** As many as the tests have time for; `npm run soak:kills` does 300 on each. */
const KILLS = { SQLite: 3, PostgreSQL: 4 } as const

describe('an authority that is killed at random moments under load', () => {
  for (const database of ['SQLite', 'PostgreSQL'] as const) {
    it(`on ${database} loses no trade, seals no height twice and audits clean after each start`, async () => {
      const rounds: number[] = []
      const report = await runKillRounds({
        database,
        kills: KILLS[database],
        random: Math.random,
        onRound: ({ blocks }) => void rounds.push(blocks),
      })
      assert.equal(rounds.length, KILLS[database])
      assert.ok(report.blocks >= (rounds.at(-1) ?? 0) && report.answers >= report.blocks, JSON.stringify(report))
    })
  }
})
