import { bytesToHex, utf8ToBytes } from '../../src/protocol/bytes.ts'
import { canonicalText, parseCanonicalBytes } from '../../src/protocol/canonical-json.ts'
import { formatQuantity, isTotalOf, multiplyToAmount, parseDelta, parseQuantity } from '../../src/protocol/decimal.ts'
import { edgeDelta, edgeIdentifier, edgeQuantity } from '../../src/protocol/edge.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { hexToBytes } from '../../src/protocol/bytes.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { VectorFile } from './case.ts'

/** The result, or null where the protocol refuses. */
export function orNull<T>(compute: () => T): T | null {
  try {
    return compute()
  } catch (error) {
    if (isSolarError(error)) return null
    throw error
  }
}

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

const ENCODE_INPUTS: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-1',
  '9007199254740991',
  '-9007199254740991',
  '""',
  '"plain"',
  '"quote \\" backslash \\\\ slash \\/ solidus /"',
  '"\\u0041\\u007e\\u0020"',
  '"<script>&\'`"',
  '[]',
  '{}',
  '[1,"a",null,true,[],{}]',
  '{"b":1,"a":2}',
  '{ "b" : [ 1 , 2 ] , "a" : { "d" : 4 , "c" : 3 } }',
  '{"10":1,"9":2,"1":3,"":4}',
  '{"aa":1,"a":2,"A":3,"_":4,"~":5," ":6}',
  '{"__proto__":1,"constructor":2}',
  nested(33),
  nested(34),
  `{"a":${nested(32)}}`,
  '9007199254740992',
  '-9007199254740992',
  '1.5',
  '0.1',
  '1e-7',
  '1e21',
  '"\\u007f"',
  '"\\u001f"',
  '"\\n"',
  '"\\u00e9"',
  '"\u00e9"',
  '"\\ud83d\\ude02"',
  '"\\ud800"',
  '{"\\u00e9":1}',
  '{"a":{"b":["\\t"]}}',
]

/** canonical(x) of values, and values that have none. */
export function canonicalEncode(): VectorFile {
  return {
    about:
      'canonical(x). "input" is any JSON text; "canonical" is the canonical text of its value (null: the value is refused), "sha256" the hash of that text.',
    cases: ENCODE_INPUTS.map((input) => {
      const canonical = orNull(() => canonicalText(JSON.parse(input)))
      return { input, canonical, sha256: canonical === null ? null : sha256Hex(canonical) }
    }),
  }
}

const DECODE_TEXTS: readonly string[] = [
  '{"a":1,"b":[true,false,null]}',
  '0',
  '"~"',
  '{}',
  '[]',
  nested(33),
  nested(34),
  '',
  ' ',
  '{"b":1,"a":2}',
  '{"a":1,"a":1}',
  '{"a":1,"a":2}',
  '{"a": 1}',
  '{"a":1} ',
  '\n{"a":1}',
  '{"a":1}\n',
  '{"a":1,}',
  '[1,]',
  '[,1]',
  '01',
  '+1',
  '-0',
  '0.0',
  '1.0',
  '1e2',
  '1E2',
  '100e-2',
  '1.5',
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '1e400',
  'NaN',
  'Infinity',
  'undefined',
  "'a'",
  '"\\u0041"',
  '"\\/"',
  '"\\b"',
  '"\\u00e9"',
  '"\u00e9"',
  '"\u007f"',
  'True',
  'nul',
  '{"a":1}{"b":2}',
  '// comment\n1',
]
const DECODE_HEX: readonly string[] = [
  'efbbbf7b7d', // a byte order mark before {}
  '22ff22', // not UTF-8
  '22c18122', // an overlong A
  '7b7d00', // a NUL behind {}
  '220022', // a NUL in a string
  'feff007b007d', // UTF-16
]

/** Received bytes: taken only if they are the canonical bytes of what they say. */
export function canonicalDecode(): VectorFile {
  const bytes = [...DECODE_TEXTS.map((text) => bytesToHex(utf8ToBytes(text))), ...DECODE_HEX]
  return {
    about: 'Received bytes (hex). "ok": the bytes equal canonical(parse(bytes)); everything else is refused.',
    cases: bytes.map((hex) => ({
      bytes: hex,
      ok: orNull(() => (parseCanonicalBytes(hexToBytes(hex)), true)) ?? false,
    })),
  }
}

const DECIMALS: readonly string[] = [
  '0',
  '1',
  '10',
  '0.1',
  '0.01',
  '0.000001',
  '1.5',
  '123456.789012',
  '123456.78901',
  '999999999999',
  '999999999999.999999',
  '-1',
  '-0.000001',
  '-999999999999.999999',
  '-0',
  '-0.0',
  '--1',
  '+1',
  '',
  '-',
  '.',
  '.5',
  '5.',
  '00',
  '01',
  '0.0',
  '1.0',
  '1.50',
  '0.0000001',
  '1.1234567',
  '1000000000000',
  '1e3',
  '1E3',
  '0x10',
  '1,5',
  ' 1',
  '1 ',
  '1\n',
  '1_000',
  'NaN',
  'Infinity',
  '\u0661',
  '1.\u0665',
]

/** Decimal strings in the protocol. */
export function decimals(): VectorFile {
  return {
    about:
      'Decimal strings as the protocol writes them. "quantity" and "delta": the micro-units as a decimal integer, null where the text is refused as such.',
    cases: DECIMALS.map((text) => ({
      text,
      quantity: orNull(() => parseQuantity(text).toString()),
      delta: orNull(() => parseDelta(text).toString()),
    })),
  }
}

const EDGE_VALUES: readonly string[] = [
  '"1.5"',
  '"1.50"',
  '"-1.5"',
  '1',
  '1.0',
  '1.5',
  '-1.5',
  '0',
  '0.1',
  '0.3',
  '0.30000000000000004',
  '0.000001',
  '0.0000001',
  '1e2',
  '1e-6',
  '1e-7',
  '123456.789012',
  '8589934591.999999',
  '8589934592',
  '8589934593.000001',
  '123456789012.123456',
  '1e12',
  '1e21',
  'true',
  'null',
  '[]',
  '{}',
  '""',
  '42',
  '-7',
  '9007199254740991',
  '9007199254740992',
  '"a.b:c@d+e-f_G0"',
  '"a b"',
  '"a/b"',
  '"caf\u00e9"',
  `"${'x'.repeat(64)}"`,
  `"${'x'.repeat(65)}"`,
  '"6F9619FF-8B86-D011-B42D-00C04FC964FF"',
  '"6f9619ff-8b86-d011-b42d-00c04fc964ff"',
  '"6F9619FF-8B86-D011-B42D-00C04FC964F"',
]

/** What the outer edge (HTTP bodies, CSV, SQL) may spell besides, and what it becomes. */
export function edge(): VectorFile {
  return {
    about:
      'The outer edge (HTTP bodies, CSV, SQL). "json" is what was sent; "quantity", "delta", "identifier": what it becomes as such, null where it is refused.',
    cases: EDGE_VALUES.map((json) => {
      const value: unknown = JSON.parse(json)
      return {
        json,
        quantity: orNull(() => edgeQuantity(value, 'value')),
        delta: orNull(() => edgeDelta(value, 'value')),
        identifier: orNull(() => edgeIdentifier(value, 'value')),
      }
    }),
  }
}

const TOTALS: readonly (readonly [kwh: string, price: string, decimals: number, totals: readonly string[]])[] = [
  ['1', '0.2', 6, ['0.2', '0.200001', '0.199999', '0']],
  ['1.5', '0.25', 2, ['0.37', '0.38', '0.375', '0.36', '0.39', '0.380001']],
  ['0.5', '0.01', 2, ['0', '0.01', '0.005', '0.010001']],
  ['1.5', '0.01', 2, ['0.01', '0.02', '0.009999']],
  ['2.5', '1', 0, ['2', '3', '2.5', '4']],
  ['3.5', '1', 0, ['3', '4', '2.999999']],
  ['0.000001', '0.000001', 6, ['0', '0.000001']],
  ['0.5', '0.000001', 6, ['0', '0.000001', '0.000002']],
  ['1.5', '0.000001', 6, ['0.000001', '0.000002', '0']],
  ['999999', '999999', 6, ['999998000001', '999998000000.999999']],
  ['1.234567', '0.1234', 4, ['0.1523', '0.1524', '0.152346', '0.1522']],
]

/** total_amount against kwh x price_per_kwh, and the built-in market's rounding. */
export function totals(): VectorFile {
  return {
    about:
      '"ok": |total_amount - kwh x price_per_kwh| <= 0.5 x 10^-amount_decimals, exactly. "rounded": kwh x price_per_kwh rounded half to even to amount_decimals, as the built-in market writes it.',
    cases: TOTALS.flatMap(([kwh, price_per_kwh, amount_decimals, amounts]) =>
      amounts.map((total_amount) => {
        const energy = parseQuantity(kwh)
        const price = parseQuantity(price_per_kwh)
        const rounded = formatQuantity(multiplyToAmount(energy, price, amount_decimals))
        const ok = isTotalOf(parseQuantity(total_amount), energy, price, amount_decimals)
        return { kwh, price_per_kwh, amount_decimals, total_amount, ok, rounded }
      }),
    ),
  }
}
