import type { Hash } from './bytes.ts'
import { REQUEST_VALIDITY_MS } from './limits.ts'
import { firstFailure, invalid, VALID, type Verdict } from './errors.ts'
import {
  identifier,
  literal,
  nonceHex,
  object,
  oneOf,
  refuse,
  signatureHex,
  text,
  timestampMs,
  type TypeOf,
} from './shape.ts'
import { signObject, verifyObject, type SigningKey } from './signature.ts'
import { timeWords } from './time-words.ts'

/**
 * A device signs what it asks for (docs/protocol.md 9), and whom it asks: what one node was shown is worth nothing to
 * another. Over HTTP it is in the `Authorization: Solar ...` header, over libp2p the `credential` of a request.
 */
const common = {
  /** HTTP: path with query. libp2p: the request's name and its canonical parameters. */
  path: text(/^[\x21-\x7e]{1,2000}$/, 'a path of printable ASCII'),
  timestamp: timestampMs,
  /** 128 random bits: a request is accepted once. */
  id: nonceHex,
}
const proof = { voter_id: identifier, signature: signatureHex }
/** Of an HTTP node, as WHATWG URLs write it: lower case, no port that goes without saying, nothing behind. */
export const originText = text(/^https?:\/\/[a-z0-9.:_[\]-]{1,255}$/, 'an origin such as https://ledger.example.org')
const peerId = text(/^[A-Za-z0-9._-]{1,128}$/, 'a peer id')

/** For one origin (scheme://host[:port], as in WHATWG URL), whatever connection it comes by. */
const httpCredentialShape = object({
  method: oneOf('GET', 'DELETE'),
  ...common,
  to: originText,
  ...proof,
})
/** For a connection between two peers, by their libp2p ids: from who asks, to who answers. */
export const peerCredentialShape = object({ method: literal('P2P'), ...common, from: peerId, to: peerId, ...proof })

export type HttpCredential = TypeOf<typeof httpCredentialShape>
export type PeerCredential = TypeOf<typeof peerCredentialShape>
export type Credential = HttpCredential | PeerCredential
/** What is signed of a credential. */
export type HttpRequest = Omit<HttpCredential, keyof typeof proof>
export type PeerRequest = Omit<PeerCredential, keyof typeof proof>

/** Signs a request of `voterId`. */
export async function signRequest<R extends HttpRequest | PeerRequest>(
  voterId: string,
  chainId: Hash,
  request: R,
  key: SigningKey,
): Promise<R & Pick<Credential, keyof typeof proof>> {
  return { ...request, voter_id: voterId, signature: await signObject('request', chainId, request, key) }
}

const SCHEME = 'Solar '
/** The parameters of the header, in the order in which they are written. */
const PARAMETERS = ['voter_id', 'to', 'timestamp', 'id', 'signature'] as const

/** The value of the HTTP header: the scheme `Solar` with quoted parameters (RFC 9110, 11.4). */
export function formatAuthorization(credential: HttpCredential): string {
  return SCHEME + PARAMETERS.map((name) => `${name}="${credential[name]}"`).join(', ')
}

/** Reads the HTTP header; its parameters come in any order. Throws `malformed`. */
export function parseAuthorization(value: string, method: string, path: string): HttpCredential {
  // The value is not echoed: under another scheme it may be a token.
  if (!value.startsWith(SCHEME)) refuse('authorization', 'the scheme Solar', undefined)
  const given = value
    .slice(SCHEME.length)
    .split(',')
    .map((part) => /^ *([a-z_]{1,20})="([^"\\]{1,300})" *$/.exec(part) ?? [])
  const parameters = new Map(given.map(([, name = '', text = '']) => [name, text]))
  const isWhole = given.length === PARAMETERS.length && PARAMETERS.every((name) => parameters.has(name))
  if (!isWhole) refuse('authorization', `${PARAMETERS.map((name) => `${name}="..."`).join(', ')}, once each`, undefined)
  const { timestamp = '', ...rest } = Object.fromEntries(parameters)
  const isWritten = /^(0|[1-9][0-9]{0,15})$/.test(timestamp)
  return httpCredentialShape(
    { method, path, ...rest, timestamp: isWritten ? Number(timestamp) : timestamp },
    'authorization',
  )
}

/** The request that a credential came with: what it must be for. */
export interface ReceivedRequest {
  readonly method: Credential['method']
  readonly path: string
  /** The peer whose connection it came by; absent over HTTP. */
  readonly from?: string
  /** What the node that was asked is called: its peer id, or its origins. */
  readonly to: readonly string[]
}

export type CredentialCode = 'wrong_request' | 'wrong_audience' | 'stale_request' | 'bad_signature'

/**
 * Checks that a credential is a) for this request, b) for this node and of the peer that asks, c) of now, d) signed with
 * this key; that its id was not used before is the server's to remember for REQUEST_VALIDITY_MS.
 */
export function verifyCredential(
  credential: Credential,
  received: ReceivedRequest,
  chainId: Hash,
  publicKey: string,
  now: number,
): Verdict<CredentialCode> {
  const { voter_id, signature, ...request } = credential
  return firstFailure<CredentialCode>(
    () => verifyRequest(request, received),
    () => verifyAudience(request, received),
    () =>
      Math.abs(now - request.timestamp) <= REQUEST_VALIDITY_MS
        ? VALID
        : invalid('stale_request', `signed at ${timeWords(request.timestamp)}, this clock says ${timeWords(now)}`),
    () =>
      verifyObject('request', chainId, request, signature, publicKey)
        ? VALID
        : invalid('bad_signature', `the signature is not that of ${voter_id}`),
  )
}

function verifyRequest(
  { method, path }: HttpRequest | PeerRequest,
  received: ReceivedRequest,
): Verdict<CredentialCode> {
  if (method === received.method && path === received.path) return VALID
  const asked = `${received.method} ${received.path}`
  return invalid('wrong_request', `the credential is for ${method} ${path}, not for ${asked}`)
}

function verifyAudience(request: HttpRequest | PeerRequest, received: ReceivedRequest): Verdict<CredentialCode> {
  if (!received.to.includes(request.to)) {
    return invalid('wrong_audience', `the credential is for ${request.to}, this node is ${received.to.join(', ')}`)
  }
  const from = 'from' in request ? request.from : undefined
  if (from === received.from) return VALID
  const words = `the credential is of the peer ${from ?? 'of no connection'}, the one that asks is ${received.from ?? 'none'}`
  return invalid('wrong_audience', words)
}
