import { parseArgs } from 'node:util'
import { runSeed } from './simulation.ts'
import { INVARIANTS, Violation } from './violation.ts'

const HELP = `npm run sim -- [options]
  --seeds N        how many seeds (1000), from --from N (0)
  --seed N         this one alone
  --verbose        each seed's report, and the stack of what failed
  --log            what nodes log
  --stop           end at the first failure
  --until WORDS    end at the first failure of this invariant, one of
${INVARIANTS.map((invariant) => `                     ${invariant}`).join('\n')}`

/** Runs seeds one after the other. Says which failed, how to run it again, and ends with 1 if any did. */
const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
    // Every report, and what nodes log.
    verbose: { type: 'boolean', default: false },
    log: { type: 'boolean', default: false },
    // Ends at the first failure.
    stop: { type: 'boolean', default: false },
    // Ends at the first failure of this invariant.
    until: { type: 'string' },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit()
}
if (values.until !== undefined && !INVARIANTS.some((invariant) => invariant === values.until)) {
  throw new Error(`no invariant is called ${values.until}`)
}
const from = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.seeds) : 1
const onLog = (node: string, message: string, fields: object): void => {
  if (values.log) console.log(node, message, 'error' in fields ? String(fields.error).slice(0, 300) : '')
}
const begun = performance.now()
let done = 0
let failed = 0
let live = 0
let isOver = false
for (let seed = from; seed < from + count && !isOver; seed++) {
  done += 1
  try {
    const at = performance.now()
    const report = await runSeed(seed, { onLog })
    if (report.isLive) live += 1
    if (values.verbose) console.log(JSON.stringify({ ...report, ms: Math.round(performance.now() - at) }))
  } catch (error) {
    failed += 1
    isOver = values.stop || (error instanceof Violation && error.invariant === values.until)
    const told = !(error instanceof Error) ? String(error) : values.verbose ? error.stack : error.message
    console.log(`seed ${seed}: ${error instanceof Violation ? '' : 'not a violation: '}${told?.slice(0, 2_000) ?? ''}`)
    console.log(`  again: npm run sim -- --seed ${seed} --verbose --log`)
  }
}
const seconds = (performance.now() - begun) / 1000
console.log(`${done} seeds in ${seconds.toFixed(1)} s, ${failed} failed, ${live} had to move on at the end and did`)
process.exitCode = failed === 0 ? 0 : 1
