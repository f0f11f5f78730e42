import type { Invariant } from '../violation.ts'

/** What the source is without a rule. */
export interface Patch {
  readonly file: string
  /** A text that the file has exactly once. */
  readonly from: string
  readonly to: string
}

/** One rule, and every place that upholds it. */
interface Rule {
  readonly rule: string
  readonly patches: readonly Patch[]
}

/** A rule that the simulation misses: with some seed this is the first thing that is not as it must be. */
interface BySeed extends Rule {
  readonly breaks: Invariant
  /** At which it was found last time: tried before all others. */
  readonly seed?: number
}

/** A rule that a test misses, where no seed leads there: what the adversary of the simulation does not forge. */
interface ByTest extends Rule {
  readonly test: string
}

export type Mutation = BySeed | ByTest
