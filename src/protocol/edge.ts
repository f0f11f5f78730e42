import { delta, normalizeDelta, normalizeQuantity, quantity } from './decimal.ts'
import { identifier, refuse, timestampMs, type Shape } from './shape.ts'

/**
 * What the outer edge (HTTP, CSV, SQL) may additionally spell, and the one form it is turned into (docs/protocol.md 1).
 * Inside, and on libp2p, only the strict shapes exist.
 */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** An identifier; integers become decimal strings and UUIDs lower-case. */
export const edgeIdentifier: Shape<string> = (value, path) => {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value)
    // JSON readers round what is longer: two ids may be the same number here.
    refuse(path, 'a string, or an integer below 2^53', value)
  }
  const name = identifier(value, path)
  return UUID.test(name) ? name.toLowerCase() : name
}

/**
 * From 2^33 on, doubles are more than 0.000001 apart: two quantities can be the same JSON number, and whoever reads it
 * cannot know which one was meant.
 */
const EXACT_NUMBER_LIMIT = 2 ** 33

/** The text of a quantity that came as text or as a JSON number; any other value is left for the shape to refuse. */
function textOfNumber(value: unknown, path: string): unknown {
  if (typeof value !== 'number') return value
  // Below the limit String(), the shortest decimal that reads back as the same double, is the only quantity there.
  if (Math.abs(value) >= EXACT_NUMBER_LIMIT) refuse(path, `a string, or a number below ${EXACT_NUMBER_LIMIT}`, value)
  return String(value)
}

const fromNumber =
  (shape: Shape<string>): Shape<string> =>
  (value, path) => {
    if (Object.is(value, -0)) refuse(path, 'a number that is not -0', value)
    return shape(textOfNumber(value, path), path)
  }

/** A quantity of something that is signed: in the one spelling, or a JSON number that converts exactly. */
export const edgeQuantity: Shape<string> = fromNumber(quantity)
/** A signed quantity of something that is signed; see `edgeQuantity`. */
export const edgeDelta: Shape<string> = fromNumber(delta)

const respelled =
  (normalize: (text: string, path: string) => string): Shape<string> =>
  (value, path) => {
    const text = textOfNumber(value, path)
    return typeof text === 'string' ? normalize(text, path) : refuse(path, 'a decimal string or a number', value)
  }

/** A quantity as other programs spell it, if it is exact; see `normalizeQuantity`. Not for what a client signs. */
export const anyQuantity: Shape<string> = respelled(normalizeQuantity)
/** A signed quantity as other programs spell it, if it is exact; see `normalizeDelta`. */
export const anyDelta: Shape<string> = respelled(normalizeDelta)

/** 2001-01-01T00:00Z. Before it in milliseconds lies every time up to 9999 in seconds, and nothing that was metered. */
export const EARLIEST_TIME_MS = 978_307_200_000
/** 2100-01-01T00:00Z: what is beyond in milliseconds and before in a smaller unit was meant in that. */
const LAST_LIKELY_MS = 4_102_444_800_000

const isLikely = (ms: number): boolean => ms >= EARLIEST_TIME_MS && ms < LAST_LIKELY_MS

/**
 * A time in Unix milliseconds, of a trade of any age. Throws `malformed` with the likely cause and what to send for seconds,
 * micro- and nanoseconds, fractions and dates. Chains know no such rule: one that has such a time stays valid.
 */
export const edgeTime: Shape<number> = (value, path) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) refuse(path, expectedTime(value), value)
  if (value < EARLIEST_TIME_MS || isOfSmallerUnit(value)) refuse(path, expectedTime(value), value)
  return value
}

/** An end of a range of times: any time in Unix milliseconds but what looks like another unit. Throws `malformed`. */
export const edgeTimeBound: Shape<number> = (value, path) => {
  const bound = timestampMs(value, path)
  return isLikely(bound * 1000) || isOfSmallerUnit(bound) ? refuse(path, expectedTime(value), value) : bound
}

const isOfSmallerUnit = (value: number): boolean => isLikely(value / 1_000) || isLikely(value / 1_000_000)

function expectedTime(value: unknown): string {
  if (typeof value === 'number') return expectedForNumber(value)
  if (typeof value !== 'string' || value.length > 40) return PLAIN_TIME
  if (/^[0-9.]+$/.test(value)) return isLikely(Number(value)) ? 'a number, not text' : expectedForNumber(Number(value))
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(value)) return PLAIN_TIME
  const ms = /(Z|[+-][0-9]{2}:?[0-9]{2})$/i.test(value) ? Date.parse(value.replace(' ', 'T')) : NaN
  return Number.isNaN(ms) ? `${PLAIN_TIME}, not text` : `Unix milliseconds, ${ms} for this time`
}

const PLAIN_TIME = 'Unix milliseconds such as 1760000000000'

function expectedForNumber(value: number): string {
  const units = [
    ['seconds', value * 1_000],
    ['microseconds', value / 1_000],
    ['nanoseconds', value / 1_000_000],
  ] as const
  const meant = units.find(([, ms]) => isLikely(ms))
  if (meant !== undefined) return `Unix milliseconds, this looks like ${meant[0]}: send ${Math.floor(meant[1])}`
  if (isLikely(value)) return `whole Unix milliseconds: send ${Math.floor(value)}`
  return `Unix milliseconds from ${EARLIEST_TIME_MS} (the year 2001) on`
}
