import { ledgerError } from '../ports/errors.ts'
import { parseJson } from '../protocol/json.ts'
import { parseJsonInPieces } from '../protocol/json-pieces.ts'
import type { Pieces } from '../protocol/pieces.ts'
import type { Shape } from '../protocol/shape.ts'

/** What a store holds and cannot be right. `place` names the value so that an operator finds it. */
export function corrupt(place: string, expected: string, found: string): Error {
  return ledgerError('corrupt', { place, expected, found })
}

/** Checks a stored value. Throws `corrupt`. */
export function decodeValue<T>(place: string, value: unknown, shape: Shape<T>): T {
  try {
    return shape(value, 'value')
  } catch (cause) {
    throw misshapen(place, cause)
  }
}

function misshapen(place: string, cause: unknown): Error {
  const found = cause instanceof Error ? cause.message : String(cause)
  return ledgerError('corrupt', { place, expected: 'a value of the right shape', found }, cause)
}

const notJson = (place: string, text: string, cause: unknown): Error =>
  ledgerError('corrupt', { place, expected: 'JSON', found: `${text.length} characters that are not` }, cause)

/** `decodeText` of what may be large. */
export function* decodeTextInPieces<T>(
  place: string,
  text: string,
  shape: (value: unknown, path: string) => Pieces<T>,
): Pieces<T> {
  let value: unknown
  try {
    value = (yield* parseJsonInPieces(text)).value
  } catch (cause) {
    throw notJson(place, text, cause)
  }
  try {
    return yield* shape(value, 'value')
  } catch (cause) {
    throw misshapen(place, cause)
  }
}

/** Parses and checks stored JSON text. Throws `corrupt`. */
export function decodeText<T>(place: string, text: string, shape: Shape<T>): T {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    throw notJson(place, text, cause)
  }
  return decodeValue(place, value, shape)
}
