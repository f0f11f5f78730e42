import { blockHeight, hash32, identifier, nullable, object, text, timestampMs, type TypeOf } from './shape.ts'

/** Why a body was removed, and nothing of what it said: printable ASCII, shown to people. */
export const redactionReason = text(/^[\x20-\x7e]{1,200}$/, '1 to 200 printable ASCII characters')

/** What is kept of a transaction whose body was removed (docs/protocol.md 3). */
export const redactionShape = object({
  tx_hash: hash32,
  /** null where the body had gone before its block came here; nobody here knows then who removed it, and when. */
  tx_id: nullable(identifier),
  height: blockHeight,
  redacted_by: nullable(identifier),
  /** Unix milliseconds. */
  redacted_at: nullable(timestampMs),
  reason: redactionReason,
})
export type Redaction = TypeOf<typeof redactionShape>

/** The record of a body that was not there when its block came. */
export const unknownRedaction = (tx_hash: string, height: number): Redaction => ({
  tx_hash,
  tx_id: null,
  height,
  redacted_by: null,
  redacted_at: null,
  reason: 'the block came without this body',
})

/** How the id begins that a transaction gets in SQL if its body had gone before its block came. */
export const UNKNOWN_ID = 'redacted:'
const UNKNOWN_ID_DIGITS = 48

export const unknownId = (tx_hash: string): string => UNKNOWN_ID + tx_hash.slice(0, UNKNOWN_ID_DIGITS)
