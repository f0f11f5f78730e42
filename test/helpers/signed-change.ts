import type { Hash } from '../../src/protocol/bytes.ts'
import {
  countersign,
  signRegistryTransaction,
  type PostedRegistryTransaction,
  type RegistryTransactionBody,
} from '../../src/protocol/registry-transaction.ts'
import type { SigningKey } from '../../src/protocol/signature.ts'

/** Signs a change as `signRegistryTransaction`; the enrolment of an authority or a validator also with an authority's key. */
export function signedChange(
  body: RegistryTransactionBody,
  chainId: Hash,
  key: SigningKey,
  authority: { readonly id: string; readonly key: SigningKey },
): PostedRegistryTransaction {
  const posted = signRegistryTransaction(body, chainId, key)
  return posted.action === 'enrol' && posted.role !== 'voter'
    ? countersign(posted, authority.id, chainId, authority.key)
    : posted
}
