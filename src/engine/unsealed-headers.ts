import type { SealedHeader } from '../protocol/header.ts'

/** Peers of which one is kept; the next takes the place of the oldest. */
const MAX_KEPT = 64

/**
 * The last header of each peer that no key known here has sealed. Anybody can make one up, so nobody is asked for it; but a
 * block that is on its way may bring the key.
 */
export interface UnsealedHeaders {
  add(sealed: SealedHeader, from: string): void
  /** Takes out those that a known key has sealed by now, and gives back the peers they came from. */
  takeSealed(isSealed: (sealed: SealedHeader) => Promise<boolean>): Promise<readonly string[]>
}

export function createUnsealedHeaders(): UnsealedHeaders {
  const kept = new Map<string, SealedHeader>()
  return {
    add(sealed, from) {
      kept.delete(from)
      kept.set(from, sealed)
      const [oldest] = kept.keys()
      if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest)
    },
    async takeSealed(isSealed) {
      const found: string[] = []
      for (const [from, sealed] of [...kept]) {
        if (!(await isSealed(sealed))) continue
        found.push(from)
        if (kept.get(from) === sealed) kept.delete(from)
      }
      return found
    },
  }
}
