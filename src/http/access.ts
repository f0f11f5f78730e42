import type { FastifyRequest } from 'fastify'
import { parseCanonicalText } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { REQUEST_VALIDITY_MS } from '../protocol/limits.ts'
import { shown } from '../protocol/shown.ts'
import { membershipShape, type Membership } from '../protocol/membership.ts'
import { parseAuthorization, verifyCredential, type HttpCredential } from '../protocol/request.ts'
import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import { httpError } from './problem.ts'
import type { KeyLimit, SignatureLimit } from './rate-limits.ts'
import type { Clients } from './client-address.ts'
import type { OriginsOf } from './origins.ts'
import type { AccessRole, TokenGrant } from '../ports/tokens.ts'

/** Who may call (docs/protocol.md 9). A token has a role and may call only what its row says. */
export interface Access {
  readonly roles: readonly AccessRole[]
  /**
   * Who may call without a token: everybody, nobody, whoever signs what is in the body (the handler checks it), a device
   * that signs its request, or whoever is on this machine. `signer`: the key that signs the body is all that counts, whatever
   * else is sent, and some bodies take a token as well (the handler checks both).
   */
  readonly others: 'anyone' | 'nobody' | 'signed-body' | 'signed-request' | 'signer' | 'loopback'
  /** A platform user too, by a token that the platform's identity provider made. */
  readonly users?: true
}

export const ANYONE: Access = { roles: [], others: 'anyone' }
export const rolesOnly = (...roles: readonly AccessRole[]): Access => ({ roles, others: 'nobody' })

export type Caller =
  | { readonly kind: 'anyone' }
  | { readonly kind: 'role'; readonly role: AccessRole; readonly grant: TokenGrant }
  | { readonly kind: 'device'; readonly voterId: string; readonly userId: string }
  | { readonly kind: 'user'; readonly userId: string }

/** The platform user on whose behalf somebody calls: who has one sees what is of that user alone. */
export const userOfCaller = (caller: Caller): string | undefined => ('userId' in caller ? caller.userId : undefined)

/** The tokens of platform users. */
export interface PlatformUserTokens {
  /** The user that a token names. Throws `bad_credential`, `not_ready`. */
  userOf(token: string): Promise<string>
}

/** A JSON Web Token as it is sent (RFC 7519, RFC 7515): three parts in base64url. Headers have at most 16 KiB anyway. */
const USER_TOKEN = /^Bearer +([\w-]{1,4096}\.[\w-]{1,8192}\.[\w-]{1,2048}) *$/i

/** The `WWW-Authenticate` value of a call's 401 answers (RFC 9110, 11.6.1). */
export function challengeOf({ roles, others }: Access): string {
  const schemes = [
    ...(roles.length > 0 ? ['Bearer realm="solar-node"'] : []),
    ...(roles.length === 0 || others.startsWith('signed') ? ['Solar realm="solar-node"'] : []),
  ]
  return schemes.join(', ')
}

/** What the guard asks about devices. */
export interface DeviceRegistry extends Pick<ChainLedger, 'chainId' | 'activeEntry' | 'userOf' | 'rememberRequest'> {
  readonly originsOf: OriginsOf
}

export interface GuardParts {
  /** Absent on a light node, which knows no devices. */
  readonly devices?: DeviceRegistry
  readonly users?: PlatformUserTokens | undefined
  readonly keyLimit: KeyLimit
  readonly signatures: SignatureLimit
  readonly clients: Clients
  /** Whether a request asks for this node by a name of its own: see `createOwnNames`. */
  readonly isOwnName: (request: FastifyRequest) => boolean
  readonly clock: Clock
}

/**
 * Says who is calling. Throws `wrong_host`, `missing_credential`, `bad_credential`, `forbidden`, `unknown_voter`, `bad_signature`,
 * `wrong_audience`, `stale_request`, `no_membership`, `replayed_request` or `too_many_requests`.
 *
 * @param opened what the request's token opens, see `grantOfRequest`
 */
export async function authorize(
  request: FastifyRequest,
  access: Access,
  { grant, trouble }: { readonly grant?: TokenGrant | undefined; readonly trouble?: string | undefined },
  parts: GuardParts,
): Promise<Caller> {
  const asRole: Caller | undefined = grant && { kind: 'role', role: grant.role, grant }
  if (access.others === 'anyone') {
    if (asRole !== undefined || parts.isOwnName(request)) return { kind: 'anyone' }
    throw httpError('wrong_host', { host: shown(request.headers.host ?? '') })
  }
  if (access.others === 'signer') return asRole ?? { kind: 'anyone' }
  const { authorization } = request.headers
  if (authorization === undefined) {
    if (access.others === 'signed-body' || (access.others === 'loopback' && parts.clients.isLocal(request)))
      return { kind: 'anyone' }
    throw httpError('missing_credential', { accepted: challengeOf(access) })
  }
  if (asRole !== undefined) {
    if (access.roles.includes(asRole.role)) return asRole
    throw ledgerError('forbidden', { reason: `the role ${asRole.role} may not make this call` })
  }
  const userToken = USER_TOKEN.exec(authorization)?.[1]
  if (userToken !== undefined && parts.users !== undefined) {
    const caller = await authenticateUser(request, userToken, parts.users, parts)
    if (access.users === true) return caller
    throw ledgerError('forbidden', { reason: 'a platform user may not make this call' })
  }
  if (trouble !== undefined) throw httpError('bad_credential', { reason: trouble })
  if (parts.devices === undefined || !authorization.startsWith('Solar ')) {
    throw httpError('bad_credential', { reason: 'the Authorization header holds no credential known here' })
  }
  const device = await authenticateDevice(request, authorization, parts.devices, parts)
  if (access.others === 'signed-request') return device
  throw ledgerError('forbidden', { reason: 'a device may not make this call' })
}

async function authenticateUser(
  request: FastifyRequest,
  token: string,
  users: PlatformUserTokens,
  { keyLimit }: GuardParts,
): Promise<Caller> {
  const userId = await users.userOf(token)
  return await keyLimit.within(request, `user token ${userId}`, () => ({ kind: 'user', userId }))
}

/** The device that signed this request: the dear check after the cheap ones, the id is used up last. */
async function authenticateDevice(
  request: FastifyRequest,
  authorization: string,
  devices: DeviceRegistry,
  { keyLimit, signatures, clock }: GuardParts,
): Promise<Caller> {
  const credential = readCredential(request, authorization)
  const { voter_id: voterId, timestamp, id } = credential
  const entry = devices.activeEntry(voterId)
  if (entry === undefined) throw ledgerError('unknown_voter', { voter_id: voterId, reason: 'not registered as active' })
  const membership = membershipOf(request)
  const userId = await keyLimit.within(request, voterId, async () => {
    const { public_key } = entry
    await signatures.checked(request, () => checkCredential(request, credential, devices, public_key, clock.now()))
    const user = await devices.userOf(voterId, membership)
    // Valid up to and including timestamp + REQUEST_VALIDITY_MS, so it is remembered one millisecond longer.
    const fresh = await devices.rememberRequest(id, timestamp + REQUEST_VALIDITY_MS + 1)
    if (!fresh) throw httpError('replayed_request', { id })
    return user
  })
  return { kind: 'device', voterId, userId }
}

function checkCredential(
  request: FastifyRequest,
  credential: HttpCredential,
  { chainId, originsOf }: DeviceRegistry,
  publicKey: string,
  now: number,
): void {
  const { voter_id, timestamp, to } = credential
  const accepted = originsOf(request)
  const received = { method: credential.method, path: credential.path, to: accepted }
  const verdict = verifyCredential(credential, received, chainId, publicKey, now)
  if (verdict.ok) return
  if (verdict.code === 'wrong_audience') {
    const names = accepted.length === 0 ? 'behind a proxy, and has no public_urls' : accepted.join(', ')
    const reason = `the credential is for ${to}, this node is ${names}: its operator names in public_urls where else it is`
    throw httpError('wrong_audience', { reason, to, accepted })
  }
  if (verdict.code === 'stale_request') throw httpError('stale_request', { timestamp, now })
  throw ledgerError('bad_signature', { signer: voter_id })
}

/** The certificate of whose device asks, canonical JSON in a header of its own. Throws `bad_credential`. */
export function membershipOf({ headers }: FastifyRequest): Membership | undefined {
  const text = headers['solar-membership']
  if (text === undefined) return undefined
  try {
    return membershipShape(parseCanonicalText(String(text)), 'solar-membership')
  } catch (error) {
    if (!isSolarError(error)) throw error
    throw httpError('bad_credential', { reason: error.message }, error)
  }
}

/** The signature covers the path with its query exactly as it was sent. */
function readCredential({ raw, method }: FastifyRequest, authorization: string): HttpCredential {
  try {
    return parseAuthorization(authorization, method, raw.url ?? '')
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    throw httpError('bad_credential', { reason: error.message }, error)
  }
}
