/** What users are promised. */
export const PROMISES = [
  'no two final blocks of a height',
  'no final block is lost',
  'no vote of an unknown or revoked key counts',
  'evidence of a double seal is found',
] as const
/** What must hold: the promises, and what they rest on. */
export const INVARIANTS = [
  ...PROMISES,
  'what is final has its votes',
  'every block is valid',
  'a height is sealed once',
  'what was answered stays',
  'what is final can be proven',
  'a receipt that is given out verifies',
  'acks follow the rules',
  'no honest node is accused',
  'no honest node is scored down',
  'what was removed is gone',
  'stores agree',
  'no node has a fault',
  'all agree in the end',
  'the branch with most acks is the chain',
  'what has its votes is final',
  'the chain moves on',
  'light nodes follow',
] as const
export type Invariant = (typeof INVARIANTS)[number]

/** Something that must never be the case. */
export class Violation extends Error {
  readonly invariant: Invariant

  constructor(invariant: Invariant, detail: string) {
    super(`${invariant}: ${detail}`)
    this.name = 'Violation'
    this.invariant = invariant
  }
}
