import type { Hash } from '../protocol/bytes.ts'

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
