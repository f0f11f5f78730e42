import { startThread } from '../../threads/start-thread.ts'
import type { SqlValue } from './dialect.ts'
import { openSqliteFile, type StatementResult } from './sqlite-file.ts'

/** One connection to a SQLite database. Calls are done in their order. */
export interface SqliteConnection {
  /** Rejects with the driver's error: its message, and its `code` (`SQLITE_BUSY`). */
  execute(text: string, parameters: readonly SqlValue[]): Promise<StatementResult>
  close(): Promise<void>
}

export type ThreadRequest =
  | { readonly kind: 'open'; readonly path: string }
  | { readonly kind: 'execute'; readonly text: string; readonly parameters: readonly SqlValue[] }
  /** The next rows of the statement before. */
  | { readonly kind: 'more' }
  | { readonly kind: 'close' }

export type ThreadReply =
  (StatementResult & { readonly hasMore?: true }) | { readonly failure: string; readonly code?: string }

/** A thread that has a database open, or waits for one. */
interface SqliteThread {
  readonly ask: (request: ThreadRequest) => Promise<StatementResult>
  readonly isGone: () => boolean
}

/** Threads without a database, to be used again. */
const idle: SqliteThread[] = []

/**
 * Opens a database in a thread of its own: while SQLite waits for the lock of another process or for the disk, this thread
 * goes on. Rejects with the driver's error.
 */
export async function connectInThread(path: string): Promise<SqliteConnection> {
  const thread = idle.pop() ?? startSqliteThread()
  const { ask } = thread
  const putBack = (): void => {
    if (!thread.isGone()) idle.push(thread)
  }
  try {
    await ask({ kind: 'open', path })
  } catch (error) {
    putBack()
    throw error
  }
  return {
    execute: (text, parameters) => ask({ kind: 'execute', text, parameters }),
    async close() {
      await ask({ kind: 'close' })
      putBack()
    },
  }
}

/** Opens a database in this thread: one in memory keeps nobody waiting. Rejects with the driver's error. */
export async function connectHere(path: string): Promise<SqliteConnection> {
  const file = await promised(() => openSqliteFile(path))
  return {
    execute: (text, parameters) => promised(() => file.execute(text, parameters)),
    close: () => promised(() => file.close()),
  }
}

/** Does it now; what it throws is what the promise rejects with. */
const promised = <T>(work: () => T): Promise<T> => new Promise((resolve) => resolve(work()))

interface Waiting {
  readonly request: ThreadRequest
  readonly rows: unknown[]
  readonly resolve: (result: StatementResult) => void
  readonly reject: (error: Error) => void
}

function startSqliteThread(): SqliteThread {
  const thread = startThread(new URL('./sqlite-thread.js', import.meta.url))
  const waiting: Waiting[] = []
  let gone: Error | undefined

  function take(reply: ThreadReply): void {
    const [first] = waiting
    if (first === undefined) return
    if ('failure' in reply) {
      first.reject(Object.assign(new Error(reply.failure), { code: reply.code }))
    } else {
      first.rows.push(...reply.rows)
      if (reply.hasMore === true) {
        // Only now: rows that come all at once would be taken all in one turn of the event loop.
        thread.postMessage({ kind: 'more' } satisfies ThreadRequest)
        return
      }
      first.resolve({ ...reply, rows: first.rows })
    }
    waiting.shift()
    const [next] = waiting
    if (next === undefined) thread.unref()
    else thread.postMessage(next.request)
  }

  function end(cause: unknown): void {
    gone ??= new Error('the thread of the database ended', { cause })
    for (const { reject } of waiting.splice(0)) reject(gone)
  }

  thread.on('message', take).once('error', end).once('exit', end)
  return {
    isGone: () => gone !== undefined,
    ask: (request) =>
      new Promise((resolve, reject) => {
        if (gone !== undefined) {
          reject(gone)
          return
        }
        thread.ref()
        // One at a time: what is asked for in between are more rows of the first.
        if (waiting.push({ request, rows: [], resolve, reject }) === 1) thread.postMessage(request)
      }),
  }
}
