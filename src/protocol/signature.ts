import * as ed25519 from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { toString } from 'uint8arrays/to-string'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes, type Hash, type Hex } from './bytes.ts'
import { canonicalBytes } from './canonical-json.ts'
import { sha256Hex } from './hash.ts'
import { protocolError } from './errors.ts'
import { nativeCrypto, type NativeKey } from './native.ts'
import { publicKeyHex, signatureHex } from './shape.ts'

// @noble/ed25519 carries no hash of its own and asks for one once.
ed25519.hashes.sha512 = sha512

/** What a signature is about: the domain that keeps a vote from being read as an order. */
export const SIGNATURE_TYPES = [
  'header',
  'vote',
  'order',
  'request',
  'enrol',
  'rotate',
  'revoke',
  'recover',
  'policy',
  'countersign',
  'member',
] as const
export type SignatureType = (typeof SIGNATURE_TYPES)[number]

/** A public key that passed `importPublicKey`: canonical and not of small order. */
export interface PublicKey {
  readonly hex: Hex
  readonly bytes: Uint8Array
  readonly native: NativeKey | undefined
}

const base64url = (bytes: Uint8Array): string => toString(bytes, 'base64url')

/**
 * Checks a public key once, so that afterwards the native verifier's accept set lies inside the one signature rule
 * (docs/protocol.md 1). Throws `malformed` or `bad_public_key`.
 */
export function importPublicKey(hex: Hex): PublicKey {
  const bytes = hexToBytes(publicKeyHex(hex, 'public_key'))
  let point: ed25519.Point
  try {
    point = ed25519.Point.fromBytes(bytes, false)
  } catch (cause) {
    throw protocolError('bad_public_key', { public_key: hex, reason: 'not a canonical point of the curve' }, cause)
  }
  if (point.isSmallOrder()) throw protocolError('bad_public_key', { public_key: hex, reason: 'a point of small order' })
  const native = nativeCrypto?.createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: base64url(bytes) },
    format: 'jwk',
  })
  return { hex, bytes, native }
}

const IMPORTED_KEYS_MAX = 10_000
const importedKeys = new Map<Hex, PublicKey>()

/** `importPublicKey`, remembered for the keys used last: the check costs as much as a verification. */
export function cachedPublicKey(hex: Hex): PublicKey {
  const known = importedKeys.get(hex)
  if (known !== undefined) return known
  const key = importPublicKey(hex)
  if (importedKeys.size >= IMPORTED_KEYS_MAX) importedKeys.clear()
  importedKeys.set(hex, key)
  return key
}

/**
 * RFC 8032 strict, the one rule on every platform: canonical A and R, s < L, A not of small order, cofactored equation.
 * The native verifier is only a fast yes; its no is asked again, because it refuses some signatures that the rule accepts.
 */
export function verifyBytes(signature: Uint8Array, message: Uint8Array, key: PublicKey): boolean {
  if (signature.length !== 64) return false
  const settled = settledVerdicts.size === 0 ? undefined : settledVerdicts.get(claimKey(signature, message, key))
  if (settled !== undefined) return settled
  if (key.native !== undefined && nativeCrypto?.verify(null, message, key.native, signature) === true) return true
  return verifyPortable(signature, message, key.bytes)
}

const SETTLED_MAX = 4_096
const settledVerdicts = new Map<string, boolean>()
const claimKey = (signature: Uint8Array, message: Uint8Array, key: PublicKey): string =>
  sha256Hex(concatBytes(signature, key.bytes, message))

/**
 * Remembers what `verifyBytes` would find, for a host that has found it in another thread. Of the last few thousand.
 *
 * @param verdict that of the rule above, and of nothing else
 */
export function settleVerdict(signature: Uint8Array, message: Uint8Array, key: PublicKey, verdict: boolean): void {
  const claim = claimKey(signature, message, key)
  settledVerdicts.delete(claim)
  settledVerdicts.set(claim, verdict)
  const [oldest] = settledVerdicts.keys()
  if (settledVerdicts.size > SETTLED_MAX && oldest !== undefined) settledVerdicts.delete(oldest)
}

/** The rule itself, as @noble/ed25519 has it. Never throws. */
export function verifyPortable(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false
  }
}

/** utf8("solar-node/v1/" + type + "\n" + chain_id + "\n") || canonical(body). */
export function signingBytes(type: SignatureType, chainId: Hash, body: object): Uint8Array {
  return concatBytes(utf8ToBytes(`solar-node/v1/${type}\n${chainId}\n`), canonicalBytes(body))
}

/**
 * True if `signature` (hex) is `publicKey`'s over `body` as `type` on this chain. Throws `malformed` if one of the two is
 * not hex of its length, `bad_public_key` for a key that the rule refuses.
 */
export function verifyObject(
  type: SignatureType,
  chainId: Hash,
  body: object,
  signature: Hex,
  publicKey: Hex,
): boolean {
  const bytes = hexToBytes(signatureHex(signature, 'signature'))
  return verifyBytes(bytes, signingBytes(type, chainId, body), cachedPublicKey(publicKey))
}

/**
 * A secret key as a function, so that the key itself need not be passed around, nor be in this process at all. Every message says
 * by itself what it is (`parseSignedMessage`): a signer of its own process goes by nothing else.
 */
export interface SigningKey {
  /** Ed25519 public key, hex. */
  readonly publicKey: Hex
  /** Ed25519 signature of `message`, 64 bytes. Deterministic (RFC 8032). Rejects where the key is not at hand, or refuses. */
  sign(message: Uint8Array): Promise<Uint8Array>
}

/** The signing key of a 32-byte secret (RFC 8032 seed). */
export function signingKeyFromSecret(secret: Uint8Array): SigningKey {
  const publicKey = ed25519.getPublicKey(secret)
  const native = nativeCrypto?.createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: base64url(publicKey), d: base64url(secret) },
    format: 'jwk',
  })
  return {
    publicKey: bytesToHex(publicKey),
    sign: (message) =>
      Promise.resolve(
        native !== undefined && nativeCrypto !== undefined
          ? nativeCrypto.sign(null, message, native)
          : ed25519.sign(message, secret),
      ),
  }
}

/** Signs `body` as `type` on this chain; hex. Rejects as `SigningKey.sign`. */
export async function signObject(type: SignatureType, chainId: Hash, body: object, key: SigningKey): Promise<Hex> {
  return bytesToHex(await key.sign(signingBytes(type, chainId, body)))
}
