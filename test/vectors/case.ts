import { isSolarError } from '../../src/protocol/errors.ts'

/** A vector file: what it says, and its cases, each a JSON object. */
export interface VectorFile<Case extends object = object> {
  readonly about: string
  readonly cases: readonly Case[]
}

/** What code makes of a case: `ok`, and for a refusal the code of the error or of the verdict. */
export interface Outcome {
  readonly ok: boolean
  readonly error?: string
}

/** Runs a check that throws for malformed input and gives a verdict (or nothing) for the rest. */
export function outcomeOf(check: () => Outcome | { readonly ok: false; readonly code: string } | undefined): Outcome {
  try {
    const verdict = check()
    if (verdict === undefined || verdict.ok) return { ok: true }
    return { ok: false, error: 'code' in verdict ? verdict.code : (verdict.error ?? 'refused') }
  } catch (error) {
    if (isSolarError(error)) return { ok: false, error: error.code }
    throw error
  }
}

/** The same value after JSON has carried it: fresh objects, so that a case can be changed without touching another. */
export const copyOf = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T
