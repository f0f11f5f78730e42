import { divideHalfEven } from '../protocol/decimal.ts'
import { refuse } from '../protocol/shape.ts'

/**
 * A decimal number as a meter or a spreadsheet writes it, held exactly: coefficient x 10^exponent. Going through a double
 * would round twice, and two programs would disagree about the last micro-kWh.
 */
export interface ExactDecimal {
  readonly coefficient: bigint
  readonly exponent: number
}

const NUMBER = /^(?<sign>[+-]?)(?<whole>[0-9]*)(?:\.(?<fraction>[0-9]*))?(?:[eE](?<exponent>[+-]?[0-9]+))?$/
/** Beyond the range of a double: such a text is a mistake, and 10^exponent must not fill the memory. */
const MAX_EXPONENT = 400

/** Reads "12", "0.35", "9.7529096e-08", any number of digits, not negative. Throws `malformed`. */
export function parseExactDecimal(text: string, path: string): ExactDecimal {
  const { sign = '', whole = '', fraction = '', exponent = '0' } = NUMBER.exec(text)?.groups ?? {}
  const digits = whole + fraction
  const power = Number(exponent)
  if (digits === '' || Math.abs(power) > MAX_EXPONENT) refuse(path, 'a decimal number', text)
  const coefficient = BigInt(digits)
  if (sign === '-' && coefficient !== 0n) refuse(path, 'a number of at least 0', text)
  return { coefficient, exponent: power - fraction.length }
}

/** a - b, exactly. */
export function subtractExact(a: ExactDecimal, b: ExactDecimal): ExactDecimal {
  const exponent = Math.min(a.exponent, b.exponent)
  const scaled = (value: ExactDecimal): bigint => value.coefficient * 10n ** BigInt(value.exponent - exponent)
  return { coefficient: scaled(a) - scaled(b), exponent }
}

/** In micro-units, rounded half to even once. */
export function toMicroHalfEven({ coefficient, exponent }: ExactDecimal): bigint {
  const power = exponent + 6
  return power >= 0 ? coefficient * 10n ** BigInt(power) : divideHalfEven(coefficient, 10n ** BigInt(-power))
}
