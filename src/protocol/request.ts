import type { Hash } from './bytes.ts'
import { REQUEST_VALIDITY_MS } from './limits.ts'
import { invalid, VALID, type Verdict } from './errors.ts'
import { identifier, nonceHex, object, oneOf, refuse, signatureHex, text, timestampMs, type TypeOf } from './shape.ts'
import { signObject, verifyObject, type SigningKey } from './signature.ts'
import { timeWords } from './time-words.ts'

/**
 * A device signs what it asks for (docs/protocol.md 9): over HTTP in the `Authorization: Solar ...` header, over libp2p
 * as the `credential` of a request, with the method `P2P` and the protocol's name as path.
 */
const credentialFields = {
  method: oneOf('GET', 'DELETE', 'P2P'),
  /** HTTP: path with query. libp2p: the request's name and its canonical parameters. */
  path: text(/^[\x21-\x7e]{1,2000}$/, 'a path of printable ASCII'),
  timestamp: timestampMs,
  /** 128 random bits: a request is accepted once. */
  id: nonceHex,
}
export const credentialShape = object({ ...credentialFields, voter_id: identifier, signature: signatureHex })
export type Credential = TypeOf<typeof credentialShape>

/** Signs a request of `voterId`. */
export function signRequest(
  voterId: string,
  chainId: Hash,
  request: Pick<Credential, 'method' | 'path' | 'timestamp' | 'id'>,
  key: SigningKey,
): Credential {
  const { method, path, timestamp, id } = request
  const signature = signObject('request', chainId, { method, path, timestamp, id }, key)
  return { method, path, timestamp, id, voter_id: voterId, signature }
}

const SCHEME = 'Solar '

/** The value of the HTTP header: `Solar <voter_id>.<timestamp>.<id>.<signature>`. */
export function formatAuthorization(credential: Credential): string {
  return `${SCHEME}${credential.voter_id}.${credential.timestamp}.${credential.id}.${credential.signature}`
}

/** Reads the HTTP header, split from the right because ids may contain points. Throws `malformed`. */
export function parseAuthorization(value: string, method: string, path: string): Credential {
  // The value is not echoed: under another scheme it may be a token.
  if (!value.startsWith(SCHEME)) refuse('authorization', 'the scheme Solar', undefined)
  const parts = value.slice(SCHEME.length).split('.')
  const [timestamp, id, signature] = parts.slice(-3)
  const voter_id = parts.slice(0, -3).join('.')
  return credentialShape(
    {
      method,
      path,
      timestamp: /^(0|[1-9][0-9]{0,15})$/.test(timestamp ?? '') ? Number(timestamp) : timestamp,
      id,
      voter_id,
      signature,
    },
    'authorization',
  )
}

export type CredentialCode = 'stale_request' | 'bad_signature'

/** Checks time, then signature; that the id was not used before is the server's to remember for REQUEST_VALIDITY_MS. */
export function verifyCredential(
  credential: Credential,
  chainId: Hash,
  publicKey: string,
  now: number,
): Verdict<CredentialCode> {
  if (Math.abs(now - credential.timestamp) > REQUEST_VALIDITY_MS) {
    return invalid('stale_request', `signed at ${timeWords(credential.timestamp)}, this clock says ${timeWords(now)}`)
  }
  const { method, path, timestamp, id } = credential
  return verifyObject('request', chainId, { method, path, timestamp, id }, credential.signature, publicKey)
    ? VALID
    : invalid('bad_signature', `the signature is not that of ${credential.voter_id}`)
}
