import type { Clock } from '../ports/clock.ts'
import type { HighWater } from '../ports/high-water.ts'
import type { Logger } from '../ports/logger.ts'
import type { BlockRow, MarketStore } from '../ports/market-store.ts'
import type { Chain } from './chain.ts'
import { catchUpFromSql } from './level-catch-up.ts'
import type { PutBack } from './put-back.ts'
import type { SealGuard } from './seal-guard.ts'

export interface FollowerParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly putBack: PutBack
  readonly guard: SealGuard
  readonly highWater: HighWater
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Brings the chain store to the height of the source of record. Seals and speaks of nothing. Whoever calls does so one at a
 * time (the tick runner's lane).
 */
export interface Follower {
  /**
   * Brings the stores to one height: what SQL, an older backup, lacks is put back, what the chain store lacks is applied
   * from the fence. Gives what was applied, oldest first. Throws `corrupt` if the stores contradict each other.
   */
  align(): Promise<readonly BlockRow[]>
  /** Applies what another authority has fenced since the last call, and gives it, oldest first. Throws as `align`. */
  follow(): Promise<readonly BlockRow[]>
  /** The chain has grown: compares it with what was seen sealed, and makes its height durable beside the key. */
  grown(): Promise<void>
}

export function createFollower(parts: FollowerParts): Follower {
  const { chain, store, putBack, guard, highWater, clock, logger } = parts
  // After a failure only the stores know what happened.
  let uncertain = true

  const applyNew = (): Promise<readonly BlockRow[]> => catchUpFromSql({ chain, store, clock, logger })

  async function grown(): Promise<void> {
    await guard.reached()
    const { tip } = chain
    if (tip !== null) await highWater.raise({ height: tip.header.height, hash: tip.hash })
  }

  async function align(): Promise<readonly BlockRow[]> {
    uncertain = true
    await store.settleWrites()
    await chain.reload()
    await putBack.fromChainStore()
    const applied = await applyNew()
    await grown()
    uncertain = false
    return applied
  }

  return {
    grown,
    align,
    async follow() {
      if (uncertain) return await align()
      uncertain = true
      const applied = await applyNew()
      if (applied.length > 0) await grown()
      uncertain = false
      return applied
    },
  }
}
