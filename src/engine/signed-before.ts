import { isSolarError } from '../protocol/errors.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyWork, type Header, type SealedHeader } from '../protocol/header.ts'

/** The header that a signer shows as it refuses another one of its height, or of one below; `undefined` for any other error. */
export function signedBefore(error: unknown): SealedHeader | undefined {
  if (!isSolarError(error, 'already_signed')) return undefined
  return (error.fields as { readonly sealed?: SealedHeader }).sealed
}

/** True if two headers are of one block, but for the work that was found. A block is a pure function of its parent and its tick. */
export const isSameWork = (found: Header, wanted: Header, genesis: Genesis): boolean =>
  hashHeader({ ...found, nonce: wanted.nonce }) === hashHeader(wanted) && verifyWork(found, genesis).ok
