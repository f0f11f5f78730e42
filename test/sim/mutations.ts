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
 * checker finds something. Ends with 1 if it finds nothing, or if a promise to users is broken by none of them.
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
const run = promisify(execFile)

/** What noticed it, and what that said. */
interface Found {
  readonly by: string
  readonly what: string
}

/** Runs seeds until the first failure: the one at which it was found last time before all others. */
async function findFailure(folder: string, { without, seed, test }: Mutation): Promise<Found | undefined> {
  if (test !== undefined) return await runTest(folder, test)
  const options = (without ?? []).flatMap((invariant) => ['--without', invariant])
  const remembered = seed === undefined ? undefined : await runSeeds(folder, ['--seed', String(seed), ...options])
  return remembered ?? (await runSeeds(folder, ['--stop', '--seeds', values.seeds, ...options]))
}

async function runSeeds(folder: string, args: readonly string[]): Promise<Found | undefined> {
  try {
    await run(process.execPath, ['--import=tsx', 'test/sim/main.ts', ...args], { cwd: folder })
    return undefined
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
    const [, seed, what] = /^seed (\d+): (.*)$/m.exec(output) ?? []
    if (seed === undefined || what === undefined) throw error
    return { by: `seed ${seed}`, what }
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
const broken = new Set<Invariant>()
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
      for (const promise of PROMISES) if (found?.what.startsWith(promise) === true) broken.add(promise)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

console.log('| without this rule | fails |\n| --- | --- |')
await Promise.all(Array.from({ length: availableParallelism() }, work))
const kept = values.only === '' ? PROMISES.filter((promise) => !broken.has(promise)) : []
for (const promise of kept) console.log(`broken by none of them: ${promise}`)
console.log(`${survivors} of ${MUTATIONS.length} not found`)
process.exitCode = survivors + kept.length === 0 ? 0 : 1
