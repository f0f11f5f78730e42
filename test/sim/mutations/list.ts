import { ACKS } from './acks.ts'
import { BODIES } from './bodies.ts'
import { EVIDENCE } from './evidence.ts'
import { FINALITY } from './finality.ts'
import type { Mutation } from './mutation.ts'
import { PROOFS } from './proofs.ts'
import { SEALING } from './sealing.ts'
import { SIGNERS } from './signer.ts'

/** Each rule that somebody's money rests on. */
export const MUTATIONS: readonly Mutation[] = [
  ...ACKS,
  ...FINALITY,
  ...EVIDENCE,
  ...PROOFS,
  ...SEALING,
  ...SIGNERS,
  ...BODIES,
]
