import type { Redaction } from '../protocol/redaction.ts'

/** Moves the bodies of old blocks out of a chain store, which reads them from where they are then. */
export interface BodyArchive {
  /** Number of blocks, from height 0 on, whose bodies were moved. */
  archivedSize(): number
  /**
   * Moves the bodies that follow those, as many as fill one file, if they are all below height `end`; `undefined` if they
   * fill none yet. They leave the store only once the file is on the disk and what was read back from it leads to the
   * Merkle roots of their headers. Throws `corrupt` if it does not, `store_failed`; nothing is moved then.
   */
  archive(end: number): Promise<ArchivedFile | undefined>
}

/** The bodies of [from, to) in one file. */
export interface ArchivedFile {
  readonly from: number
  readonly to: number
  readonly file: string
  /** On the disk, compressed. */
  readonly bytes: number
}

/** Removes bodies of transactions from a chain store, wherever it has them. */
export interface BodyRedaction {
  /**
   * Puts the hash in the place of each body and keeps the record; an id finds nothing any more. Durable, and gone from the
   * files, once it returns; broken off, it is finished by doing it again. What is redacted already stays so. Called without any
   * it finishes what was broken off before. Throws `corrupt` if a block does not have the transaction.
   */
  redact(redactions: readonly Redaction[]): Promise<void>
  /** The records of blocks from this height on, by height. */
  redactions(fromHeight: number): Promise<readonly Redaction[]>
  /**
   * The tick that the block of this height has sealed, also where no body is left that says so; `undefined` if nobody knows.
   * It looks through the ticks of all blocks.
   */
  tickAt(height: number): Promise<string | undefined>
}

export interface RedactionRequest {
  /** Of a trade; its corrections go with it. */
  readonly tx_id: string
  readonly redacted_by: string
  readonly reason: string
}

/** Removes bodies for good, and says what was removed. */
export interface Redactor {
  /**
   * Removes the body of a final trade and of its corrections. Asked again it finishes what was broken off, and gives the records
   * of the first time. Throws `unknown_transaction`; `refused_row` for what is not final yet, a correction alone, and a change of the registry.
   */
  redact(request: RedactionRequest): Promise<readonly Redaction[]>
  redactions(): Promise<readonly Redaction[]>
}
