import assert from 'node:assert/strict'
import { Point, utils } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { createSignatureChecks } from '../../../src/node/signature-checks.ts'
import { bytesToHex, concatBytes, hexToBytes } from '../../../src/protocol/bytes.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { nativeCrypto } from '../../../src/protocol/native.ts'
import { importPublicKey, signingBytes, verifyObject, verifyPortable } from '../../../src/protocol/signature.ts'
import { signingKeyFromSecret, signObject } from '../../helpers/sign-now.ts'

const CHAIN = 'ab'.repeat(32)
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
/** Points of order 1, 2, 4 and 8, some in a second spelling (RFC 8032, 5.1.3). */
const SMALL = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0100000000000000000000000000000000000000000000000000000000000080',
]
const key = signingKeyFromSecret(new Uint8Array(32).fill(7))
let made = 0
/** Each of another body, so that no verdict is known from before. */
const nextBody = () => ({ n: made++ })

function littleEndian(value: bigint): string {
  const hex = value.toString(16).padStart(64, '0')
  return bytesToHex(hexToBytes(hex).reverse())
}
const numberOf = (hex: string): bigint => BigInt(`0x${bytesToHex(hexToBytes(hex).reverse())}`)

/** What a signature may be changed to; only the first is right. */
function variants(signature: string): readonly string[] {
  const r = signature.slice(0, 64)
  const s = signature.slice(64)
  const torsion = Point.fromHex(SMALL[3] ?? '')
  return [
    signature,
    r + littleEndian(numberOf(s) + ORDER),
    r + littleEndian((numberOf(s) + 1n) % ORDER),
    Point.fromHex(r).add(torsion).toHex() + s,
    ...SMALL.map((point) => point + s),
    ...SMALL.map((point) => point + '00'.repeat(32)),
    'ff'.repeat(64),
    '00'.repeat(64),
  ]
}

describe('signatures that are checked in other threads', () => {
  const checks = createSignatureChecks()
  after(() => checks.stop())

  it('have the verdict of the one rule, for edge points as well', async () => {
    for (const [index] of variants(signObject('vote', CHAIN, {}, key)).entries()) {
      const body = nextBody()
      const signature = variants(signObject('vote', CHAIN, body, key))[index] ?? ''
      const message = signingBytes('vote', CHAIN, body)
      const rule = verifyPortable(hexToBytes(signature), message, importPublicKey(key.publicKey).bytes)
      await checks.settle({ type: 'vote', chainId: CHAIN, body, signature, publicKey: key.publicKey })
      assert.equal(verifyObject('vote', CHAIN, body, signature, key.publicKey), rule, `variant ${index}`)
      assert.equal(rule, index === 0, `variant ${index}`)
    }
  })

  for (const part of ['R', 'A'] as const) {
    it(`have it where ${part} is of mixed order, which the rule takes and node:crypto may not`, async () => {
      const torsion = Point.fromHex(SMALL[3] ?? '')
      const { scalar, point } = utils.getExtendedPublicKey(new Uint8Array(32).fill(7))
      const publicKey = (part === 'A' ? point.add(torsion) : point).toHex()
      let differs = 0
      for (let n = 1n; n <= 8n; n++) {
        const body = nextBody()
        const message = signingBytes('vote', CHAIN, body)
        const secret = 1_000_003n * n
        const own = Point.BASE.multiply(secret)
        const r = (part === 'R' ? own.add(torsion) : own).toHex()
        const hash = sha512(concatBytes(hexToBytes(r), hexToBytes(publicKey), message))
        const k = numberOf(bytesToHex(hash)) % ORDER
        const signature = r + littleEndian((secret + k * scalar) % ORDER)
        assert.ok(verifyPortable(hexToBytes(signature), message, hexToBytes(publicKey)))
        const { native } = importPublicKey(publicKey)
        const isFast = native !== undefined && nativeCrypto?.verify(null, message, native, hexToBytes(signature))
        if (isFast !== true) differs++
        await checks.settle({ type: 'vote', chainId: CHAIN, body, signature, publicKey })
        assert.ok(verifyObject('vote', CHAIN, body, signature, publicKey))
      }
      assert.ok(differs > 0, 'node:crypto refuses some of them')
    })
  }

  it('have it whichever of many that are asked side by side they are', async () => {
    const claims = Array.from({ length: 200 }, (_, n) => {
      const body = nextBody()
      const signature = signObject('header', CHAIN, body, key)
      const isRight = n % 3 !== 0
      const given = isRight ? signature : signature.slice(0, 64) + littleEndian(BigInt(n) + 5n)
      return {
        isRight,
        claim: { type: 'header', chainId: CHAIN, body, signature: given, publicKey: key.publicKey } as const,
      }
    })
    await Promise.all(claims.map(({ claim }) => checks.settle(claim)))
    for (const { isRight, claim } of claims) {
      assert.equal(verifyObject('header', CHAIN, claim.body, claim.signature, claim.publicKey), isRight)
    }
  })

  it('are told apart by message, key, type and chain: no verdict counts for another claim', async () => {
    const body = nextBody()
    const signature = signObject('vote', CHAIN, body, key)
    await checks.settle({ type: 'vote', chainId: CHAIN, body, signature, publicKey: key.publicKey })
    assert.ok(verifyObject('vote', CHAIN, body, signature, key.publicKey))
    assert.equal(verifyObject('order', CHAIN, body, signature, key.publicKey), false)
    assert.equal(verifyObject('vote', '0d'.repeat(32), body, signature, key.publicKey), false)
    assert.equal(verifyObject('vote', CHAIN, nextBody(), signature, key.publicKey), false)
    const other = signingKeyFromSecret(new Uint8Array(32).fill(8)).publicKey
    assert.equal(verifyObject('vote', CHAIN, body, signature, other), false)
  })

  it('that are malformed, or under a key that the rule refuses, are left to who asks', async () => {
    const body = nextBody()
    const claim = { type: 'vote', chainId: CHAIN, body } as const
    await checks.settle({ ...claim, signature: 'xyz', publicKey: key.publicKey })
    await checks.settle({ ...claim, signature: '00'.repeat(64), publicKey: SMALL[1] ?? '' })
    assert.throws(
      () => verifyObject('vote', CHAIN, body, 'xyz', key.publicKey),
      (e) => isSolarError(e, 'malformed'),
    )
    assert.throws(
      () => verifyObject('vote', CHAIN, body, '00'.repeat(64), SMALL[1] ?? ''),
      (error) => isSolarError(error, 'bad_public_key'),
    )
  })

  it('are checked by who asks when the thread has ended', async () => {
    const ended = createSignatureChecks()
    const claimOf = (n: number) => {
      const body = nextBody()
      return {
        type: 'vote',
        chainId: CHAIN,
        body,
        signature: '00'.repeat(63) + `0${n}`,
        publicKey: key.publicKey,
      } as const
    }
    const asked = ended.settle(claimOf(1))
    await ended.stop()
    await asked
    const claim = claimOf(2)
    await ended.settle(claim)
    assert.equal(verifyObject('vote', CHAIN, claim.body, claim.signature, claim.publicKey), false)
    await ended.stop()
  })
})
