import { ledgerError } from '../ports/errors.ts'
import type { PlatformRow, PlatformTick } from '../ports/ledger.ts'
import type { NamedUser, PseudonymStore } from '../ports/pseudonym-store.ts'
import { inTurns } from '../ports/turns.ts'
import { WeighedCache } from '../ports/weighed-cache.ts'
import type { Hash } from '../protocol/bytes.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { isPseudonym, pseudonymsBy } from '../protocol/pseudonym.ts'

/**
 * From the ids of a platform to those on the chain of a pseudonymous ledger. What a platform or its user
 * calls a user is never taken for a pseudonym, or whoever chose that of another one for a name would be
 * that one: all here throw `refused_row` for it.
 */
export interface Pseudonyms {
  /** The pseudonym of a user, known or not. Writes nothing. */
  of(userId: string): string
  /** The same of who is about to be written of, and remembers whose it is. */
  take(userId: string): Promise<string>
  /** The tick as it goes onto the chain; its users are remembered. */
  takeTick(tick: PlatformTick): Promise<PlatformTick>
  /** Those of these pseudonyms whose users are known. */
  usersOf(pseudonyms: readonly string[]): Promise<readonly NamedUser[]>
  /** Whether this is the platform's id of a user who is known. */
  isUser(id: string): Promise<boolean>
}

/**
 * Users of whom both are held, the last that were asked for: a hash takes a hundredth of a millisecond, a
 * row some tenths.
 */
const HELD = 100_000

export function createPseudonyms(secret: Uint8Array, chainId: Hash, store: PseudonymStore): Pseudonyms {
  const make = pseudonymsBy(secret, chainId)
  const made = new WeighedCache<string, string>(HELD)
  /** Ids that the store has. */
  const stored = new WeighedCache<string, true>(HELD)

  function of(userId: string): string {
    const known = made.get(userId)
    if (known !== undefined) return known
    if (isPseudonym(userId)) {
      const reason = 'ids of this form are kept for pseudonyms: name users by the ids that they have on the platform'
      throw ledgerError('refused_row', { id: userId, reason })
    }
    const pseudonym = make(userId)
    made.put(userId, pseudonym, 1)
    return pseudonym
  }

  async function remember(userIds: readonly string[]): Promise<void> {
    const fresh = userIds.filter((id) => stored.get(id) === undefined)
    if (fresh.length === 0) return
    await store.putPseudonyms(fresh.map((user_id) => ({ user_id, pseudonym: of(user_id) })))
    for (const id of fresh) stored.put(id, true, 1)
  }

  const rowOf = (row: PlatformRow): PlatformRow =>
    row.kind === 'trade' ? { ...row, from_user_id: of(row.from_user_id), to_user_id: of(row.to_user_id) } : row

  return {
    of,
    async take(userId) {
      const pseudonym = of(userId)
      await remember([userId])
      return pseudonym
    },
    async takeTick(tick) {
      const transactions = await inTurns(mapInPieces(tick.transactions, rowOf))
      await remember([...new Set(tick.transactions.flatMap(partiesOf))])
      return { ...tick, transactions }
    },
    usersOf: (pseudonyms) => store.usersOfPseudonyms(pseudonyms),
    isUser: async (id) => (await store.pseudonymOfUser(id)) !== undefined,
  }
}

const partiesOf = (row: PlatformRow): readonly string[] =>
  row.kind === 'trade' ? [row.from_user_id, row.to_user_id] : []
