import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger, Ledger } from '../ports/ledger.ts'
import type { MarketStore } from '../ports/market-store.ts'
import { isSolarError } from '../protocol/errors.ts'
import { MAX_MEMBERSHIP_MS } from '../protocol/limits.ts'
import { signMembership } from '../protocol/membership.ts'
import { Registry } from '../protocol/registry.ts'
import { createCertifiedUsers } from './certified-users.ts'
import type { Chain } from './chain.ts'
import { presentKeyOf, type OwnKeyParts } from './countersigner.ts'

export interface PlatformUsersParts extends OwnKeyParts {
  readonly chain: Chain
  readonly store: Pick<MarketStore, 'users' | 'votersOf'>
  readonly clock: Clock
  /** voter id -> platform user, as it was read last. */
  readonly users: Map<string, string>
}

/**
 * Whose device a voter is, as the platform said when it was enrolled, or the operator of a voter of the genesis. Where the
 * database has lost that word a certificate says it. A voter of the genesis is its own user where nothing else says anything.
 */
export function platformUsers(
  parts: PlatformUsersParts,
): Pick<ChainLedger, 'userOf'> & Pick<Ledger, 'devicesOf' | 'membership'> {
  const { chain, store, clock, users, minerId } = parts
  const certifiedUserOf = createCertifiedUsers(chain, clock)
  const first = Registry.fromGenesis(chain.genesis)
  const isOfGenesis = (voterId: string): boolean => first.active(voterId, 'voter') !== undefined

  /** Another authority on the same database may have enrolled it. */
  async function saidUserOf(voterId: string): Promise<string | undefined> {
    const said = users.get(voterId) ?? (await store.users(voterId)).get(voterId)
    if (said !== undefined) users.set(voterId, said)
    return said
  }

  const userOf: ChainLedger['userOf'] = async (voterId, membership) => {
    const isVoter = chain.registry.entry(voterId)?.role === 'voter'
    const said = isVoter ? await saidUserOf(voterId) : undefined
    if (said !== undefined) return said
    try {
      return await certifiedUserOf(voterId, membership)
    } catch (error) {
      if (isOfGenesis(voterId) && isSolarError(error, 'no_membership')) return voterId
      throw error
    }
  }

  return {
    userOf,
    async devicesOf(userId) {
      const said = await store.votersOf(userId)
      // A voter of the genesis is its own user where nothing else is said.
      const isOwn = isOfGenesis(userId) && !said.includes(userId) && (await saidUserOf(userId)) === undefined
      const devices = [...said, ...(isOwn ? [userId] : [])].map((id) => chain.registry.active(id, 'voter'))
      return devices.filter((entry) => entry !== undefined).sort((a, b) => a.slot - b.slot)
    },
    async membership(voter_id, known) {
      const user_id = await userOf(voter_id, known)
      const key = await presentKeyOf(parts)
      if (key === undefined)
        throw ledgerError('not_ready', { reason: `this node has no key of the authority ${minerId}` })
      const issued_at = clock.now()
      const expires_at = issued_at + MAX_MEMBERSHIP_MS
      const body = { chain_id: chain.chainId, voter_id, user_id, issued_at, expires_at, issuer: minerId }
      return await signMembership(body, key)
    },
  }
}
