import { parseArgs } from 'node:util'
import { runChurn } from './churn.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '300' }, seed: { type: 'string', default: `${Date.now() % 10_000}` } },
})
const seed = Number(values.seed)
console.log(
  `votes:11 with 20 light nodes in 4 processes, half of them killed again and again, ${values.seconds} s, seed ${seed}`,
)
const report = await runChurn({
  durationMs: Number(values.seconds) * 1_000,
  seed,
  onRound: ({ killed, blocks, finalAfterMs }) =>
    console.log(`killed ${killed.join(' ')}: ${blocks} blocks, all final ${finalAfterMs} ms after the first came back`),
})
console.log(JSON.stringify(report))
