/**
 * Installs the project on each Node.js that it promises to run on, as a newcomer would, and tries it: `npm run smoke:nodes`,
 * with `-- 20.19 26` on some of them alone. Node.js itself comes from npm's package `node`.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { within } from '../helpers/patience.ts'
import { tempDir } from '../helpers/temp.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const VERSIONS = ['20.19', '22', '24', '26']
const COMPLAINT = /\bwarn\b|deprecat|EBADENGINE|Unsupported engine/i
/** What npm says about settings of the machine's own is none of the package's. */
const MACHINE = /Unknown (?:user|env|global|builtin) config/
/** What the demo says of a block when households have proved trades of it. */
const PROVED = /\b[1-9]\d* households? proved [1-9]/
/** What has not ended after so much patience hangs: an install may load a hundred megabytes. */
const LIMIT_MS = 600_000

interface Run {
  readonly cwd: string
  /** Node.js that `npm` and `solar-node` find first. */
  readonly node?: string
  /** Interrupts it once its output has this. */
  readonly until?: RegExp
}

/** Runs a program to its end; gives what it wrote. Throws if it fails. */
async function run({ cwd, node, until }: Run, program: string, ...args: readonly string[]): Promise<string> {
  const path = [...(node === undefined ? [] : [node]), process.env.PATH].join(delimiter)
  // What npm tells its scripts about this checkout is not true for the copy.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))
  const child = spawn(program, args, { cwd, env: { ...Object.fromEntries(own), PATH: path } })
  let output = ''
  let seen = false
  const read = (chunk: Buffer): void => {
    output += chunk.toString()
    if (seen || until?.test(output) !== true) return
    seen = true
    child.kill('SIGINT')
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  const end = once(child, 'close') as Promise<[number | null]>
  const [code] = await within(`the end of ${program} ${args.join(' ')}`, end, LIMIT_MS).finally(() =>
    child.kill('SIGKILL'),
  )
  assert.equal(code, 0, `${program} ${args.join(' ')} ended with ${code}:\n${output}`)
  if (until !== undefined) assert.match(output, until)
  return output
}

const complaints = (output: string): readonly string[] =>
  output.split('\n').filter((line) => COMPLAINT.test(line) && !MACHINE.test(line))

async function timed<T>(what: string, work: Promise<T>): Promise<T> {
  const begun = performance.now()
  const result = await work
  console.log(`  ${what}: ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  return result
}

/** The folder of a Node.js of this version. */
async function fetchNode(version: string, folder: string): Promise<string> {
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }))
  await run({ cwd: folder }, 'npm', 'install', '--prefer-offline', `node@${version}`)
  return join(folder, 'node_modules/node/bin')
}

/** The files that git has, as they are now. */
async function copyCheckout(to: string): Promise<void> {
  const files = await run({ cwd: ROOT }, 'git', 'ls-files', '-z')
  for (const file of files.split('\0').filter((name) => name !== '')) {
    await mkdir(dirname(join(to, file)), { recursive: true })
    await copyFile(join(ROOT, file), join(to, file))
  }
}

/** The line of the README, with a folder of its own for what is global. */
const install = (from: string, prefix: string): readonly string[] => {
  return ['install', '--global', '--ignore-scripts', '--prefer-offline', '--prefix', prefix, from]
}

async function tryNode(version: string, folder: string): Promise<void> {
  const node = await timed('Node.js', fetchNode(version, join(folder, 'node')))
  const checkout = join(folder, 'checkout')
  await copyCheckout(checkout)
  const here = { cwd: checkout, node }
  console.log(`  ${(await run(here, 'node', '--version')).trim()}, npm ${(await run(here, 'npm', '--version')).trim()}`)

  const said = await timed('npm ci', run(here, 'npm', 'ci', '--prefer-offline'))
  assert.deepEqual(complaints(said), [], said)
  const { version: own } = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as { version: string }
  const tarball = join(checkout, `solar-node-${own}.tgz`)
  await run(here, 'npm', 'pack', '--ignore-scripts')

  for (const [name, from] of [
    ['the checkout', '.'],
    ['the tarball', tarball],
  ] as const) {
    const prefix = join(folder, `from ${name}`)
    await timed(`solar-node from ${name}`, run(here, 'npm', ...install(from, prefix)))
    const solarNode = join(prefix, 'bin/solar-node')
    const elsewhere = { cwd: folder, node }
    assert.equal((await run(elsewhere, solarNode, '--version')).trim(), own)
    const demo = [solarNode, 'demo', '--http', '127.0.0.1:0', '--tick', '1'] as const
    await timed('a demo until a household has proved a trade', run({ ...elsewhere, until: PROVED }, ...demo))
  }
  await tryImports(tarball, join(folder, 'program'), node)
}

/** A program that has the package as a dependency. */
async function tryImports(tarball: string, folder: string, node: string): Promise<void> {
  await mkdir(folder)
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const here = { cwd: folder, node }
  await run(here, 'npm', 'install', '--ignore-scripts', '--prefer-offline', tarball)
  const names = ['solar-node', 'solar-node/light', 'solar-node/protocol']
  const program = names.map((name) => `console.log(Object.keys(await import('${name}')).length > 0)`).join('\n')
  assert.equal(await run(here, 'node', '--input-type=module', '-e', program), 'true\n'.repeat(names.length))
}

const asked = process.argv.slice(2)
for (const version of asked.length > 0 ? asked : VERSIONS) {
  const folder = await tempDir()
  console.log(`Node.js ${version}`)
  try {
    await tryNode(version, folder.path)
  } finally {
    await folder.remove()
  }
}
console.log('all of it runs')
