import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes, type Hash } from './bytes.ts'
import { canonicalText } from './canonical-json.ts'
import { nativeCrypto, type NativeCrypto } from './native.ts'

/** SHA-256 behind one interface. Both hashers are exported so that tests can compare them. */
export interface Hasher {
  /** SHA-256 of bytes, or of the UTF-8 bytes of a string, as hex. */
  hex(data: Uint8Array | string): Hash
  /** Writes the 32-byte SHA-256 of `data` at `target[offset]`. `target` may be the buffer that `data` is a view of. */
  into(target: Uint8Array, offset: number, data: Uint8Array | string): void
}

const asBytes = (data: Uint8Array | string): Uint8Array => (typeof data === 'string' ? utf8ToBytes(data) : data)

/** Runs everywhere. */
export const portableHasher: Hasher = {
  hex: (data) => bytesToHex(nobleSha256(asBytes(data))),
  into: (target, offset, data) => target.set(nobleSha256(asBytes(data)), offset),
}

/** Node's own. A latin1 string carries the 32 bytes without a Buffer for each hash, which is what costs. */
function hasherOf(native: NativeCrypto): Hasher {
  return {
    hex: (data) => native.hash('sha256', data, 'hex'),
    into: (target, offset, data) => {
      const digest = native.hash('sha256', data, 'latin1')
      for (let i = 0; i < 32; i++) target[offset + i] = digest.charCodeAt(i)
    },
  }
}

/** The fast hasher, where the host has one. */
export const nativeHasher: Hasher | undefined = nativeCrypto && hasherOf(nativeCrypto)

const hasher = nativeHasher ?? portableHasher

/** SHA-256 of bytes, or of the UTF-8 bytes of a string, as 64 hex characters. */
export const sha256Hex = (data: Uint8Array | string): Hash => hasher.hex(data)
/** Writes the 32-byte SHA-256 of `data` at `target[offset]`. */
export const sha256Into: Hasher['into'] = (target, offset, data) => hasher.into(target, offset, data)

/** SHA-256 of bytes as 32 bytes. */
export function sha256(data: Uint8Array | string): Uint8Array {
  const result = new Uint8Array(32)
  hasher.into(result, 0, data)
  return result
}

/** sha256(canonical(value)): how every object of the protocol is named. Throws `not_canonical`. */
export const hashObject = (value: unknown): Hash => sha256Hex(canonicalText(value))
