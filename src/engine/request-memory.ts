import { REQUEST_VALIDITY_MS } from '../protocol/limits.ts'

/** How many ids are remembered at the most; the oldest go first. */
const MAX_REQUESTS = 100_000

/** True for the id of a signed request that is seen for the first time. */
export type IsFirst = (id: string, expiresAt: number) => boolean

/**
 * Accepts a signed request's id once. In memory: a request that is used again after a restart, within its minute, gets its
 * sender's own data a second time, over a connection that only who has stolen it could have opened.
 */
export function createRequestMemory(): IsFirst {
  const seen = new Map<string, number>()
  return (id, expiresAt) => {
    if (seen.has(id)) return false
    seen.set(id, expiresAt)
    for (const [oldest, until] of seen) {
      if (seen.size <= MAX_REQUESTS && until > expiresAt - 4 * REQUEST_VALIDITY_MS) break
      seen.delete(oldest)
    }
    return true
  }
}
