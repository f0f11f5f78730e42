import Libsql from 'libsql'

const TABLES = ['orders', 'order_trades', 'ticks', 'transactions', 'blocks', 'votes'] as const
type Table = (typeof TABLES)[number]

/** Rows of each table, read from the file itself beside the running node. */
export function countRows(path: string): Record<Table, number> {
  return withDatabase(path, (database) => {
    const count = (table: Table): number =>
      (database.prepare(`select count(*) as n from ${table}`).get() as { n: number }).n
    return Object.fromEntries(TABLES.map((table) => [table, count(table)])) as Record<Table, number>
  })
}

/** All rows of a statement. */
export const queryRows = (path: string, sql: string): unknown[] =>
  withDatabase(path, (database) => database.prepare(sql).all())

/** Changes the file behind the node's back; gives the number of changed rows. */
export const changeRows = (path: string, sql: string, ...values: readonly (string | number)[]): number =>
  withDatabase(path, (database) => database.prepare(sql).run(...values).changes)

function withDatabase<T>(path: string, use: (database: Libsql.Database) => T): T {
  const database = new Libsql(path)
  try {
    return use(database)
  } finally {
    database.close()
  }
}
