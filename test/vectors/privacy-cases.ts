import { recipientOf } from '../../src/payload/recipient.ts'
import { bytesToHex } from '../../src/protocol/bytes.ts'
import { isPseudonym, pseudonymCheck, pseudonymOf } from '../../src/protocol/pseudonym.ts'
import type { VectorFile } from './case.ts'
import { CHAIN_ID } from './chain-cases.ts'
import { KEY_NAMES, testKey, testSecret } from './keys.ts'

const SECRETS = ['pseudonyms', 'other pseudonyms'] as const
const USERS = ['household-7', 'household-77', 'Household-7', 'u', 'x'.repeat(64), 'u-0'] as const
const OTHER_CHAIN = '0'.repeat(64)

/** Users, and what they are called on the chain. */
export function pseudonymCases(): VectorFile {
  const cases = SECRETS.flatMap((name) => {
    const secret = testSecret(name)
    return [CHAIN_ID, OTHER_CHAIN].flatMap((chain_id) =>
      USERS.map((user_id) => {
        const pseudonym = pseudonymOf(secret, chain_id, user_id)
        if (!isPseudonym(pseudonym)) throw new Error(`${pseudonym} is not written like a pseudonym`)
        const check = pseudonymCheck(secret, chain_id)
        return { name: `${user_id} with ${name}`, secret: bytesToHex(secret), chain_id, user_id, pseudonym, check }
      }),
    )
  })
  return {
    about:
      'pseudonym = "u-" + the first 32 hex digits of HMAC-SHA256(secret, "solar-node/v1/pseudonym\\n" + chain_id + "\\n" + user_id); check = HMAC-SHA256(secret, "solar-node/v1/pseudonym-secret\\n" + chain_id + "\\n").',
    cases,
  }
}

/** Ed25519 keys as recipients of age. */
export function recipientCases(): VectorFile {
  return {
    about: 'recipient = bech32("age", u) with u = (1 + y) / (1 - y) mod 2^255 - 19 of the public key (RFC 7748, 4.1).',
    cases: KEY_NAMES.map((name) => {
      const { publicKey } = testKey(name)
      return { name, public_key: publicKey, recipient: recipientOf(publicKey) }
    }),
  }
}
