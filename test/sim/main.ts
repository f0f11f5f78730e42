import { parseArgs } from 'node:util'
import { runSeed } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const begun = performance.now()
let failed = 0
let live = 0
let unsettled = 0
for (let seed = from; seed < from + count; seed++) {
  try {
    const at = performance.now()
    const report = await runSeed(seed)
    if (report.isLive) live += 1
    if (report.unsettled !== null) {
      unsettled += 1
      console.log(`seed ${seed}: safe, and not settled in the end: ${report.unsettled}`)
    }
    if (values.verbose) console.log(JSON.stringify({ ...report, ms: Math.round(performance.now() - at) }))
  } catch (error) {
    failed += 1
    console.log(
      `seed ${seed}: ${error instanceof Error ? (values.verbose ? error.stack : error.message) : String(error)}`,
    )
    console.log(`  again: npm run sim -- --seed ${seed} --verbose`)
  }
}
const seconds = (performance.now() - begun) / 1000
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s, ${failed} failed, ${live} had to move on at the end, ${unsettled} not settled`,
)
process.exitCode = failed === 0 ? 0 : 1
