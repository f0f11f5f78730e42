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

const NUMBER = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/
/** Beyond the range of a double: such a text is a mistake, and 10^exponent must not fill the memory. */
const MAX_EXPONENT = 400
/** More digits than a double's exact value ever has. */
const MAX_LENGTH = 1_200
const EXPECTED = 'a decimal number'
const NO_THOUSANDS = `${EXPECTED} without thousands separators`

/** Reads "12", "0.35", "9.7529096e-08", any number of digits, not negative. Throws `malformed`. */
export function parseExactDecimal(text: string, path: string): ExactDecimal {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    text.length > MAX_LENGTH ? [] : (NUMBER.exec(text) ?? [])
  const digits = whole + fraction
  const power = Number(exponent)
  if (digits === '' || Math.abs(power) > MAX_EXPONENT) refuse(path, expectedFor(text), text)
  const coefficient = BigInt(digits)
  if (sign === '-' && coefficient !== 0n) refuse(path, 'a number of at least 0', text)
  return { coefficient, exponent: power - fraction.length }
}

function expectedFor(text: string): string {
  if (text === '') return `${EXPECTED} such as 0.35 (the cell is empty; 0 if nothing was metered)`
  // "1 234" as French, "1'234" as Swiss programs write it.
  if (/^[0-9]{1,3}[\s'’_][0-9]/.test(text)) return NO_THOUSANDS
  return /^[+-]?[0-9][0-9.,]*\s*[A-Za-z]/.test(text) ? `${EXPECTED} without a unit` : EXPECTED
}

/** Reads the numbers of one file, which has one decimal mark. Throws `malformed`. */
export interface DecimalReader {
  read(text: string, path: string): ExactDecimal
  /** What stands before the decimals; `undefined` while no number had any. */
  mark(): '.' | ',' | undefined
}

/**
 * A reader that finds out whether a file writes 0.5 or 0,5. The first number with a mark decides, and from then on the other
 * mark is refused: guessed anew for each number, "1.234" beside "0,5" would be a thousandth of what was meant.
 *
 * @param commaSeparates whether the commas of the file separate columns: then "1,234" may as well be a quoted thousand
 */
export function createDecimalReader(commaSeparates: boolean): DecimalReader {
  let mark: '.' | ',' | undefined
  function checkMark(found: '.' | ',', text: string, path: string): void {
    if (text.indexOf(found) !== text.lastIndexOf(found)) refuse(path, NO_THOUSANDS, text)
    if (mark === undefined && found === ',' && commaSeparates && /^[1-9][0-9]{0,2},[0-9]{3}$/.test(text)) {
      refuse(path, `${EXPECTED} with a point: with a comma this one may be in thousands`, text)
    }
    if (mark !== undefined && mark !== found) {
      refuse(path, `${EXPECTED} with the decimal mark "${mark}" of the numbers before it`, text)
    }
  }
  return {
    read(text, path) {
      const [comma, point] = [text.includes(','), text.includes('.')]
      if (!comma && !point) return parseExactDecimal(text, path)
      const found = comma ? ',' : '.'
      if (comma && point) refuse(path, NO_THOUSANDS, text)
      checkMark(found, text, path)
      const number = parseExactDecimal(comma ? text.replace(',', '.') : text, path)
      mark = found
      return number
    },
    mark: () => mark,
  }
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
