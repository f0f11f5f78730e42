import { delta, quantity } from './decimal.ts'
import { identifier, refuse, type Shape } from './shape.ts'

/**
 * What the outer edge (HTTP, CSV, SQL) may additionally spell, and the one form it is turned into (docs/protocol.md 1).
 * Inside, and on libp2p, only the strict shapes exist.
 */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** An identifier; integers become decimal strings and UUIDs lower-case. */
export const edgeIdentifier: Shape<string> = (value, path) => {
  if (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value)
  const name = identifier(value, path)
  return UUID.test(name) ? name.toLowerCase() : name
}

/**
 * From 2^33 on, doubles are more than 0.000001 apart: two quantities can be the same JSON number, and whoever reads it
 * cannot know which one was meant.
 */
const EXACT_NUMBER_LIMIT = 2 ** 33

const fromNumber =
  (shape: Shape<string>): Shape<string> =>
  (value, path) => {
    if (typeof value !== 'number') return shape(value, path)
    if (Object.is(value, -0)) refuse(path, 'a number that is not -0', value)
    // Below the limit String(), the shortest decimal that reads back as the same double, is the only quantity there.
    if (Math.abs(value) >= EXACT_NUMBER_LIMIT) refuse(path, `a string, or a number below ${EXACT_NUMBER_LIMIT}`, value)
    return shape(String(value), path)
  }

/** A quantity; a JSON number is taken if it converts exactly. */
export const edgeQuantity: Shape<string> = fromNumber(quantity)
/** A signed quantity; a JSON number is taken if it converts exactly. */
export const edgeDelta: Shape<string> = fromNumber(delta)
