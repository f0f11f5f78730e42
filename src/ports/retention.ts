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
