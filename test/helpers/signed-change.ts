import type { Hash } from '../../src/protocol/bytes.ts'
import type { PostedRegistryTransaction, RegistryTransactionBody } from '../../src/protocol/registry-transaction.ts'
import { countersign, signRegistryTransaction, type TestKey } from './sign-now.ts'

/** Signs a change as `signRegistryTransaction`; the enrolment of an authority or a validator also with an authority's key. */
export function signedChange(
  body: RegistryTransactionBody,
  chainId: Hash,
  key: TestKey,
  authority: { readonly id: string; readonly key: TestKey },
): PostedRegistryTransaction {
  const posted = signRegistryTransaction(body, chainId, key)
  return posted.action === 'enrol' && posted.role !== 'voter'
    ? countersign(posted, authority.id, chainId, authority.key)
    : posted
}
