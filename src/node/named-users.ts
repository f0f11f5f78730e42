import { configError } from '../config/errors.ts'
import type { ConfiguredKey } from '../config/types.ts'
import type { MarketStore } from '../ports/market-store.ts'

/**
 * Keeps in the database whose devices the voters of the genesis are, as the setting `voters` names their users: a later start may lack
 * the setting, and a device shall not become that of another user by that. Throws `config_conflict` for a voter of another user.
 */
export async function keepNamedUsers(
  store: Pick<MarketStore, 'users' | 'nameUsers'>,
  voters: readonly ConfiguredKey[],
): Promise<void> {
  const named = new Map(voters.flatMap(({ id, userId }) => (userId === undefined ? [] : [[id, userId] as const])))
  if (named.size === 0) return
  await store.nameUsers(named)
  const stored = await store.users()
  for (const [id, user] of named) {
    const known = stored.get(id)
    if (known === user) continue
    throw configError('config_conflict', {
      reason: `voters: ${id} is said to be a device of the user ${user}, but this ledger knows it as one of ${known}: a device of another user takes another id`,
    })
  }
}
