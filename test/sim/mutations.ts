import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { MUTATIONS } from './mutations/list.ts'
import type { Mutation } from './mutations/mutation.ts'
import { PROMISES, type Invariant } from './violation.ts'

/**
 * Shows that each rule is needed and looked for: in a copy of the sources one rule is removed, and seeds are run until the
 * checker finds what its mutation names. Ends with 1 if it does not, or if a promise to users is named by none of them.
 */
const { values } = parseArgs({
  options: {
    // How many seeds are tried for each.
    seeds: { type: 'string', default: '600' },
    // Only the mutations whose rule has this in it.
    only: { type: 'string', default: '' },
  },
})
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COPIED = ['src', 'test', 'package.json', '.mocharc.json']
/** Of all seeds, each with what failed: characters. */
const MAX_OUTPUT = 16 * 1024 * 1024
const run = promisify(execFile)

/** What noticed it, and what that said. */
interface Found {
  readonly by: string
  readonly what: string
}

/** Runs the test, or seeds until the first with this failure: the one at which it was found last time before all others. */
async function findFailure(folder: string, mutation: Mutation): Promise<Found | undefined> {
  if ('test' in mutation) return await runTest(folder, mutation.test)
  const { breaks, seed } = mutation
  const remembered = seed === undefined ? undefined : await runSeeds(folder, breaks, ['--seed', String(seed)])
  return remembered ?? (await runSeeds(folder, breaks, ['--seeds', values.seeds]))
}

async function runSeeds(folder: string, breaks: Invariant, args: readonly string[]): Promise<Found | undefined> {
  try {
    const until = ['--until', breaks, ...args]
    await run(process.execPath, ['--import=tsx', 'test/sim/main.ts', ...until], { cwd: folder, maxBuffer: MAX_OUTPUT })
    return undefined
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    const failures = [...output.matchAll(/^seed (\d+): (.*)$/gm)].map(([, seed = '', what = '']) => ({ seed, what }))
    if (failures.length === 0) throw error
    const found = failures.find(({ what }) => what.startsWith(`${breaks}: `))
    return found && { by: `seed ${found.seed}`, what: found.what }
  }
}

/** Runs a test of its own up to the first thing in it that fails. */
async function runTest(folder: string, test: string): Promise<Found | undefined> {
  try {
    await run('npx', ['mocha', '--no-parallel', '--bail', test], { cwd: folder })
    return undefined
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    const what = /^ +1\) (.*)$/m.exec(output)?.[1]
    if (what === undefined) throw error
    return { by: test, what }
  }
}

/** A copy of the sources without the rule. Throws if a source is no longer as the mutation knows it. */
async function mutate(folder: string, { patches }: Mutation): Promise<void> {
  for (const part of COPIED) await cp(join(ROOT, part), join(folder, part), { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const { file, from, to } of patches) {
    const path = join(folder, file)
    const text = await readFile(path, 'utf8')
    if (text.split(from).length !== 2) throw new Error(`${file} does not have exactly one: ${from}`)
    await writeFile(
      path,
      text.replace(from, () => to),
    )
  }
}

const waiting = MUTATIONS.filter(({ rule }) => rule.includes(values.only))
let survivors = 0

async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation !== undefined; mutation = waiting.shift()) {
    const folder = await mkdtemp(join(tmpdir(), 'solar-node-mutation-'))
    try {
      await mutate(folder, mutation)
      const found = await findFailure(folder, mutation)
      const told = found === undefined ? 'NOT FOUND' : `${found.by}: ${found.what.slice(0, 150)}`
      console.log(`| ${mutation.rule} | ${told} |`)
      if (found === undefined) survivors += 1
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

console.log('| without this rule | fails |\n| --- | --- |')
await Promise.all(Array.from({ length: availableParallelism() }, work))
const kept = PROMISES.filter((promise) => !MUTATIONS.some((one) => 'breaks' in one && one.breaks === promise))
for (const promise of kept) console.log(`named by none of them: ${promise}`)
console.log(`${survivors} of ${MUTATIONS.length} not found`)
process.exitCode = survivors + kept.length === 0 ? 0 : 1
