import type { BodyRedaction } from '../ports/retention.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import type { BranchVotes, FinalityStore } from '../ports/finality-store.ts'
import type { MarketStore } from '../ports/market-store.ts'
import type { Redaction } from '../protocol/redaction.ts'
import { hashHeader } from '../protocol/header.ts'
import type { TestifiedBlock } from './audit-block.ts'
import { sealedPages } from './sealed-pages.ts'

/** A chain with its votes, from whoever keeps it: SQL on an authority, LevelDB on a validator. */
export interface ChainSource {
  /** Number of blocks. */
  size(): Promise<number>
  /** -1 before the first final block. */
  finalHeight(): Promise<number>
  /** Every block from height 0 on, some in memory at a time. Throws `corrupt` where one is damaged or missing. */
  blocks(): AsyncGenerator<TestifiedBlock>
}

/** The chain in the source of record of an authority. */
export const sqlSource = (store: MarketStore): ChainSource => ({
  size: async () => ((await store.lastBlock())?.height ?? -1) + 1,
  finalHeight: () => store.finalHeight(),
  async *blocks() {
    const all = byHeight(await store.redactions())
    for await (const page of sealedPages(store, 0)) {
      for (const { row, tick } of page) {
        const { sealed, block_hash, finalized_at, height } = row
        const { transactions } = tick
        const votes = await store.votesOf(block_hash)
        const redactions = all.get(height)
        yield { ...sealed, transactions, votes, finalized_at, ...(redactions && { redactions }) }
      }
    }
  },
})

/** What a validator keeps of its chain. */
export interface ReplicaParts {
  readonly chain: ChainStore & BodyRedaction
  readonly finality: Pick<FinalityStore, 'votesOf' | 'finalHeight'> & Pick<BranchVotes, 'acksBesideFrom'>
  readonly finalizedAt: (height: number) => Promise<number | null>
}

/** The chain in the LevelDB of a validator. */
export const replicaSource = ({ chain, finality, finalizedAt }: ReplicaParts): ChainSource => ({
  size: () => chain.size(),
  finalHeight: () => finality.finalHeight(),
  async *blocks() {
    const all = byHeight(await chain.redactions(0))
    const size = await chain.size()
    for (let height = 0; height < size; height++) {
      const block = await chain.block(height)
      if (block === undefined) return
      const { header, signature, transactions } = block
      const votes = await finality.votesOf(hashHeader(header))
      const finalized_at = await finalizedAt(height)
      const redactions = all.get(height)
      yield { header, signature, transactions, votes, finalized_at, ...(redactions && { redactions }) }
    }
  },
})

export function byHeight(redactions: readonly Redaction[]): ReadonlyMap<number, readonly Redaction[]> {
  const heights = new Map<number, Redaction[]>()
  for (const redaction of redactions) {
    const known = heights.get(redaction.height)
    if (known === undefined) heights.set(redaction.height, [redaction])
    else known.push(redaction)
  }
  return heights
}
