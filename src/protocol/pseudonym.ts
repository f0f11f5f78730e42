import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes, type Hash } from './bytes.ts'

/**
 * Pseudonyms (docs/protocol.md 3): the ids under which the users of a pseudonymous ledger stand on the
 * chain. Nobody without the secret can tell whose one is, nor try out whose it may be; and the pseudonyms
 * of one user on two chains have nothing in common.
 */
export const PSEUDONYM_SECRET_BYTES = 32
const PSEUDONYM = /^u-[0-9a-f]{32}$/
const DIGITS = 32

/** Whether an identifier is written like a pseudonym. */
export const isPseudonym = (id: string): boolean => PSEUDONYM.test(id)

/**
 * `u-` and the first 128 bits of HMAC-SHA256(secret, "solar-node/v1/pseudonym\n" + chain_id + "\n" +
 * user_id), in hex.
 *
 * @param secret of the platform, 32 random bytes
 * @param userId the id that the platform has for its user
 */
export const pseudonymOf = (secret: Uint8Array, chainId: Hash, userId: string): string =>
  pseudonymsBy(secret, chainId)(userId)

/** `pseudonymOf` for many users: what they have in common is hashed once. */
export function pseudonymsBy(secret: Uint8Array, chainId: Hash): (userId: string) => string {
  const begun = keyed(secret, 'pseudonym', chainId)
  return (userId) => `u-${bytesToHex(begun.clone().update(utf8ToBytes(userId)).digest()).slice(0, DIGITS)}`
}

/**
 * What tells one secret from another without telling it: HMAC-SHA256 of the type `pseudonym-secret` over
 * nothing, 64 hex digits.
 */
export const pseudonymCheck = (secret: Uint8Array, chainId: Hash): Hash =>
  bytesToHex(keyed(secret, 'pseudonym-secret', chainId).digest())

/** An HMAC that has the domain, as it stands before what is signed. */
const keyed = (secret: Uint8Array, type: string, chainId: Hash) =>
  hmac.create(sha256, secret).update(utf8ToBytes(`solar-node/v1/${type}\n${chainId}\n`))

const SEPARATOR = /[.:\-_@+]/

/**
 * Whether an id of a device tells its user: it is the user's, or has it in it with nothing but separators
 * beside it.
 */
export function tellsUser(id: string, userId: string): boolean {
  if (isPseudonym(id)) return false
  for (let at = id.indexOf(userId); at >= 0; at = id.indexOf(userId, at + 1)) {
    const beside = [id.charAt(at - 1), id.charAt(at + userId.length)]
    if (beside.every((character) => character === '' || SEPARATOR.test(character))) return true
  }
  return false
}
