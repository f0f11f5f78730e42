import type { RawBuilder, Transaction } from 'kysely'
import type { Database, Schema } from './schema.ts'

export type WriteTransaction = Transaction<Schema>
export type SqlValue = string | number | bigint | null

/** Rows for one multi-row insert. */
export interface RowBatch {
  readonly table: keyof Schema
  /** Columns that have one value for all rows. */
  readonly shared: Readonly<Record<string, SqlValue>>
  /** The other columns, in the order of each row's values. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
}

/** What differs between the databases; everything else is one code and one schema. */
export interface SqlDialect {
  /** Column type of an automatic, ascending primary key. */
  readonly sequenceType: RawBuilder<unknown>
  /** Column type of text that sorts by bytes, whatever the locale. */
  readonly textType: RawBuilder<unknown>
  /** Runs `work` in one transaction beside which nobody else writes. Commits when it returns, else takes all back. */
  write<T>(db: Database, work: (trx: WriteTransaction) => Promise<T>): Promise<T>
  /** The hot path: inserts a tick's rows. */
  insertRows(trx: WriteTransaction, batch: RowBatch): Promise<void>
  /** Inserts the rows that no unique key refuses, and gives back these text columns of each that is new. */
  insertNew<Column extends string>(
    trx: WriteTransaction,
    batch: RowBatch,
    returning: readonly Column[],
  ): Promise<readonly Readonly<Record<Column, string>>[]>
  /** True if a driver error says that a unique key is taken. */
  isUniqueViolation(error: unknown): boolean
  /** True if the same can succeed when it is tried again. */
  isRetryable(error: unknown): boolean
  /** What was overwritten or deleted leaves the database's files, as far as it is the database that writes them. */
  erase(db: Database): Promise<void>
  /** What must happen before the last connection goes. */
  beforeClose(db: Database): Promise<void>
}
