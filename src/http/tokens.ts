import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Hash } from '../protocol/bytes.ts'
import type { AccessRole, TokenBook, TokenGrant } from '../ports/tokens.ts'
import { timeWords } from '../protocol/time-words.ts'

/** Bearer tokens in requests: whose they are, and what they open. */

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
