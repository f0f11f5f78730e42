import type { Hash } from '../protocol/bytes.ts'

/** Who the users of a pseudonymous ledger are. What a promise has returned is durable. */
export interface PseudonymStore {
  /**
   * What the platform's secret is known by here; `undefined` in the store of a plain ledger, and in a new
   * one.
   */
  pseudonymCheck(): Promise<Hash | undefined>
  /**
   * Makes this the store of a pseudonymous ledger, for ever. Gives the check that is there: another one if
   * it was so before.
   */
  bindPseudonyms(check: Hash): Promise<Hash>
  /** Remembers users by their pseudonyms; those that are known stay. */
  putPseudonyms(users: readonly NamedUser[]): Promise<void>
  /** Those of these pseudonyms that are known. */
  usersOfPseudonyms(pseudonyms: readonly string[]): Promise<readonly NamedUser[]>
  /** The pseudonym of a user that is known. */
  pseudonymOfUser(userId: string): Promise<string | undefined>
}

/** A user as the platform calls it, and as the chain does. */
export interface NamedUser {
  readonly user_id: string
  readonly pseudonym: string
}
