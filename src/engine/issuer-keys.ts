import type { RegistryEntry } from '../protocol/registry.ts'
import { MAX_MEMBERSHIP_MS } from '../protocol/limits.ts'
import type { IssuerKey } from '../protocol/membership.ts'
import type { Chain } from './chain.ts'

/**
 * The keys by which certificates of an authority count at the tip, newest first: its present one, and those that it has
 * rotated away from within the life of a certificate. A recovery ends them: a key before it may be in anybody's hands.
 * None of who is no active authority.
 */
export async function issuerKeys(
  chain: Pick<Chain, 'registry' | 'registryBefore' | 'blockAt'>,
  issuer: string,
  now: number,
): Promise<readonly IssuerKey[]> {
  const present = chain.registry.active(issuer, 'authority')
  if (present === undefined) return []
  const keys: IssuerKey[] = [{ public_key: present.public_key, until: null }]
  for (let entry = present; ;) {
    const before = (await chain.registryBefore(entry.since_height)).entry(issuer)
    // The genesis brought it: every change of a key brings another.
    if (before === undefined || before.public_key === entry.public_key) return keys
    const rotated = await rotatedAway(chain, before, entry.since_height)
    if (rotated === undefined) return keys
    const { until, publicKeys } = rotated
    if (until + MAX_MEMBERSHIP_MS <= now) return keys
    keys.push(...publicKeys.map((public_key) => ({ public_key, until })))
    entry = before
  }
}

/** The keys that a block of rotations has replaced, newest first; `undefined` for another change. */
async function rotatedAway(
  chain: Pick<Chain, 'blockAt'>,
  before: RegistryEntry,
  height: number,
): Promise<{ readonly until: number; readonly publicKeys: readonly string[] } | undefined> {
  const { header, transactions } = await chain.blockAt(height)
  const publicKeys = [before.public_key]
  for (const tx of transactions) {
    if (tx.kind !== 'registry' || tx.subject_id !== before.id || tx.action === 'policy') continue
    if (tx.action !== 'rotate') return undefined
    publicKeys.unshift(tx.public_key)
  }
  return { until: header.timestamp, publicKeys: publicKeys.slice(1) }
}
