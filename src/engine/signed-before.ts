import { isSolarError } from '../protocol/errors.ts'
import type { SealedHeader } from '../protocol/header.ts'

/** The header that a signer shows as it refuses another one of its height, or of one below; `undefined` for any other error. */
export function signedBefore(error: unknown): SealedHeader | undefined {
  if (!isSolarError(error, 'already_signed')) return undefined
  return (error.fields as { readonly sealed?: SealedHeader }).sealed
}
