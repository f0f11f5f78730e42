import type { MarketStore } from '../ports/market-store.ts'
import { applySealed } from './apply-sealed.ts'
import type { Chain } from './chain.ts'
import type { OnProgress } from './progress.ts'
import { sealedPages } from './sealed-pages.ts'

export interface RebuildParts {
  /** Over a chain store that is empty. */
  readonly chain: Chain
  readonly store: MarketStore
  readonly onProgress: OnProgress
}

/**
 * Makes the chain anew from SQL: every block is checked by every rule, as if it had come from a stranger, before it is stored.
 * Throws `corrupt` at the first that is not right. Gives back how many transactions the blocks have.
 */
export async function rebuildChain({ chain, store, onProgress }: RebuildParts): Promise<number> {
  const total = ((await store.lastBlock())?.height ?? -1) + 1
  let transactions = 0
  for await (const page of sealedPages(store, 0)) {
    for (const block of page) {
      await applySealed(chain, block)
      transactions += block.tick.transactions.length
    }
    onProgress({ blocks: chain.size, transactions, total })
  }
  return transactions
}
