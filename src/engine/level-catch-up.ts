import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { BlockRow, MarketStore } from '../ports/market-store.ts'
import { count } from '../protocol/count-words.ts'
import { applySealed } from './apply-sealed.ts'
import type { Chain } from './chain.ts'
import { createPace } from './progress.ts'
import { sealedPages } from './sealed-pages.ts'

export interface CatchUpParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly clock: Clock
  readonly logger: Logger
}

/** So many blocks have a line each; more are a LevelDB that was lost or is older, and have a line now and then. */
const FEW = 20

/** Takes what SQL has above the chain onto it, as it is stored, and gives its rows, oldest first. Throws `corrupt`. */
export async function catchUpFromSql({ chain, store, clock, logger }: CatchUpParts): Promise<readonly BlockRow[]> {
  const applied: BlockRow[] = []
  const from = chain.size
  const startedAt = steadyNow(clock)
  const isDue = createPace(clock)
  let many: { readonly end: number } | undefined
  for await (const page of sealedPages(store, from)) {
    if (many === undefined && page.length > FEW) {
      many = { end: ((await store.lastBlock())?.height ?? 0) + 1 }
      const missing = many.end - from
      logger.warn(
        { from_height: from, missing },
        `LevelDB is behind SQL: ${count(missing, 'block')} ${missing === 1 ? 'is' : 'are'} applied from SQL`,
      )
    }
    for (const block of page) {
      await applySealed(chain, block)
      applied.push(block.row)
      const { height, block_hash: hash } = block.row
      if (many === undefined) logger.info({ height, hash }, `block ${height} applied from the fence`)
      else if (isDue()) {
        const per_second = Math.round(((chain.size - from) * 1_000) / Math.max(1, steadyNow(clock) - startedAt))
        logger.info({ height, per_second }, `LevelDB: ${chain.size} of ${many.end} blocks, ${per_second} blocks/s`)
      }
    }
  }
  if (many !== undefined) logger.info({ height: chain.size - 1 }, `LevelDB has block ${chain.size - 1} again, as SQL`)
  return applied
}
