import type { BlockRow, MarketStore } from '../ports/market-store.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import type { Finalizer } from './finalizer.ts'

export interface SharedFinalityParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly finalizer: Finalizer
  readonly events: EventHub
}

/**
 * Votes and finality as they are in SQL, where other authorities on it put theirs. Whoever has counted enough acks makes a
 * block final there, and all of them by the same rule, so it does not matter who is first.
 */
export interface SharedFinality {
  /** Tells of blocks of this chain that have become final in SQL, then counts the acks that are there. */
  refresh(): Promise<void>
}

const PAGE = 100

export function createSharedFinality({ chain, store, finalizer, events }: SharedFinalityParts): SharedFinality {
  function tell({ height, block_hash, finalized_at }: BlockRow): void {
    if (finalized_at === null || height <= finalizer.finalHeight) return
    finalizer.sealedFinal(height)
    events.emit({ type: 'final', header_hash: block_hash, height, finalized_at })
  }

  return {
    async refresh() {
      // SQL may have blocks that are not on this chain yet.
      const reached = Math.min(await store.finalHeight(), chain.size - 1)
      for (let from = finalizer.finalHeight + 1; from <= reached; from += PAGE) {
        for (const row of await store.blocks(from, Math.min(PAGE, reached + 1 - from))) tell(row)
      }
      if (finalizer.finalHeight < chain.size - 1) await finalizer.during(() => Promise.resolve())
    },
  }
}
