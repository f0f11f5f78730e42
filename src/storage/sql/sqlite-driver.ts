import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
} from 'kysely'
import type { SqlValue } from './dialect.ts'
import type { SqliteConnection } from './sqlite-connection.ts'

/** SQLite for Kysely over a connection that is open; Kysely closes it. */
export const kyselyOver = (connection: SqliteConnection): Dialect => ({
  createDriver: () => new SqliteDriver(connection),
  createAdapter: () => new TransactionalAdapter(),
  createQueryCompiler: () => new SqliteQueryCompiler(),
  createIntrospector: (db) => new SqliteIntrospector(db),
})

/** Schema changes are part of transactions in SQLite, so a migration is there as a whole or not at all. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

/** The connection goes to one transaction or statement at a time: nobody reads a transaction that is half done. */
class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection
  readonly #queries: DatabaseConnection
  /** Those who wait for the connection. */
  readonly #queue: (() => void)[] = []
  #isTaken = false

  constructor(connection: SqliteConnection) {
    this.#connection = connection
    this.#queries = { executeQuery: executor(connection), streamQuery }
  }

  async init(): Promise<void> {
    // The connection is open.
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#isTaken) await new Promise<void>((resolve) => this.#queue.push(resolve))
    this.#isTaken = true
    return this.#queries
  }

  releaseConnection(): Promise<void> {
    const next = this.#queue.shift()
    if (next === undefined) this.#isTaken = false
    else next()
    return Promise.resolve()
  }

  /** Takes the write lock: a transaction that reads first and writes then cannot fail half-way for the lock. */
  async beginTransaction(): Promise<void> {
    await this.#connection.execute('begin immediate', [])
  }

  async commitTransaction(): Promise<void> {
    await this.#connection.execute('commit', [])
  }

  /** SQLite itself has taken the transaction back where the disk is full or broken; the caller is told that, not this. */
  async rollbackTransaction(): Promise<void> {
    await this.#connection.execute('rollback', []).catch((error: unknown) => {
      if (!String(error).includes('no transaction is active')) throw error
    })
  }

  destroy(): Promise<void> {
    return this.#connection.close()
  }
}

function executor(connection: SqliteConnection): DatabaseConnection['executeQuery'] {
  return async <Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> => {
    const { rows, changes, insertId } = await connection.execute(sql, parameters as readonly SqlValue[])
    return {
      rows: rows as Row[],
      ...(changes !== undefined && { numAffectedRows: changes }),
      ...(insertId !== undefined && { insertId }),
    }
  }
}

const streamQuery: DatabaseConnection['streamQuery'] = () => {
  throw new Error('no statement is streamed')
}
