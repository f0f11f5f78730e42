import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, sign as nodeSign } from 'node:crypto'
import { sign as nobleSign, getPublicKey } from '@noble/ed25519'
import fc from 'fast-check'
import { bytesToHex, hexToBytes } from '../../src/protocol/bytes.ts'
import { nativeCrypto } from '../../src/protocol/native.ts'
import {
  cachedPublicKey,
  importPublicKey,
  signingBytes,
  signingKeyFromSecret,
  signObject,
  verifyBytes,
  verifyObject,
  verifyPortable,
  type SignatureType,
} from '../../src/protocol/signature.ts'
import { isSolarError } from '../../src/protocol/errors.ts'

const secret = fc.uint8Array({ minLength: 32, maxLength: 32 })
const message = fc.uint8Array({ maxLength: 200 })
const CHAIN = 'ab'.repeat(32)

describe('Ed25519 on both paths', () => {
  it('makes the same keys and signatures natively and portably', async () => {
    await fc.assert(
      fc.asyncProperty(secret, message, async (seed, data) => {
        const key = signingKeyFromSecret(seed)
        assert.equal(key.publicKey, bytesToHex(getPublicKey(seed)))
        assert.deepEqual(Uint8Array.from(await key.sign(data)), nobleSign(data, seed))
        const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
        const native = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
        assert.equal(
          createPublicKey(native).export({ format: 'jwk' }).x,
          Buffer.from(key.publicKey, 'hex').toString('base64url'),
        )
        assert.deepEqual(Uint8Array.from(nodeSign(null, data, native)), nobleSign(data, seed))
      }),
      { numRuns: 40 },
    )
  })

  it('gives one verdict on a signature with any bit of key, message or signature changed', async () => {
    const change = fc.record({ seed: secret, data: message, part: fc.nat({ max: 3 }), bit: fc.nat({ max: 511 }) })
    await fc.assert(
      fc.asyncProperty(change, async ({ seed, data, part, bit }) => {
        const key = signingKeyFromSecret(seed)
        const parts = [hexToBytes(key.publicKey), data, Uint8Array.from(await key.sign(data))] as const
        const target = parts[part as 0 | 1 | 2] as Uint8Array | undefined
        if (target !== undefined && target.length > 0) target[(bit >> 3) % target.length]! ^= 1 << (bit & 7)
        const untouched = target === undefined || target.length === 0
        try {
          const imported = importPublicKey(bytesToHex(parts[0]))
          const verdict = verifyBytes(parts[2], parts[1], imported)
          assert.equal(verdict, untouched)
          assert.equal(verifyPortable(parts[2], parts[1], imported.bytes), verdict)
          assert.equal(nativeCrypto!.verify(null, parts[1], imported.native!, parts[2]), verdict)
        } catch (error) {
          assert.ok(isSolarError(error, 'bad_public_key'), String(error))
        }
      }),
      { numRuns: 150 },
    )
  })

  it('refuses signatures and keys of any other length without throwing anything else', () => {
    const key = cachedPublicKey(signingKeyFromSecret(new Uint8Array(32).fill(7)).publicKey)
    for (const length of [0, 1, 63, 65, 128]) {
      assert.equal(verifyBytes(new Uint8Array(length), new Uint8Array(3), key), false)
      assert.equal(verifyPortable(new Uint8Array(length), new Uint8Array(3), key.bytes), false)
    }
    assert.equal(verifyPortable(new Uint8Array(64), new Uint8Array(3), new Uint8Array(31)), false)
    for (const hex of ['', 'ab', 'AB'.repeat(32), 'zz'.repeat(32), 'ab'.repeat(33)]) {
      assert.throws(() => importPublicKey(hex), { code: 'malformed' })
    }
  })

  it('imports only keys that are canonical points outside the small subgroup', () => {
    fc.assert(
      fc.property(secret, (bytes) => {
        try {
          const key = importPublicKey(bytesToHex(bytes))
          assert.deepEqual(key.bytes, bytes)
        } catch (error) {
          assert.ok(isSolarError(error, 'bad_public_key'), String(error))
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('signed objects', () => {
  const key = signingKeyFromSecret(new Uint8Array(32).fill(9))
  const TYPES: readonly SignatureType[] = [
    'header',
    'vote',
    'order',
    'request',
    'enrol',
    'rotate',
    'revoke',
    'recover',
    'policy',
  ]

  it('sign the type, the chain and the canonical body, each on a line of its own', () => {
    const bytes = signingBytes('vote', CHAIN, { b: 1, a: 'x' })
    assert.equal(Buffer.from(bytes).toString('latin1'), `solar-node/v1/vote\n${CHAIN}\n{"a":"x","b":1}`)
  })

  it('hold for one type, one chain and one body only', async () => {
    const body = { a: 1 }
    const other = 'cd'.repeat(32)
    for (const type of TYPES) {
      const signature = await signObject(type, CHAIN, body, key)
      for (const read of TYPES) {
        assert.equal(verifyObject(read, CHAIN, body, signature, key.publicKey), read === type)
      }
      assert.equal(verifyObject(type, other, body, signature, key.publicKey), false)
      assert.equal(verifyObject(type, CHAIN, { a: 2 }, signature, key.publicKey), false)
    }
  })

  it('refuse a signature that is no hex of 64 bytes as malformed', () => {
    for (const signature of ['', 'ab'.repeat(63), 'AB'.repeat(64), 'zz'.repeat(64)]) {
      assert.throws(() => verifyObject('vote', CHAIN, {}, signature, key.publicKey), { code: 'malformed' })
    }
  })
})
