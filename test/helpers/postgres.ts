import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

/** A real PostgreSQL on loopback, in a process that outlives nobody (see postgres-process.ts). */
export interface PostgresServer {
  /** postgres://USER:PASSWORD@HOST:PORT/database */
  url(database: string): string
  /** Ends the server without a goodbye, as a crash does. */
  crash(): Promise<void>
  /** Starts it again, at the same port; resolves when it takes connections. */
  start(): Promise<void>
  /** A crash, and the start after it. */
  restart(): Promise<void>
  /** Shuts it down and deletes it. */
  stop(): Promise<void>
}

/** A new, empty database; `drop` breaks off whoever is connected. */
export interface TempDatabase {
  readonly url: string
  drop(): Promise<void>
}

const PROCESS = fileURLToPath(new URL('postgres-process.ts', import.meta.url))

/** Starts a server of its own. `durable`: with fsync, as in production; `tls`: it offers TLS. */
export async function startPostgres({ durable = false, tls = false } = {}): Promise<PostgresServer> {
  const args = ['--import=tsx', PROCESS, ...(durable ? ['durable'] : []), ...(tls ? ['tls'] : [])]
  // In a group of its own: the Ctrl-C that ends the tests must not end it before it has cleaned up.
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = once(child, 'close')
  async function answer<T>(): Promise<T> {
    const line: IteratorResult<string, undefined> = await lines.next()
    if (line.done === true) throw new Error('the PostgreSQL of the tests has ended, its reason is above')
    return JSON.parse(line.value) as T
  }
  const { port, password } = await answer<{ readonly port: number; readonly password: string }>()
  async function command(name: 'crash' | 'start'): Promise<void> {
    child.stdin.write(`${name}\n`)
    await answer()
  }
  return {
    url: (database) => `postgres://ledger:${password}@127.0.0.1:${port}/${database}`,
    crash: () => command('crash'),
    start: () => command('start'),
    async restart() {
      await command('crash')
      await command('start')
    },
    async stop() {
      child.stdin.end()
      await ended
    },
  }
}

/** Of the process, not of this module: mocha imports some files and requires others, and each way has its own modules. */
const shared = globalThis as typeof globalThis & { testPostgres?: Promise<PostgresServer> | undefined }

/** The server of the whole run, started when it is first asked for. */
export const sharedPostgres = (): Promise<PostgresServer> => (shared.testPostgres ??= startPostgres())

/** Stops the shared server, if anybody started it. */
export async function stopSharedPostgres(): Promise<void> {
  // Where it did not start, the tests that asked for it have said so.
  const server = await shared.testPostgres?.catch(() => undefined)
  shared.testPostgres = undefined
  await server?.stop()
}

/** A database on the shared server, or on `server`. */
export async function tempDatabase(server?: PostgresServer): Promise<TempDatabase> {
  const at = server ?? (await sharedPostgres())
  const name = `test_${randomUUID().replaceAll('-', '')}`
  const administer = (statement: string) => query(at.url('postgres'), statement)
  await administer(`create database ${name}`)
  return {
    url: at.url(name),
    drop: async () => {
      await administer(`drop database ${name} with (force)`)
    },
  }
}

/** Runs statements on a connection of their own and gives the rows of the last; int8 arrives as text. */
export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values?: readonly unknown[],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    // Several statements give a list of results, which the types of pg do not tell.
    const results = [await client.query<Row>(text, values === undefined ? undefined : [...values])].flat()
    return results.at(-1)?.rows ?? []
  } finally {
    await client.end()
  }
}
