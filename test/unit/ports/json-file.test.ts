import assert from 'node:assert/strict'
import { parseJsonFile, parseJsonText } from '../../../src/ports/json-file.ts'

describe('ports/json-file', () => {
  it('gives the value, whatever its encoding', () => {
    assert.deepEqual(parseJsonFile(Buffer.from('\uFEFF{"a":1}', 'utf16le')), { value: { a: 1 } })
  })

  it('says what a file looks like that is not JSON, and quotes nothing of it', () => {
    const looks: readonly (readonly [string, RegExp])[] = [
      ['', /empty/],
      [' \n', /empty/],
      ['a,b\n1,2\n', /table/],
      ['<!doctype html>', /page of the web/],
      ['-----BEGIN AGE ENCRYPTED FILE-----', /encrypted/],
      ['{"secret": swordfish}', /no JSON$/],
      ['swordfish', /other text/],
    ]
    for (const [text, look] of looks) {
      const parsed = parseJsonText(text)
      assert.ok('fault' in parsed, text)
      assert.match(parsed.fault, look)
      assert.doesNotMatch(parsed.fault, /swordfish/)
    }
    assert.deepEqual(parseJsonFile(Uint8Array.of(0xc3, 0x28)), { fault: 'not JSON: it is no text' })
  })

  it('does not choose between two fields of one name, wherever they are, and knows a colon in a text from a field', () => {
    const twice = [
      '{"a":1,"a":1}',
      '[{"b":{"a":1,"c":[],"\\u0061":2}}]',
      '{"__proto__":1,"__proto__":2}',
      '{"":{},"":0}',
    ]
    for (const text of twice) {
      assert.deepEqual(
        parseJsonText(text),
        { fault: 'JSON with a field twice: programs differ in which they take' },
        text,
      )
    }
    const once = [
      '{"a":{"a":{"a":[{"a":1},{"a":1}]}}}',
      '["a:",":\\"",{"a:b\\":":"\\\\"}]',
      '":"',
      '{"__proto__":{"x":1}}',
    ]
    for (const text of once) assert.deepEqual(parseJsonText(text), { value: JSON.parse(text) as unknown }, text)
  })

  it('refuses text that is nested deeper than any document, before it is parsed', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    assert.ok('value' in parseJsonText(nested(33)))
    assert.ok('value' in parseJsonText(JSON.stringify(nested(100))))
    // A parser would take minutes and gigabytes for the longer ones.
    for (const text of [nested(34), nested(5_000), '['.repeat(32_000_000), '{"a":'.repeat(4_000_000)]) {
      assert.deepEqual(parseJsonText(text), { fault: 'JSON nested deeper than 32' })
    }
  })

  it('knows an object that is cut short, wherever', () => {
    const whole = '{"a":["}",{"b":"\\"]"}],"c":null}'
    for (let length = 1; length < whole.length; length++) {
      const parsed = parseJsonText(whole.slice(0, length))
      assert.ok('fault' in parsed && parsed.fault.includes('cut short'), whole.slice(0, length))
    }
  })
})
