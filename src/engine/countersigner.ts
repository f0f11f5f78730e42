import { isSolarError } from '../protocol/errors.ts'
import { countersign, type RegistryTransaction } from '../protocol/registry-transaction.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Chain } from './chain.ts'

/** Where an authority finds its own key. */
export interface OwnKeyParts {
  readonly chain: Pick<Chain, 'registry' | 'chainId'>
  readonly minerId: string
  readonly keyOf: (publicKey: string) => Promise<SigningKey | undefined>
}

/** The key that the registry has for this authority now; `undefined` where it is revoked, or the key is not here. */
export async function presentKeyOf({ chain, minerId, keyOf }: OwnKeyParts): Promise<SigningKey | undefined> {
  const present = chain.registry.active(minerId, 'authority')
  return present && (await keyOf(present.public_key))
}

/**
 * Adds this authority's word to the recovery of a user, for whom the operator or the platform vouches: after a revocation it takes
 * one (docs/protocol.md 6). Always, needed or not: so the same recovery again is the same transaction. Authorities and
 * validators get none here, since a token is no key: their operator countersigns with the authority's key file.
 */
export async function countersignedByOwn(tx: RegistryTransaction, parts: OwnKeyParts): Promise<RegistryTransaction> {
  const { chain, minerId } = parts
  if (tx.action !== 'recover' || tx.countersigner_id !== undefined) return tx
  if (chain.registry.entry(tx.subject_id)?.role !== 'voter') return tx
  const key = await presentKeyOf(parts)
  if (key === undefined) return tx
  try {
    return await countersign(tx, minerId, chain.chainId, key)
  } catch (error) {
    // A signer leaves that to its operator; most recoveries need none, and the registry says which do.
    if (isSolarError(error, 'signer_refused')) return tx
    throw error
  }
}
