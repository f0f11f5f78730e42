import { refuse, text, type Shape } from './shape.ts'

/**
 * Quantities (kWh, price, amount) are decimal strings on the wire and bigint micro-units in memory (docs/protocol.md 1).
 * There is one spelling of each value, so equal quantities are equal bytes.
 */
export const MICRO = 1_000_000n
/** 999999999999.999999, the greatest quantity there is a spelling for, in micro-units. */
export const MAX_QUANTITY_MICRO = 10n ** 18n - 1n

const QUANTITY = /^(0|[1-9][0-9]{0,11})(\.[0-9]{0,5}[1-9])?$/
const DELTA = /^(?!-0$)-?(0|[1-9][0-9]{0,11})(\.[0-9]{0,5}[1-9])?$/
const QUANTITY_EXPECTED = 'a decimal string with at most 12 digits before and 6 after the point, no trailing zero'
const DELTA_EXPECTED = `${QUANTITY_EXPECTED}, optionally negative`

/** Shape of a quantity: "0", "1.5", "0.000001". */
export const quantity: Shape<string> = text(QUANTITY, QUANTITY_EXPECTED)
/** Shape of a signed quantity: "-1.5", "0", never "-0". */
export const delta: Shape<string> = text(DELTA, DELTA_EXPECTED)

/** Decimal string to micro-units. Throws `malformed`. */
export function parseQuantity(value: string, path = 'quantity'): bigint {
  if (!QUANTITY.test(value)) refuse(path, QUANTITY_EXPECTED, value)
  return toMicro(value)
}

/** Signed decimal string to micro-units. Throws `malformed`. */
export function parseDelta(value: string, path = 'delta'): bigint {
  if (!DELTA.test(value)) refuse(path, DELTA_EXPECTED, value)
  return value.startsWith('-') ? -toMicro(value.slice(1)) : toMicro(value)
}

function toMicro(unsigned: string): bigint {
  const point = unsigned.indexOf('.')
  if (point === -1) return BigInt(unsigned) * MICRO
  return BigInt(unsigned.slice(0, point) + unsigned.slice(point + 1).padEnd(6, '0'))
}

/** Micro-units to the one decimal string of that value. Throws `malformed` if negative or of more than 12 digits. */
export function formatQuantity(micro: bigint, path = 'quantity'): string {
  const formatted = formatMicro(micro)
  if (!QUANTITY.test(formatted)) refuse(path, QUANTITY_EXPECTED, formatted)
  return formatted
}

/** Signed micro-units to the one decimal string of that value. Throws `malformed` beyond 12 digits. */
export function formatDelta(micro: bigint, path = 'delta'): string {
  const formatted = formatMicro(micro)
  if (!DELTA.test(formatted)) refuse(path, DELTA_EXPECTED, formatted)
  return formatted
}

/** Signed micro-units as a decimal string of any length: sums may have more digits than a quantity. */
export function formatMicro(micro: bigint): string {
  const sign = micro < 0n ? '-' : ''
  const size = micro < 0n ? -micro : micro
  const fraction = (size % MICRO).toString().padStart(6, '0').replace(/0+$/, '')
  return `${sign}${size / MICRO}${fraction === '' ? '' : `.${fraction}`}`
}

/** Integer division rounded half to even; `divisor` > 0. */
export function divideHalfEven(dividend: bigint, divisor: bigint): bigint {
  const negative = dividend < 0n
  const size = negative ? -dividend : dividend
  let result = size / divisor
  const twice = (size % divisor) * 2n
  if (twice > divisor || (twice === divisor && result % 2n === 1n)) result += 1n
  return negative ? -result : result
}

/**
 * kwh x price in micro-units, rounded half to even to `amountDecimals` (0..6) decimals: the total that the built-in
 * market writes.
 */
export function multiplyToAmount(kwhMicro: bigint, priceMicro: bigint, amountDecimals: number): bigint {
  const unit = 10n ** BigInt(12 - amountDecimals)
  return divideHalfEven(kwhMicro * priceMicro, unit) * 10n ** BigInt(6 - amountDecimals)
}

/** True if |total - kwh x price| <= 0.5 x 10^-amountDecimals, compared exactly (docs/protocol.md 3). */
export function isTotalOf(totalMicro: bigint, kwhMicro: bigint, priceMicro: bigint, amountDecimals: number): boolean {
  const difference = totalMicro * MICRO - kwhMicro * priceMicro
  const size = difference < 0n ? -difference : difference
  return size * 2n <= 10n ** BigInt(12 - amountDecimals)
}
