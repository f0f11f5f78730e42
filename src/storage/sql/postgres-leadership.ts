import { DEFAULT_MIGRATION_TABLE } from 'kysely'
import pg from 'pg'
import type { SharedLeadership } from '../../ports/leadership.ts'
import type { Logger } from '../../ports/logger.ts'
import { driverCodes } from '../failure.ts'
import { createClient, SCHEMA } from './postgres-pool.ts'

/**
 * The server ends the session of a leader that it has not heard of for so long, whatever has happened to it (stopped, cut
 * off, its machine gone), and with the session the lock is free.
 */
const LEASE_MS = 4_000
/** How long a leader trusts what it has heard: less than the lease, so that it stops before another one begins. */
const TRUST_MS = 3_000
/** A question that is not answered by then has lost its connection. */
const ANSWER_LIMIT_MS = 2_000
/** Between two questions: of the leader, whether it still is; of the others, whether the lock is free. */
const PERIOD_MS = 500

const SESSION = `
  set idle_session_timeout = ${LEASE_MS};
  set idle_in_transaction_session_timeout = ${LEASE_MS};
  set statement_timeout = ${ANSWER_LIMIT_MS}`
/** The process on the server: a pooler between that changes it would break the lock's tie to this session. */
const STILL_THERE = 'select pg_backend_pid() as pid'
/**
 * A lock of a table that only a migration changes, which the mode lets pass. It takes the right to change the table, so a role that
 * may fill the outbox cannot keep the lead from everybody, as it could with an advisory lock. It lasts as long as the transaction,
 * which holds nothing else: no snapshot, and no row that vacuum would have to leave.
 */
const TAKE_LEAD =
  'begin isolation level read committed; ' +
  `lock table ${SCHEMA}.${DEFAULT_MIGRATION_TABLE} in share update exclusive mode nowait`
const LOCK_NOT_AVAILABLE = '55P03'

/** A connection, and the process on the server that serves it. */
interface Session {
  readonly client: pg.Client
  readonly pid: number
  holds: boolean
}

/**
 * One of the authorities on a PostgreSQL database, which has one chain, leads: the one whose session holds the lock. The session must
 * reach the server itself or a pooler in session mode. Needs the schema that `openPostgres` makes, and PostgreSQL 14
 * (idle_session_timeout).
 *
 * @param mayLead false while this authority could seal nothing (it is revoked): then it gives the lead back and asks for none
 */
export function createPostgresLeadership(
  url: string,
  logger: Logger,
  mayLead: () => boolean = () => true,
): SharedLeadership {
  const listeners = new Set<() => void>()
  let session: Session | undefined
  /** When the last question was asked that the server has answered with yes; performance.now(). */
  let provenAt = 0
  let term = 0
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let asking = Promise.resolve()
  let trouble: string | undefined = 'the database was not asked yet who leads'

  const leads = (): boolean => session?.holds === true && performance.now() - provenAt < TRUST_MS

  function tell(): void {
    for (const listener of listeners) listener()
  }

  /** Also where the connection breaks by itself. */
  function drop(lost: Session): void {
    if (session !== lost) return
    session = undefined
    trouble = 'the session that led, or asked to, has ended'
    if (lost.holds) tell()
  }

  async function connect(): Promise<Session> {
    const client = createClient(url, { application_name: 'solar-node leadership' })
    let opened: Session | undefined
    // Without a listener the process would end; a question under way fails too.
    client.on('error', () => undefined)
    client.on('end', () => opened !== undefined && drop(opened))
    try {
      await client.connect()
      await withinLimit(client, () => client.query(SESSION))
      const pid = await processOf(client)
      opened = { client, pid, holds: false }
      return opened
    } catch (error) {
      void client.end().catch(() => undefined)
      throw error
    }
  }

  async function question(): Promise<void> {
    const current = (session ??= await connect())
    const askedAt = performance.now()
    try {
      const { client, holds } = current
      const wanted = mayLead()
      if (holds && !wanted) {
        drop(current)
        await client.end()
        return
      }
      const isTaken = holds || (wanted && (await takeLead(client)))
      if ((await processOf(client)) !== current.pid) {
        throw new Error(
          'the server process changes between queries: connect to PostgreSQL without a transaction pooler',
        )
      }
      if (session !== current || !isTaken) return
      const didLead = leads()
      provenAt = askedAt
      if (!holds) term++
      current.holds = true
      if (!didLead) tell()
    } catch (error) {
      drop(current)
      void current.client.end().catch(() => undefined)
      throw error
    }
  }

  async function questionSafely(): Promise<void> {
    if (stopped) return
    try {
      await question()
      if (session !== undefined) trouble = undefined
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (trouble !== message) logger.warn({ error }, `cannot ask who leads: ${message}`)
      trouble = message
    }
  }

  function askNow(): Promise<void> {
    clearTimeout(timer)
    asking = asking.then(questionSafely).then(() => {
      clearTimeout(timer)
      if (!stopped) timer = setTimeout(() => void askNow(), PERIOD_MS)
    })
    return asking
  }

  return {
    leads,
    trouble: () => trouble,
    get term() {
      return term
    },
    async confirm() {
      await askNow()
      return leads()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    start: askNow,
    async stop() {
      stopped = true
      clearTimeout(timer)
      await asking
      const last = session
      if (last === undefined) return
      drop(last)
      await last.client.end()
    },
  }
}

async function processOf(client: pg.Client): Promise<number> {
  const { rows } = await withinLimit(client, () => client.query<{ readonly pid: number }>(STILL_THERE))
  const [answer] = rows
  if (answer === undefined) throw new Error('the server gives no answer')
  return answer.pid
}

/** Whether the lead was free; it is taken then. */
async function takeLead(client: pg.Client): Promise<boolean> {
  try {
    await withinLimit(client, () => client.query(TAKE_LEAD))
    return true
  } catch (error) {
    if (!driverCodes(error).includes(LOCK_NOT_AVAILABLE)) throw error
    await withinLimit(client, () => client.query('rollback'))
    return false
  }
}

async function withinLimit<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => void client.end().catch(() => undefined), ANSWER_LIMIT_MS)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
  }
}
