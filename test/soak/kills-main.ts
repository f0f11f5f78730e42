import { parseArgs } from 'node:util'
import { stopSharedPostgres } from '../helpers/postgres.ts'
import { runKillRounds, type KillReport } from '../e2e/crash/kill-rounds.ts'

/** A chain of its own for so many kills, so that the audit after each stays short. */
const KILLS_A_CHAIN = 25

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '300' }, database: { type: 'string', default: 'both' } },
})
const kills = Number(values.kills)
const databases = (['SQLite', 'PostgreSQL'] as const).filter(
  (name) => values.database === 'both' || values.database === name.toLowerCase(),
)

for (const database of databases) {
  const begun = Date.now()
  const reports: KillReport[] = []
  let done = 0
  console.log(`${database}: ${kills} SIGKILLs at random moments under load, an audit after each`)
  while (done < kills) {
    const report = await runKillRounds({
      database,
      kills: Math.min(KILLS_A_CHAIN, kills - done),
      random: Math.random,
      onRound: ({ killedAfterMs, tookCalls, blocks, transactions }) => {
        const when = `${killedAfterMs.toFixed(0)} ms after its start, ${tookCalls ? 'under load' : 'before it took calls'}`
        console.log(`${database} kill ${++done}: ${when}; audit clean: ${blocks} blocks, ${transactions} trades`)
      },
    })
    reports.push(report)
  }
  const sum = (pick: (report: KillReport) => number): number => reports.reduce((total, one) => total + pick(one), 0)
  console.log(
    JSON.stringify({
      database,
      kills: sum((one) => one.kills),
      killedBeforeItTookCalls: sum((one) => one.killedBeforeItTookCalls),
      audits: 'all clean',
      blocks: sum((one) => one.blocks),
      transactions: sum((one) => one.transactions),
      answers: sum((one) => one.answers),
      seconds: Math.round((Date.now() - begun) / 1_000),
    }),
  )
}
await stopSharedPostgres()
