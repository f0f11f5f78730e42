import { ledgerError } from '../ports/errors.ts'
import { parseJson } from '../protocol/json.ts'
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
    const found = cause instanceof Error ? cause.message : String(cause)
    throw ledgerError('corrupt', { place, expected: 'a value of the right shape', found }, cause)
  }
}

/** Parses and checks stored JSON text. Throws `corrupt`. */
export function decodeText<T>(place: string, text: string, shape: Shape<T>): T {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    throw ledgerError('corrupt', { place, expected: 'JSON', found: `${text.length} characters that are not` }, cause)
  }
  return decodeValue(place, value, shape)
}
