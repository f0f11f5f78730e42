/** `npm run bench <name>`: see docs/benchmarks.md. */
import { parseArgs } from 'node:util'
import type { BenchOptions, BenchRow } from './compare.ts'
import { benchAudit, benchRebuild } from './full-store-bench.ts'
import { benchMemory } from './memory.ts'
import { benchProof } from './proof.ts'
import { benchReceipt } from './receipt.ts'
import { benchRegistry } from './registry.ts'
import { benchTick } from './tick.ts'
import { benchVotes } from './votes.ts'
import { benchWork } from './work.ts'

type Bench = (options: BenchOptions) => Promise<BenchRow[]>

const benches: ReadonlyMap<string, { readonly run: Bench; readonly measures: string }> = new Map([
  ['tick', { run: benchTick, measures: 'a tick until it is published, against its SQL commit alone' }],
  ['votes', { run: benchVotes, measures: 'votes counted and stored, against verifying their signatures alone' }],
  ['proof', { run: benchProof, measures: 'proofs, hashes and signatures, against bare hashing and node:crypto' }],
  ['work', { run: benchWork, measures: 'nonces tried for seal work, against bare hashing' }],
  ['receipt', { run: benchReceipt, measures: 'size and check of the receipt of an old trade, against the bare work' }],
  ['audit', { run: benchAudit, measures: 'audit of a full store, against reading and hashing every row alone' }],
  ['rebuild', { run: benchRebuild, measures: 'LevelDB anew from SQL, against reading and hashing every row alone' }],
  [
    'registry',
    { run: benchRegistry, measures: 'changes among many members: time, memory and start, against the least' },
  ],
  ['memory', { run: benchMemory, measures: 'resident memory of idle nodes, against a bare Node process' }],
])

const USAGE = `usage: npm run bench <name> [-- --json] [--rounds N] [--sizes N,N,...] [--trades N] [--changes N]
${[...benches].map(([name, { measures }]) => `  ${name.padEnd(9)}${measures}`).join('\n')}
`

/** What the command line asks for; `undefined` if that makes no sense. */
function readCommandLine() {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        sizes: { type: 'string' },
        trades: { type: 'string' },
        changes: { type: 'string' },
      },
      allowPositionals: true,
    })
    const counts = [values.rounds, values.trades, values.changes, ...(values.sizes?.split(',') ?? [])]
    const isPlain = counts.every((count) => count === undefined || /^[1-9][0-9]{0,6}$/.test(count))
    const bench = benches.get(positionals[0] ?? '')
    if (!isPlain || positionals.length > 1 || bench === undefined) return undefined
    const options: BenchOptions = {
      ...(values.rounds !== undefined && { rounds: Number(values.rounds) }),
      ...(values.trades !== undefined && { trades: Number(values.trades) }),
      ...(values.changes !== undefined && { changes: Number(values.changes) }),
      ...(values.sizes !== undefined && { sizes: values.sizes.split(',').map(Number) }),
    }
    return { bench, options, json: values.json }
  } catch {
    return undefined
  }
}

const shown = (value: number): string => value.toPrecision(value >= 100 ? Math.ceil(Math.log10(value + 1)) : 3)

function printTable(rows: readonly BenchRow[]): void {
  const lines = [
    ['name', 'ours', 'against', 'unit', 'ratio'],
    ...rows.map(({ name, ours, against, unit, ratio }) => [
      name,
      shown(ours),
      shown(against),
      unit,
      ratio < 0.1 ? ratio.toPrecision(2) : ratio.toFixed(2),
    ]),
  ]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? []
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    console.log(cells.join('  '))
  }
}

const asked = readCommandLine()
if (asked === undefined) {
  process.stderr.write(USAGE)
  process.exitCode = 2
} else {
  const rows = await asked.bench.run(asked.options)
  if (asked.json) console.log(JSON.stringify(rows))
  else printTable(rows)
}
