import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import { registryTransactionsOf } from '../protocol/block.ts'
import { isByAuthority } from '../protocol/registry-rules.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'
import type { Chain } from './chain.ts'

/** How many changes of the registry an authority seals within an hour: each makes a block that stays for ever. */
export interface ChangeLimits {
  readonly perHour: number
  /**
   * By the platform user whose keys they change, or by the registered id where no user is known. What an authority has
   * signed as well is not among them and is not held back by them: else a thief would use up the hour in which it could
   * revoke him.
   */
  readonly perUserPerHour: number
}

export interface ChangeLimiterParts {
  readonly chain: Pick<Chain, 'size' | 'headers' | 'blockAt' | 'registryHeights' | 'registry' | 'chainId'>
  readonly clock: Clock
  readonly limits: ChangeLimits
  readonly userOf: (registeredId: string) => string
}

/** Counts the changes on the chain: a restart, another authority or another way in forgets none. */
export interface ChangeLimiter {
  /**
   * Throws `too_many_changes` if one more is too many now.
   *
   * @param userId of an enrolment
   */
  check(transaction: RegistryTransaction, userId: string | undefined): Promise<void>
}

const HOUR_MS = 3_600_000
const CHANGES_AT_ONCE = 100

interface Counted {
  readonly at: number
  readonly of: string
  readonly isRescue: boolean
  readonly isOfAuthority: boolean
}

export function createChangeLimiter({ chain, clock, limits, userOf }: ChangeLimiterParts): ChangeLimiter {
  let counted: Counted[] = []
  /** By the keys that authorities have now: what one has signed with a key before, and this node sees late, is its user's. */
  const isOfAuthority = (tx: RegistryTransaction): boolean => isByAuthority(tx, chain.registry, chain.chainId)
  /** The first height that was not looked at; `undefined` before the first question. */
  let next: number | undefined

  /** The first height with a block of this time or later. Times of blocks never go back. */
  async function firstHeightSince(time: number): Promise<number> {
    let [low, high] = [0, chain.size]
    while (low < high) {
      const middle = (low + high) >>> 1
      const [stored] = await chain.headers(middle, 1)
      if ((stored?.header.timestamp ?? time) < time) low = middle + 1
      else high = middle
    }
    return low
  }

  async function count(now: number): Promise<void> {
    const since = now - HOUR_MS
    const isFirst = next === undefined
    next ??= await firstHeightSince(since)
    for (;;) {
      const heights = await chain.registryHeights(next, CHANGES_AT_ONCE)
      for (const height of heights) {
        const { header, transactions } = await chain.blockAt(height)
        for (const tx of registryTransactionsOf(transactions)) {
          // The time of a block is that of its transaction, which its signer has chosen: only after a start nobody knows better.
          const at = isFirst ? header.timestamp : now
          const of = userOf(tx.subject_id)
          counted.push({ at, of, isRescue: isRescue(tx), isOfAuthority: isOfAuthority(tx) })
        }
        next = height + 1
      }
      if (heights.length < CHANGES_AT_ONCE) break
    }
    counted = counted.filter(({ at }) => at >= since)
  }

  return {
    async check(transaction, userId) {
      const now = clock.now()
      await count(now)
      const same = counted.filter((one) => one.isRescue === isRescue(transaction))
      const user = userId ?? userOf(transaction.subject_id)
      const own = same.filter((one) => one.of === user && !one.isOfAuthority)
      refuseFull('the registry', same, limits.perHour, 'changes_per_hour', now)
      if (own.length >= limits.perUserPerHour && isOfAuthority(transaction)) return
      // Whose device it is, is not said: its signature has not been looked at.
      const whose = `the user of ${transaction.subject_id}`
      refuseFull(whose, own, limits.perUserPerHour, 'user_changes_per_hour', now)
    },
  }
}

/** What takes a key away from a thief is counted by itself: whatever the thief did with it, its owner can act. */
const isRescue = ({ action }: RegistryTransaction): boolean => action === 'recover' || action === 'revoke'

function refuseFull(whose: string, within: readonly Counted[], limit: number, setting: string, now: number): void {
  if (within.length < limit) return
  const oldest = within[within.length - limit]?.at ?? now
  const retry_after_s = Math.max(1, Math.ceil((oldest + HOUR_MS - now) / 1_000))
  throw ledgerError('too_many_changes', { whose, limit, setting, retry_after_s })
}
