import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { hexToBytes } from '../../../src/protocol/bytes.ts'
import { canonicalText } from '../../../src/protocol/canonical-json.ts'
import { formatDelta } from '../../../src/protocol/decimal.ts'
import { portableHasher } from '../../../src/protocol/hash.ts'
import { importPublicKey, verifyPortable } from '../../../src/protocol/signature.ts'
import { renderVectorFile, VECTOR_FILES, VECTOR_FOLDER } from '../../vectors/generate.ts'

interface AnyCase {
  readonly name: string
  readonly ok?: boolean
  readonly [field: string]: unknown
}
const read = (name: string): readonly AnyCase[] =>
  (JSON.parse(readFileSync(`${VECTOR_FOLDER}${name}`, 'utf8')) as { cases: readonly AnyCase[] }).cases

describe('published test vectors', () => {
  it('are exactly the files that the generator makes', () => {
    assert.deepEqual(readdirSync(VECTOR_FOLDER).sort(), Object.keys(VECTOR_FILES).sort())
  })

  for (const [name, make] of Object.entries(VECTOR_FILES)) {
    it(`${name} is what the code computes today`, () => {
      assert.equal(readFileSync(`${VECTOR_FOLDER}${name}`, 'utf8'), renderVectorFile(make()))
    })
  }

  it('accept and refuse in every file that gives verdicts', () => {
    for (const name of Object.keys(VECTOR_FILES)) {
      const verdicts = read(name)
        .map((c) => c.ok)
        .filter((ok) => ok !== undefined)
      if (verdicts.length === 0) continue
      assert.ok(verdicts.includes(true) && verdicts.includes(false), name)
    }
  })

  it('refuse almost everything that was changed, and say so', () => {
    // The two that stay valid are named for it: tree size and count are not in the root, they come from a header.
    const valid = [...read('merkle-proofs.json'), ...read('history-inclusion.json')]
      .filter((c) => c.ok && !/^(leaf|header) [0-9]+ of [0-9]+$/.test(c.name))
      .map((c) => c.name)
    assert.equal(valid.length, 2)
    assert.ok(
      valid.every((name) => name.includes('must come from')),
      valid.join(),
    )
  })

  it('have hashes that the portable hasher computes too', () => {
    for (const c of read('transactions.json')) {
      if (c.ok) assert.equal(portableHasher.hex(String(c.canonical)), c.tx_hash)
    }
    for (const c of read('sealed-headers.json').slice(0, 3)) {
      assert.equal(portableHasher.hex(String(c.canonical)), c.header_hash)
      assert.equal(canonicalText(c.header), c.canonical)
    }
  })

  it('have signatures on which the portable verifier agrees', () => {
    for (const c of read('signatures.json')) {
      const verify = () =>
        verifyPortable(
          hexToBytes(String(c.signature)),
          hexToBytes(String(c.message)),
          importPublicKey(String(c.public_key)).bytes,
        )
      if (c.name.startsWith('A ') && !c.ok) assert.throws(verify, { code: 'bad_public_key' }, c.name)
      else if (c.name === 'all zero') assert.throws(verify, { code: 'bad_public_key' })
      else assert.equal(verify(), c.ok, c.name)
    }
  })

  it('have decimals that are written as they were read', () => {
    for (const c of read('decimals.json')) {
      if (typeof c.delta === 'string') assert.equal(formatDelta(BigInt(c.delta)), c.text)
    }
  })
})
