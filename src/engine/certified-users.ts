import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import { verifyMembership, type IssuerKey, type Membership } from '../protocol/membership.ts'
import type { Registry } from '../protocol/registry.ts'
import type { Chain } from './chain.ts'
import { issuerKeys } from './issuer-keys.ts'

/** Whose device a voter is, by the certificate that it shows alone. Throws `no_membership`. */
export type CertifiedUserOf = (voterId: string, membership: Membership | undefined) => Promise<string>

export function createCertifiedUsers(chain: Chain, clock: Clock): CertifiedUserOf {
  /** Keys change with the registry alone: of each issuer those as of the registry that was looked at last. */
  let looked: { readonly registry: Registry; readonly keys: Map<string, readonly IssuerKey[]> } | undefined

  async function keysOf(issuer: string, now: number): Promise<readonly IssuerKey[]> {
    const { registry } = chain
    // Who is no authority has no place among them: anybody names anybody.
    if (registry.active(issuer, 'authority') === undefined) return []
    if (looked?.registry !== registry) looked = { registry, keys: new Map() }
    const { keys } = looked
    const known = keys.get(issuer) ?? (await issuerKeys(chain, issuer, now))
    keys.set(issuer, known)
    return known
  }

  return async (voterId, membership) => {
    const refused = (reason: string) => ledgerError('no_membership', { voter_id: voterId, reason })
    if (chain.registry.entry(voterId)?.role !== 'voter') throw refused('it is no voter')
    if (membership === undefined) throw refused('it shows no membership certificate, which an authority issues')
    const now = clock.now()
    const keys = await keysOf(membership.issuer, now)
    const verdict = verifyMembership(membership, { chainId: chain.chainId, voterId }, keys, now)
    if (!verdict.ok) throw refused(`its membership certificate does not count, ${verdict.reason}`)
    return membership.user_id
  }
}
