import type { Invariant } from '../violation.ts'

/** What the source is without a rule. */
export interface Patch {
  readonly file: string
  /** A text that the file has exactly once. */
  readonly from: string
  readonly to: string
}

/** One rule, and every place that upholds it. */
export interface Mutation {
  readonly rule: string
  readonly patches: readonly Patch[]
  /** At which it was found last time: tried before all others. */
  readonly seed?: number
  /** The test that notices it, where no seed leads there: what the adversary of the simulation does not forge. */
  readonly test?: string
  /** Not looked at: what the broken rule leads to tells more than that it is broken. */
  readonly without?: readonly Invariant[]
}
