import Libsql from 'libsql'
import type { SqlValue } from './dialect.ts'

/** What a statement gave: its rows, or how many it changed. */
export interface StatementResult {
  readonly rows: readonly unknown[]
  readonly changes?: bigint
  readonly insertId?: bigint
}

/** A database that is open. Each call blocks the thread that makes it. */
export interface SqliteFile {
  execute(text: string, parameters: readonly SqlValue[]): StatementResult
  close(): void
}

/** Another process may hold the file for a moment (a backup); beyond this the caller is told to try again. */
const BUSY_TIMEOUT_MS = 5_000
/** Statements kept prepared: those of the store and its chunk sizes, with room for lists of other lengths. */
const MAX_STATEMENTS = 200

/** Opens a SQLite file, which is made if it is not there. Throws what the driver throws. */
export function openSqliteFile(path: string): SqliteFile {
  const database = new Libsql(path)
  database.defaultSafeIntegers(true)
  database.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`)
  database.pragma('journal_mode = WAL')
  // secure_delete: what is overwritten is zeroes in the file, not a free page with the old text.
  database.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON')
  const statements = new Map<string, Libsql.Statement>()

  function prepared(text: string): Libsql.Statement {
    const statement = statements.get(text) ?? database.prepare(text)
    statements.delete(text)
    statements.set(text, statement)
    const [oldest] = statements.keys()
    if (statements.size > MAX_STATEMENTS && oldest !== undefined) statements.delete(oldest)
    return statement
  }

  return {
    execute(text, parameters) {
      const statement = prepared(text)
      if (statement.reader) return { rows: statement.all(parameters) }
      const { changes, lastInsertRowid } = statement.run(parameters)
      return { rows: [], changes: BigInt(changes), insertId: BigInt(lastInsertRowid) }
    },
    close() {
      statements.clear()
      database.close()
    },
  }
}
