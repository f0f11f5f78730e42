/** How far work through the whole chain has come. */
export interface ChainProgress {
  readonly blocks: number
  readonly transactions: number
  /** Blocks that there are; null if that is not known before the end. */
  readonly total: number | null
}

export type OnProgress = (progress: ChainProgress) => void
