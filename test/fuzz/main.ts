import { parseArgs } from 'node:util'
import { readCorpus, writeCorpus } from './corpus.ts'
import { openDecoders } from './decoders.ts'
import { fuzz } from './fuzz.ts'

const HELP = `npm run fuzz -- [options]
  --runs N     inputs of each decoder (5000); of those that are dear, fewer
  --seed N     the first number of the search (a random one)
  --only TEXT  decoders whose name has this in it
  --update     write what brought a new outcome into test/fuzz/corpus`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h', default: false },
    runs: { type: 'string', default: '5000' },
    seed: { type: 'string' },
    only: { type: 'string', default: '' },
    update: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(HELP)
  process.exit()
}
const runs = Number(values.runs)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))

const opened = await openDecoders()
const chosen = opened.decoders.filter(({ name }) => name.includes(values.only))
let total = 0
let failed = 0
for (const decoder of chosen) {
  const corpus = readCorpus(decoder)
  try {
    const { inputs, found, slowestMs } = await fuzz(decoder, Math.ceil(runs / decoder.cost), seed, corpus)
    total += inputs
    console.log(
      `${decoder.name.padEnd(34)} ${inputs} inputs, ${found.size} outcomes, the slowest ${slowestMs.toFixed(1)} ms`,
    )
    if (values.update) writeCorpus(decoder, [...found.values()])
  } catch (error) {
    failed++
    console.log(error instanceof Error ? error.message : String(error))
  }
}
await opened.close()
console.log(`seed ${seed}: ${total} inputs, ${chosen.length} decoders, ${failed} failed`)
process.exitCode = failed === 0 && chosen.length > 0 ? 0 : 1
