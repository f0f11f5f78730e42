import assert from 'node:assert/strict'
import { canonicalBytes, canonicalText, parseCanonicalText } from '../../../src/protocol/canonical-json.ts'
import { bytesToHex, hexToBytes } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import {
  hashLeaf,
  inclusionProofShape,
  MemoryTree,
  verifyInclusion,
  type InclusionProof,
} from '../../../src/protocol/history.ts'
import { nativeCrypto } from '../../../src/protocol/native.ts'
import { hash32 } from '../../../src/protocol/shape.ts'
import { importPublicKey, verifyBytes, verifyPortable } from '../../../src/protocol/signature.ts'
import { readShared, sharedFolder } from '../../helpers/shared.ts'

/** The verdicts of both verifiers on a signature; a key that the rule refuses signs nothing. */
function verdicts(publicKey: string, message: string, signature: string): { native: boolean; portable: boolean } {
  try {
    const key = importPublicKey(publicKey)
    const [sig, msg] = [hexToBytes(signature), hexToBytes(message)]
    const portable = verifyPortable(sig, msg, key.bytes)
    if (key.native !== undefined && nativeCrypto?.verify(null, msg, key.native, sig) === true) {
      assert.ok(portable, 'the native verifier alone says yes')
    }
    return { native: verifyBytes(sig, msg, key), portable }
  } catch (error) {
    assert.ok(isSolarError(error, 'bad_public_key') || isSolarError(error, 'malformed'), String(error))
    return { native: false, portable: false }
  }
}

function jcsVectors(): void {
  describe('RFC 8785 test data', () => {
    for (const name of ['arrays', 'french', 'structures', 'unicode', 'values', 'weird']) {
      const input: unknown = JSON.parse(readShared(`vectors/jcs/input/${name}.json`))
      if (name === 'arrays') {
        it(`${name}: the same bytes`, () => {
          assert.equal(canonicalText(input), readShared(`vectors/jcs/output/${name}.json`).trim())
          const outhex = readShared(`vectors/jcs/outhex/${name}.txt`).replace(/\s+/g, '')
          assert.equal(bytesToHex(canonicalBytes(input)), outhex)
        })
      } else {
        it(`${name}: outside the restricted profile, refused`, () => {
          assert.throws(() => canonicalText(input), { code: 'not_canonical' })
        })
      }
    }

    it('structures without the one member outside the profile: the same bytes', () => {
      const input = JSON.parse(readShared('vectors/jcs/input/structures.json')) as Record<string, object>
      const { '\n': lineBreak, ...rest } = input['1'] as Record<string, unknown>
      assert.equal(lineBreak, 56)
      const expected = readShared('vectors/jcs/output/structures.json').trim().replace('"\\n":56,', '')
      assert.equal(canonicalText({ ...input, 1: rest }), expected)
    })

    it('10,000 ECMAScript numbers: safe integers are written the same, everything else is refused', () => {
      const view = new DataView(new ArrayBuffer(8))
      let integers = 0
      const lines = readShared('vectors/jcs/es6-numbers-10000.txt').trim().split('\n')
      assert.equal(lines.length, 10_000)
      for (const line of lines) {
        const [hex = '', expected = ''] = line.split(',')
        view.setBigUint64(0, BigInt(`0x${hex}`))
        const value = view.getFloat64(0)
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
          integers += 1
          assert.equal(canonicalText(value), expected)
          assert.equal(parseCanonicalText(expected), value)
        } else {
          assert.throws(() => canonicalText(value), { code: 'not_canonical' }, line)
          // -0 is written "0" by RFC 8785, which is the canonical text of another value.
          if (!Object.is(value, -0)) assert.throws(() => parseCanonicalText(expected), { code: 'not_canonical' }, line)
        }
      }
      assert.ok(integers > 0)
    })
  })
}

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKey: { readonly pk: string }
    readonly tests: readonly {
      readonly tcId: number
      readonly msg: string
      readonly sig: string
      readonly result: string
    }[]
  }[]
}

function signatureVectors(): void {
  describe('Wycheproof Ed25519', () => {
    const { testGroups } = JSON.parse(readShared('vectors/ed25519/wycheproof-ed25519_test.json')) as Wycheproof
    const cases = testGroups.flatMap((group) => group.tests.map((test) => ({ ...test, pk: group.publicKey.pk })))
    it('is read whole, with the case that zip215 verifiers get wrong', () => {
      assert.equal(cases.length, 151)
      assert.equal(cases.find((c) => c.tcId === 151)?.result, 'invalid')
    })
    for (const { tcId, pk, msg, sig, result } of cases) {
      it(`tcId ${tcId}: ${result} by the native and by the portable path`, () => {
        const valid = result === 'valid'
        assert.deepEqual(verdicts(pk, msg, sig), { native: valid, portable: valid })
      })
    }
  })

  describe('speccheck Ed25519', () => {
    const cases = JSON.parse(readShared('vectors/ed25519/speccheck-cases.json')) as {
      readonly message: string
      readonly pub_key: string
      readonly signature: string
    }[]
    // 0, 1: A of small order. 2: R of small order. 3: both mixed order. 4: cofactored only. 5: cofactored, where k must not
    // be reduced after multiplying by 8. 6, 7: s >= L. 8, 9: R not canonical. 10, 11: A not canonical.
    const accepted = new Set([2, 3, 4, 5])
    it('has twelve cases', () => assert.equal(cases.length, 12))
    cases.forEach(({ pub_key, message, signature }, index) => {
      const valid = accepted.has(index)
      it(`case ${index}: ${valid ? 'accepted' : 'refused'} by RFC 8032 strict on both paths`, () => {
        assert.deepEqual(verdicts(pub_key, message, signature), { native: valid, portable: valid })
      })
    })
  })
}

interface Rfc6962 {
  readonly leafInputs: readonly string[]
  readonly rootBySize: readonly string[]
  readonly nodesByLevel: readonly (readonly string[])[]
}
interface InclusionVector {
  readonly file: string
  readonly leafIdx: number
  readonly treeSize: number
  readonly root: string | null
  readonly leafHash: string | null
  readonly proof: readonly string[] | null
  readonly wantErr: boolean
}

function treeVectors(): void {
  describe('RFC 6962 trees', () => {
    const vectors = JSON.parse(readShared('vectors/merkle/rfc6962-tree.json')) as Rfc6962
    const tree = new MemoryTree(vectors.leafInputs.map((leaf) => hashLeaf(hexToBytes(leaf))))

    it('have the known roots', () => {
      vectors.rootBySize.forEach((root, size) => assert.equal(tree.root(size), root))
    })

    it('have the known leaf hashes', () => {
      assert.deepEqual(
        vectors.leafInputs.map((leaf) => hashLeaf(hexToBytes(leaf))),
        vectors.nodesByLevel[0],
      )
    })

    const { cases } = JSON.parse(readShared('vectors/merkle/transparency-dev-inclusion.json')) as {
      cases: readonly InclusionVector[]
    }
    for (const c of cases) {
      it(`${c.file} is ${c.wantErr ? 'refused' : 'accepted'}`, () => {
        assert.equal(acceptsInclusion(c), !c.wantErr)
      })
    }
  })
}

const fromBase64 = (text: string | null): string => Buffer.from(text ?? '', 'base64').toString('hex')

function acceptsInclusion(c: InclusionVector): boolean {
  try {
    const proof: InclusionProof = inclusionProofShape(
      { leaf_index: c.leafIdx, tree_size: c.treeSize, path: (c.proof ?? []).map(fromBase64) },
      'proof',
    )
    return verifyInclusion(hash32(fromBase64(c.leafHash), 'leaf'), proof, hash32(fromBase64(c.root), 'root')).ok
  } catch (error) {
    assert.ok(isSolarError(error, 'malformed'), String(error))
    return false
  }
}

if (sharedFolder !== undefined) {
  jcsVectors()
  signatureVectors()
  treeVectors()
}
