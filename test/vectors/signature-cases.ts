import { Point } from '@noble/ed25519'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '../../src/protocol/bytes.ts'
import { sha512 } from '@noble/hashes/sha2.js'
import { cachedPublicKey, verifyBytes } from '../../src/protocol/signature.ts'
import { outcomeOf, type VectorFile } from './case.ts'
import { KEY_NAMES, testKey, testSecret, testSecretHex } from './keys.ts'

/**
 * Crafted signatures at the edges where Ed25519 verifiers differ. Points of small order come from multiplying a point
 * outside the prime-order subgroup by the group order.
 */
const ORDER = Point.CURVE().n
const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${bytesToHex(Uint8Array.from(bytes).reverse())}`)
const scalarBytes = (scalar: bigint): Uint8Array => hexToBytes(scalar.toString(16).padStart(64, '0')).reverse()
const times = (scalar: bigint, point: Point): Point => (scalar === 0n ? Point.ZERO : point.multiply(scalar, false))
const scalarOf = (label: string): bigint => littleEndian(testSecret(label)) % ORDER

/** A point of order 8: ORDER x P for the first P with a component outside the subgroup that has full order. */
function pointOfOrderEight(): Point {
  for (let y = 2; ; y++) {
    const bytes = new Uint8Array(32)
    bytes[0] = y
    try {
      const point = times(ORDER - 1n, Point.fromBytes(bytes)).add(Point.fromBytes(bytes))
      if (!point.double().double().is0()) return point
    } catch {
      continue // no point of the curve has this y
    }
  }
}

interface Crafted {
  readonly name: string
  readonly public_key: string
  readonly message: string
  readonly signature: string
}

/** A signature of the equation s = r + k a, with freely chosen encodings of A and R. */
function craft(name: string, a: bigint, A: Uint8Array, r: bigint, R: Uint8Array, addOrder = false): Crafted {
  const message = utf8ToBytes(`solar-node test message: ${name}`)
  const k = littleEndian(sha512(concatBytes(R, A, message))) % ORDER
  const s = ((r + k * a) % ORDER) + (addOrder ? ORDER : 0n)
  return {
    name,
    public_key: bytesToHex(A),
    message: bytesToHex(message),
    signature: bytesToHex(concatBytes(R, scalarBytes(s))),
  }
}

function craftedSignatures(): readonly Crafted[] {
  const torsion = pointOfOrderEight()
  const a = scalarOf('crafted key')
  const r = scalarOf('crafted nonce')
  const A = times(a, Point.BASE)
  const R = times(r, Point.BASE)
  const identity = Point.ZERO.toBytes()
  const nonCanonicalIdentity = hexToBytes(`ee${'ff'.repeat(30)}7f`)
  const signedIdentity = hexToBytes(`01${'00'.repeat(30)}80`)
  const offCurve = hexToBytes(`02${'00'.repeat(31)}`)
  return [
    craft('plain', a, A.toBytes(), r, R.toBytes()),
    craft('s + L', a, A.toBytes(), r, R.toBytes(), true),
    craft('R with a torsion component (cofactored only)', a, A.toBytes(), r, R.add(torsion).toBytes()),
    craft('A with a torsion component (cofactored only)', a, A.add(torsion).toBytes(), r, R.toBytes()),
    craft(
      'A and R with torsion components (cofactored only)',
      a,
      A.add(torsion).toBytes(),
      r,
      R.add(torsion.double()).toBytes(),
    ),
    craft('R of small order', a, A.toBytes(), 0n, torsion.toBytes()),
    craft('R the identity', a, A.toBytes(), 0n, identity),
    craft('R the identity, not canonical (y = p + 1)', a, A.toBytes(), 0n, nonCanonicalIdentity),
    craft('R the identity with a sign bit', a, A.toBytes(), 0n, signedIdentity),
    craft('R not on the curve', a, A.toBytes(), r, offCurve),
    craft('A of order 8', 0n, torsion.toBytes(), r, R.toBytes()),
    craft('A of order 4', 0n, torsion.double().toBytes(), r, R.toBytes()),
    craft('A of order 2', 0n, torsion.double().double().toBytes(), r, R.toBytes()),
    craft('A the identity', 0n, identity, r, R.toBytes()),
    craft('A the identity, not canonical (y = p + 1)', 0n, nonCanonicalIdentity, r, R.toBytes()),
    craft('A the identity with a sign bit', 0n, signedIdentity, r, R.toBytes()),
    craft('A not on the curve', 0n, offCurve, r, R.toBytes()),
    craft('all zero', 0n, new Uint8Array(32), 0n, new Uint8Array(32)),
  ]
}

/** Test keys, plain signatures, and signatures that tell verifiers apart. */
export function signatureCases(): VectorFile {
  const plain = KEY_NAMES.map((name) => {
    const key = testKey(name)
    const message = utf8ToBytes(`solar-node test message for ${name}`)
    const signature = bytesToHex(key.signNow(message))
    return { name: `by ${name}`, public_key: key.publicKey, message: bytesToHex(message), signature }
  })
  const [first] = plain
  const wrong = [
    { ...first!, name: 'another message', message: '00' },
    { ...first!, name: 'an empty signature', signature: '' },
    { ...first!, name: '65 bytes', signature: `${first!.signature}00` },
    { ...first!, name: 'R and s swapped', signature: first!.signature.slice(64) + first!.signature.slice(0, 64) },
  ]
  return {
    about:
      'Ed25519 by RFC 8032, strict: A and R canonical, s < L, A not of small order, cofactored equation [8][s]B = [8]R + [8][k]A. All in hex.',
    cases: [...plain, ...wrong, ...craftedSignatures()].map((c) => ({ ...c, ...signatureOutcome(c) })),
  }
}

/** What the code makes of a case of signatures.json. */
export const signatureOutcome = (c: {
  readonly public_key: string
  readonly message: string
  readonly signature: string
}) =>
  outcomeOf(() => {
    const ok = verifyBytes(hexToBytes(c.signature), hexToBytes(c.message), cachedPublicKey(c.public_key))
    return ok ? { ok } : { ok, error: 'bad_signature' }
  })

/** The keys of all files. */
export function keyCases(): VectorFile {
  return {
    about:
      'TEST KEYS, public to everybody: never use them. secret = sha256(utf8("solar-node TEST KEY, never use: " + name)), an RFC 8032 seed.',
    cases: KEY_NAMES.map((name) => ({ name, secret: testSecretHex(name), public_key: testKey(name).publicKey })),
  }
}
