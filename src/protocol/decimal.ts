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
  const fraction = withoutTrailingZeros((size % MICRO).toString().padStart(6, '0'))
  return `${sign}${size / MICRO}${fraction === '' ? '' : `.${fraction}`}`
}

/** Longer texts are refused before they are looked at; numeric(38, 18) and Python's 28 digits stay far below. */
const MAX_DECIMAL_CHARACTERS = 100
const DECIMAL = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,4}))?$/
const DECIMAL_EXPECTED = 'a decimal such as "0.75", with at most 12 digits before and 6 after the point'

/**
 * The one spelling of a quantity that another program spelled in its own way: "0.750000", "1.", ".5", "+1", "007", "1E-3",
 * "-0". The value must be exact in micro-units: nothing is rounded. Throws `malformed` with what is wrong and what to send.
 */
export function normalizeQuantity(value: string, path = 'quantity'): string {
  if (QUANTITY.test(value)) return value
  const micro = microOf(value, path)
  if (micro < 0n) refuse(path, 'a quantity that is not negative', value)
  return formatMicro(micro)
}

/** `normalizeQuantity` of a signed quantity; "-0.000" is "0". Throws `malformed`. */
export function normalizeDelta(value: string, path = 'delta'): string {
  return DELTA.test(value) ? value : formatMicro(microOf(value, path))
}

/** Micro-units of a decimal in any exact spelling. All work is bounded by the length of the text and the size of a quantity. */
function microOf(value: string, path: string): bigint {
  if (value.length > MAX_DECIMAL_CHARACTERS)
    refuse(path, `a decimal of at most ${MAX_DECIMAL_CHARACTERS} characters`, value)
  const [, sign, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(value) ?? []
  const digits = `${whole}${fraction}`
  if (sign === undefined || digits === '') refuse(path, expectedFor(value), value)
  const fromFirst = digits.replace(/^0+/, '')
  const significant = withoutTrailingZeros(fromFirst)
  if (significant === '') return 0n
  // The point stands behind this many of the significant digits, before the first of them if it is negative.
  const point = whole.length + Number(exponent) - (digits.length - fromFirst.length)
  if (point > 12) refuse(path, 'at most 12 digits before the point', value)
  if (significant.length - point > 6) refuse(path, 'at most 6 decimals: round it where it is calculated', value)
  const micro = BigInt(significant) * 10n ** BigInt(6 + point - significant.length)
  return sign === '-' ? -micro : micro
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length
  while (digits[end - 1] === '0') end--
  return digits.slice(0, end)
}

const expectedFor = (value: string): string =>
  value.includes(',') ? 'a decimal point and no thousands separator, such as "1.5"' : DECIMAL_EXPECTED

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

/**
 * For whoever reads that a total is wrong: the greatest number of decimals, fewer than `amountDecimals`, that it has been
 * rounded to; `undefined` if it is no rounded kwh x price.
 */
export function decimalsOfTotal(
  totalMicro: bigint,
  kwhMicro: bigint,
  priceMicro: bigint,
  amountDecimals: number,
): number | undefined {
  for (let decimals = amountDecimals - 1; decimals >= 0; decimals--) {
    const hasSoMany = totalMicro % 10n ** BigInt(6 - decimals) === 0n
    if (hasSoMany && isTotalOf(totalMicro, kwhMicro, priceMicro, decimals)) return decimals
  }
  return undefined
}

/** True if |total - kwh x price| <= 0.5 x 10^-amountDecimals, compared exactly (docs/protocol.md 3). */
export function isTotalOf(totalMicro: bigint, kwhMicro: bigint, priceMicro: bigint, amountDecimals: number): boolean {
  const difference = totalMicro * MICRO - kwhMicro * priceMicro
  const size = difference < 0n ? -difference : difference
  return size * 2n <= 10n ** BigInt(12 - amountDecimals)
}
