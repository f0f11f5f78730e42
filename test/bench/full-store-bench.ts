import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { tempDir } from '../helpers/temp.ts'
import { compare, median, type BenchOptions, type BenchRow } from './compare.ts'
import type { Pass } from './full-store-process.ts'
import { makeFullStore } from './full-store.ts'

const PROCESS = fileURLToPath(new URL('full-store-process.ts', import.meta.url))
const TRADES = 100_000
const PER_BLOCK = [1_000]
const ROUNDS = 3

export const benchAudit = (options: BenchOptions): Promise<BenchRow[]> => bench('audit', options)
export const benchRebuild = (options: BenchOptions): Promise<BenchRow[]> => bench('rebuild', options)

/** All trades of a store, and the memory it takes, against reading and hashing each row alone; each pass in a new process. */
async function bench(
  work: 'audit' | 'rebuild',
  { trades = TRADES, sizes = PER_BLOCK, rounds = ROUNDS }: BenchOptions,
): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of sizes) rows.push(...(await rowsOf(work, trades, size, rounds)))
  return rows
}

async function rowsOf(work: 'audit' | 'rebuild', trades: number, size: number, rounds: number): Promise<BenchRow[]> {
  const folder = await tempDir()
  const memory = { ours: [] as number[], against: [] as number[] }
  const measured = (what: string, megabytes: number[]) => async () => {
    const pass = await runPass(what, folder.path)
    if (pass.transactions !== trades) throw new Error(`${what} saw ${pass.transactions} of ${trades} trades`)
    megabytes.push(pass.megabytes)
    return trades / pass.seconds
  }
  try {
    await makeFullStore(folder.path, trades, size)
    const name = `${work} of ${trades} trades, ${size} to a block`
    const rate = await compare(
      { name, unit: 'trades/s', ours: measured(work, memory.ours), against: measured('read', memory.against) },
      { rounds, warmUp: 0 },
    )
    const [ours, against] = [median(memory.ours), median(memory.against)]
    return [rate, { name: `memory of ${name}`, ours, against, ratio: ours / against, unit: 'MB' }]
  } finally {
    await folder.remove()
  }
}

async function runPass(work: string, folder: string): Promise<Pass> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', PROCESS, work, folder])
  return JSON.parse(stdout) as Pass
}
