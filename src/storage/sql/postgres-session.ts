import pg from 'pg'
import { storeGuard } from '../failure.ts'
import { isRetryable } from './postgres.ts'
import { createClient, SESSION, withinLimit } from './postgres-pool.ts'

/**
 * A connection of its own, for what lives and ends with one: advisory locks and LISTEN. It is not made anew when it breaks:
 * whoever held a lock by it no longer does, and has to know.
 */
export interface PostgresSession {
  /** Rows of one statement, or of the last of several; bigint as BigInt. Throws `store_failed`. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<readonly Row[]>
  /** Calls `onNotify` for each NOTIFY of the channel that commits from now on. Throws `store_failed`. */
  listen(channel: string, onNotify: (payload: string) => void): Promise<void>
  /** Resolves, never rejects, once the connection is gone: closed, broken, or ended by a query beyond the limit. */
  readonly ended: Promise<void>
  /** Ends the connection, and all that it holds. */
  close(): Promise<void>
}

/**
 * Opens a session on the database of an `openPostgres`; names without a schema are of the ledger's. Throws `store_failed`.
 *
 * @param queryLimitMs a query that takes longer ends the session: a connection that the network has swallowed is noticed by
 * asking, within this time
 */
export async function openPostgresSession(url: string, queryLimitMs: number): Promise<PostgresSession> {
  const guard = storeGuard('sql', isRetryable)
  const client = await guard('open', () => Promise.resolve(createClient(url)))()
  // Without a listener the error of a connection that breaks between two queries would end the process.
  client.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => client.once('end', resolve))
  const close = guard('close', () => client.end())
  const ask = async <Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]> => {
    const answer = await withinLimit(client, queryLimitMs, () => client.query<Row>(text, values && [...values]))
    // Several statements give a list of results, which the types of pg do not tell.
    return [answer].flat().at(-1)?.rows ?? []
  }
  await guard('connect', async () => {
    await client.connect()
    await ask(SESSION)
  })().catch(async (error: unknown) => {
    await client.end()
    throw error
  })

  return {
    query: guard('query', ask) as PostgresSession['query'],
    listen: guard('listen', async (channel: string, onNotify: (payload: string) => void) => {
      client.on('notification', (message) => {
        if (message.channel === channel) onNotify(message.payload ?? '')
      })
      await ask(`listen ${client.escapeIdentifier(channel)}`)
    }),
    ended,
    close,
  }
}
