import pg from 'pg'
import { createClient } from './postgres-pool.ts'

const RECONNECT_MS = 1_000
/** A server that is silent does not hold up the node's stop: it ends the connection by itself. */
const GOODBYE_LIMIT_MS = 500

/**
 * Listens to a channel on a connection of its own, which is made again whenever it breaks. `wake` is called at each
 * notification, and each time it listens anew: what was told in between is lost. Behind a pooler that gives connections to
 * transactions it hears nothing, so nobody may rely on it alone. Gives what ends it.
 */
export function listenTo(url: string, channel: string, wake: () => void): () => Promise<void> {
  let stopped = false
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined

  function connect(): void {
    const next = createClient(url)
    client = next
    next.on('notification', wake)
    // What broke is told by `end`, or by `connect` below; without a listener the process would end.
    next.on('error', () => undefined)
    next.on('end', () => connectAgain(next))
    void open(next).catch(() => connectAgain(next))
  }

  async function open(next: pg.Client): Promise<void> {
    await next.connect()
    await next.query(`listen ${pg.escapeIdentifier(channel)}`)
    if (!stopped) wake()
  }

  /** Once for each connection, however it tells that it is no use any more. */
  function connectAgain(broken: pg.Client): void {
    if (client !== broken) return
    client = undefined
    broken.end().catch(() => undefined)
    if (!stopped) timer = setTimeout(connect, RECONNECT_MS)
  }

  connect()
  return async () => {
    stopped = true
    clearTimeout(timer)
    const last = client
    client = undefined
    let limit: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (limit = setTimeout(resolve, GOODBYE_LIMIT_MS)))
    await Promise.race([last?.end().catch(() => undefined), late])
    clearTimeout(limit)
  }
}
