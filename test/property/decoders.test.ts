import assert from 'node:assert/strict'
import fc from 'fast-check'
import * as protocol from '../../src/protocol/index.ts'

/** Every shape that the protocol exports, by name, and the decoders of text. */
const shapes = Object.entries(protocol).filter(([name]) => /(Shape|Params|Answer)$/.test(name)) as [
  string,
  protocol.Shape<unknown>,
][]
const decoders: readonly (readonly [string, (text: string) => unknown])[] = [
  ['parseCanonicalText', protocol.parseCanonicalText],
  ['parseNote', protocol.parseNote],
  ['parseCheckpoint', protocol.parseCheckpoint],
  ['parseVerifierKey', protocol.parseVerifierKey],
  ['parseSignatureLine', protocol.parseSignatureLine],
  ['normalizeQuantity', protocol.normalizeQuantity],
  ['base64ToBytes', protocol.base64ToBytes],
]
const LONG = 'Z'.repeat(5_000)

/** Gives back a value or throws a SolarError that quotes at most 200 characters. */
function checkDecoder(name: string, decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    assert.ok(protocol.isSolarError(error), `${name}: ${String(error)}`)
    assert.doesNotMatch(JSON.stringify([error.message, error.fields]), /Z{201}/, name)
  }
}

describe('decoders of what others wrote', () => {
  it('refuse any value by an error of their own, which quotes little of it', () => {
    assert.ok(shapes.length > 20)
    const text = fc.oneof(fc.string(), fc.constant(LONG))
    const value = fc.oneof(fc.jsonValue(), text, fc.dictionary(text, fc.jsonValue()), fc.array(text))
    fc.assert(
      fc.property(value, (input) => {
        for (const [name, shape] of shapes) checkDecoder(name, () => shape(input, 'it'))
      }),
    )
  })

  it('refuse any text by an error of their own, which quotes little of it', () => {
    const parts = fc.constantFrom(LONG, '\n\n', '\u2014 ', '+', '{"', '":', '0', '=', ' ', '.')
    const text = fc.array(fc.oneof(parts, fc.string()), { maxLength: 8 }).map((all) => all.join(''))
    fc.assert(
      fc.property(text, (input) => {
        for (const [name, decode] of decoders) checkDecoder(name, () => decode(input))
      }),
    )
  })
})
