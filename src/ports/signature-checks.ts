import type { Hash, Hex } from '../protocol/bytes.ts'
import type { SignatureType } from '../protocol/signature.ts'

/** What `verifyObject` is asked, as an object. */
export interface SignatureClaim {
  readonly type: SignatureType
  readonly chainId: Hash
  readonly body: object
  readonly signature: Hex
  readonly publicKey: Hex
}

/** Checks signatures of strangers outside of the thread that seals and answers. */
export interface SignatureChecks {
  /**
   * Finds the verdict on a claim ahead of `verifyObject`, which then has it at hand. Never throws, and leaves to `verifyObject`
   * what it cannot find: whoever does without it is slower and decides the same.
   */
  settle(claim: SignatureClaim): Promise<void>
}

/** For browsers and tests: `verifyObject` checks by itself. */
export const CHECKED_IN_PLACE: SignatureChecks = { settle: () => Promise.resolve() }
