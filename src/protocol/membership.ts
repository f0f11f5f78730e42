import type { Hash, Hex } from './bytes.ts'
import { firstFailure, invalid, VALID, type Verdict } from './errors.ts'
import { MAX_FUTURE_MS, MAX_MEMBERSHIP_MS } from './limits.ts'
import { hash32, identifier, object, signatureHex, timestampMs, type TypeOf } from './shape.ts'
import { signObject, verifyObject, type SigningKey } from './signature.ts'
import { timeWords } from './time-words.ts'

/**
 * An authority's word on whose device a voter is (docs/protocol.md 9). It stays off the chain; a device shows it, with a
 * credential of its own, to nodes that do not know the platform's users.
 */
const fields = {
  chain_id: hash32,
  voter_id: identifier,
  user_id: identifier,
  issued_at: timestampMs,
  /** The first millisecond in which it does not count any more. */
  expires_at: timestampMs,
  /** The registered id of the authority that signs. */
  issuer: identifier,
}
export const membershipShape = object({ ...fields, signature: signatureHex })
export type Membership = TypeOf<typeof membershipShape>

/** Signs a certificate with its issuer's key. */
export async function signMembership(body: Omit<Membership, 'signature'>, key: SigningKey): Promise<Membership> {
  return { ...body, signature: await signObject('member', body.chain_id, body, key) }
}

/** A key by which certificates of an issuer count. */
export interface IssuerKey {
  readonly public_key: Hex
  /** When the issuer rotated away from it, Unix ms: what it signs from then on is not the issuer's. null: the present key. */
  readonly until: number | null
}

export type MembershipCode =
  'wrong_chain' | 'wrong_voter' | 'valid_for_too_long' | 'from_the_future' | 'expired' | 'bad_signature'

/**
 * Checks that a certificate is a) of this chain and voter, b) for at most 90 days, c) valid now, d) signed by its issuer.
 *
 * @param keys those of the issuer that count
 */
export function verifyMembership(
  membership: Membership,
  voter: { readonly chainId: Hash; readonly voterId: string },
  keys: readonly IssuerKey[],
  now: number,
): Verdict<MembershipCode> {
  const { signature, ...body } = membership
  const { chain_id, voter_id, issued_at, expires_at, issuer } = body
  const isSignedBy = ({ public_key, until }: IssuerKey): boolean =>
    (until === null || issued_at <= until) && verifyObject('member', chain_id, body, signature, public_key)
  return firstFailure<MembershipCode>(
    () => (chain_id === voter.chainId ? VALID : invalid('wrong_chain', `it is of chain ${chain_id}`)),
    () => (voter_id === voter.voterId ? VALID : invalid('wrong_voter', `it is that of ${voter_id}`)),
    () =>
      expires_at - issued_at <= MAX_MEMBERSHIP_MS
        ? VALID
        : invalid('valid_for_too_long', 'it is for more than 90 days'),
    () =>
      issued_at <= now + MAX_FUTURE_MS
        ? VALID
        : invalid('from_the_future', `it was issued at ${timeWords(issued_at)}, this clock says ${timeWords(now)}`),
    () => (now < expires_at ? VALID : invalid('expired', `it expired at ${timeWords(expires_at)}`)),
    () =>
      keys.some(isSignedBy)
        ? VALID
        : invalid('bad_signature', `it is not signed by a key of the authority ${issuer} that counts`),
  )
}
