import type { Hex } from '../protocol/bytes.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import type { Chain } from './chain.ts'

/** Where a key votes last on a chain. */
export interface OwnPlace {
  readonly entry: RegistryEntry
  /** The newest block before which the key is active; the one after the tip while nothing has taken it away. */
  readonly height: number
}

/**
 * Where a key may still be asked for: it acks the block that takes it away as well, since the new key counts above
 * that alone. `undefined` for a key that was active nowhere above the last final block, or in none of the changes that
 * are in memory.
 */
export function ownPlace(
  chain: Pick<Chain, 'size' | 'recentRegistry' | 'recentChanges'>,
  publicKey: Hex,
  finalHeight: number,
): OwnPlace | undefined {
  for (const height of [chain.size, ...chain.recentChanges(finalHeight)]) {
    const entry = chain.recentRegistry(height)?.holder(publicKey)
    if (entry?.status === 'active') return { entry, height }
  }
  return undefined
}
