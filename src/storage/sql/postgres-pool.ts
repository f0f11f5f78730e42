import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'

/** Everything of the ledger is in a schema of its own: a platform that shares the database has tables of these names too. */
export const SCHEMA = 'solar_node'

/** Connections at most: one writes (see postgres.ts), the others read. */
const MAX_CONNECTIONS = 10
const CONNECT_LIMIT_MS = 5_000
/**
 * A query that takes longer ends with its connection: the network has swallowed it, and TCP alone would notice only after a
 * quarter of an hour. The largest tick is far below.
 */
const QUERY_LIMIT_MS = 60_000
const KEEP_ALIVE_AFTER_MS = 10_000
/** Another authority may be writing; beyond this the caller is told to try again. */
const LOCK_LIMIT_MS = 5_000
/**
 * The server ends the transaction of a process that stands still (stopped, or cut off), which would block every other: as
 * soon as its lead (LEASE_MS), so that who takes over need not wait for it.
 */
const IDLE_IN_TRANSACTION_LIMIT_MS = 4_000

/**
 * What each connection begins with. What a commit has returned must be on the disk, also where the server or the role says
 * otherwise; `remote_apply` promises more and may stay. A timeout of the server's could cut a commit's wait for its standby
 * short and call it done, so there is none: QUERY_LIMIT_MS ends the connection, and the caller knows that it does not know.
 */
export const SESSION = `
  set search_path = ${SCHEMA};
  set lock_timeout = ${LOCK_LIMIT_MS};
  set idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_LIMIT_MS};
  set statement_timeout = 0;
  select set_config('synchronous_commit', 'on', false)
  where current_setting('synchronous_commit') not in ('on', 'remote_apply')`

/** bigint as BigInt, as SQLite gives it: a number would lose digits, and pg's own choice is text. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((type: Parameters<typeof pg.types.getTypeParser>[0], format?: 'text' | 'binary'): unknown =>
    type === pg.types.builtins.INT8 && format !== 'binary'
      ? BigInt
      : pg.types.getTypeParser(type, format ?? 'text')) as pg.CustomTypesConfig['getTypeParser'],
}

/**
 * Where and how to connect; pg itself adds PGPASSWORD and the passfile where the URL has no password. `sslmode` means what it
 * means to libpq, but `prefer`, which an attacker could turn off, is `require`.
 */
const connectionConfig = (url: string): pg.ClientConfig => ({
  connectionString: /[?&]sslmode=/.test(url) && !url.includes('uselibpqcompat=') ? `${url}&uselibpqcompat=true` : url,
  application_name: 'solar-node',
  connectionTimeoutMillis: CONNECT_LIMIT_MS,
  keepAlive: true,
  keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
  types,
})

/**
 * Closes its socket when the connection does not come about: pg leaves it open where it has no password to send, and the server would
 * keep it, and with it this process, for a minute.
 */
class TidyClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config)
    this.connection.on('error', () => this.connection.stream.destroy())
  }
}

/** A connection of its own, not of a pool. */
export const createClient = (url: string, config: pg.ClientConfig = {}): pg.Client =>
  new TidyClient({ ...connectionConfig(url), ...config })

/**
 * Connections as Kysely takes them. It heals by itself: a connection that broke, hangs or is left inside a transaction is
 * closed and never given out again.
 */
export function createPool(url: string): PostgresPool {
  const pool = new pg.Pool({ ...connectionConfig(url), max: MAX_CONNECTIONS, Client: TidyClient })
  const ready = new WeakSet<pg.PoolClient>()
  // A connection that breaks while nobody uses it: the next call gets another.
  pool.on('error', () => undefined)
  // One that breaks while it is used: its query fails too, and without a listener the process would end.
  pool.on('connect', (client) => client.on('error', () => undefined))

  return {
    async connect() {
      const client = await pool.connect()
      try {
        if (!ready.has(client)) await withinLimit(client, QUERY_LIMIT_MS, () => client.query(SESSION))
      } catch (error) {
        client.release(true)
        throw error
      }
      ready.add(client)
      return pooled(client)
    },
    end: () => pool.end(),
  }
}

function pooled(client: pg.PoolClient): PostgresPoolClient {
  // Kysely asks for rows and for cursors by one overloaded name; without a cursor class it asks for rows alone.
  const query: unknown = (text: string, parameters: readonly unknown[]) =>
    withinLimit(client, QUERY_LIMIT_MS, () => client.query(text, [...parameters]))
  return {
    query: query as PostgresPoolClient['query'],
    release: () => client.release(client.getTransactionStatus() !== 'I'),
  }
}

/** Does `work`, a query of `client`; a connection that has not answered it within the limit is ended, and the query with it. */
export async function withinLimit<T>(
  client: pg.Client | pg.PoolClient,
  limitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const timer = setTimeout(() => void client.end(), limitMs)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
  }
}
