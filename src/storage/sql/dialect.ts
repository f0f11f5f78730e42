import type { Kysely, RawBuilder, Transaction } from 'kysely'
import type { Database, Schema } from './schema.ts'

export type WriteTransaction = Transaction<Schema>
export type SqlValue = string | number | bigint | null

/** Rows for one multi-row insert. */
export interface RowBatch {
  readonly table: keyof Schema
  /** Columns of text that have one value for all rows. */
  readonly shared: Readonly<Record<string, string>>
  /** The other columns, in the order of each row's values. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
}

/** What differs between the databases; everything else is one code and one schema. */
export interface SqlDialect {
  /** The schema in which the tables are, where the database has such; connections look nowhere else. */
  readonly migrationSchema?: string
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
  /** The price of an order in micro-units, exactly, as BIGINT. */
  readonly priceMicro: RawBuilder<bigint>
  /** The bytes of a column of text that others wrote: nobody knows whether they are UTF-8. */
  bytesOf(column: string): RawBuilder<Uint8Array | ArrayBuffer>
  /** Part of a migration: whoever inserts into this table tells `channel`, once it has committed, if the database can do that. */
  notifyOfInserts(db: Kysely<unknown>, table: keyof Schema, channel: string): Promise<void>
  /** Calls `wake` when somebody has told `channel`, and when that may have been missed. Gives what ends it. */
  listen(channel: string, wake: () => void): () => Promise<void>
  /** What was overwritten or deleted leaves the database's files, as far as it is the database that writes them. */
  erase(db: Database): Promise<void>
  /** Unix milliseconds of the clock of the database; `undefined` where it is that of this process. */
  now(db: Database): Promise<number | undefined>
  /** What must happen before the last connection goes. */
  beforeClose(db: Database): Promise<void>
}
