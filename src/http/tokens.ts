import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Hash } from '../protocol/bytes.ts'
import { timeWords } from '../protocol/time-words.ts'

/** Bearer tokens (docs/protocol.md 9): each has a name and a role, and opens the calls of its role until it expires. */

export const ACCESS_ROLES = ['operator', 'platform', 'auditor', 'validator', 'enroller', 'metrics'] as const
export type AccessRole = (typeof ACCESS_ROLES)[number]

/** What one token opens. The node keeps the token's hash alone. */
export interface TokenGrant {
  /** For people: it stands in the log beside what was done with the token. */
  readonly name: string
  readonly role: AccessRole
  /** SHA-256 of the token's text. */
  readonly hash: Hash
  /** Unix ms from which on it counts no more; null: until it is revoked. */
  readonly expires_at: number | null
  /** Of an enroller: it enrols devices of users whose id begins so. */
  readonly users?: string
  /** Of an enroller: so many enrolments within 24 hours. */
  readonly per_day?: number
}

/** The tokens of a node. They may change while it runs. */
export interface TokenBook {
  /** The grant of a token, expired or not; `undefined` for no token of this node. */
  find(token: string): Promise<TokenGrant | undefined>
}

/** What is kept of a token. */
export const hashToken = (token: string): Hash => createHash('sha256').update(token, 'utf8').digest('hex')

/** The grant of a token, compared in constant time with every one. */
export function grantOf(token: string, grants: readonly TokenGrant[]): TokenGrant | undefined {
  const presented = Buffer.from(hashToken(token), 'hex')
  const [found] = grants.filter(({ hash }) => timingSafeEqual(Buffer.from(hash, 'hex'), presented))
  return found
}

export const isExpired = ({ expires_at }: TokenGrant, now: number): boolean => expires_at !== null && now >= expires_at

/** The role that a token opens now; `undefined` for no token of this node, or one that has expired. */
export async function roleOfToken(token: string, tokens: TokenBook, now: number): Promise<AccessRole | undefined> {
  const grant = await tokens.find(token)
  return grant === undefined || isExpired(grant, now) ? undefined : grant.role
}

const BEARER = /^Bearer +([\x21-\x7e]{1,512}) *$/i

/** What the bearer token of a request opens. `trouble`: why a token of this node opens nothing, for people. */
export async function grantOfRequest(
  { headers }: FastifyRequest,
  tokens: TokenBook | undefined,
  now: number,
): Promise<{ readonly grant?: TokenGrant; readonly trouble?: string }> {
  const token = BEARER.exec(headers.authorization ?? '')?.[1]
  const grant = token === undefined ? undefined : await tokens?.find(token)
  if (grant === undefined) return {}
  const { name, expires_at } = grant
  return expires_at !== null && isExpired(grant, now)
    ? { trouble: `the token ${name} expired at ${timeWords(expires_at)}: solar-node tokens new makes another one` }
    : { grant }
}

/** Tokens of people and programs that may see the inside of the node, and are not counted by their address. */
export const isTrusted = (grant: TokenGrant | undefined): boolean =>
  grant !== undefined && grant.role !== 'enroller' && grant.role !== 'metrics'
