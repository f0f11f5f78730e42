import { isSolarError, type SolarError } from '../protocol/errors.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Vote } from '../protocol/vote.ts'

/** The header that a signer shows as it refuses another one of its height, or of one below; `undefined` for any other error. */
export function signedBefore(error: unknown): SealedHeader | undefined {
  if (!isSolarError(error, 'already_signed')) return undefined
  return (error.fields as { readonly sealed?: SealedHeader }).sealed
}

/** The ack that a signer shows as it refuses another one of its height, or one too far below; `undefined` for any other error. */
export function ackedBefore(error: unknown): Vote | undefined {
  if (!isSolarError(error, 'already_signed')) return undefined
  return (error.fields as { readonly acked?: Vote }).acked
}

/** True for what a signer says that answers and does not sign: whatever it is, asking again may help once it is mended. */
export const isSignersRefusal = (error: unknown): error is SolarError =>
  isSolarError(error, 'already_signed') || isSolarError(error, 'signer_refused')
