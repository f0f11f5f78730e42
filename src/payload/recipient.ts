import { ed25519 } from '@noble/curves/ed25519.js'
import { bech32 } from '@scure/base'
import { hexToBytes, type Hex } from '../protocol/bytes.ts'
import { text } from '../protocol/shape.ts'

/**
 * An X25519 recipient of age (C2SP age.md), as its tools print it. That it is a point is checked when
 * somebody encrypts for it.
 */
export const recipientShape = text(/^age1[02-9ac-hj-np-z]{58}$/, 'a recipient of age, age1 and 58 characters')

/**
 * The recipient of age for whoever holds an Ed25519 key: the same point on the Montgomery curve (RFC 7748,
 * 4.1), `age1...`. So a device that signs can be written to, and needs no second key.
 *
 * @param publicKey Ed25519, hex
 */
export const recipientOf = (publicKey: Hex): string =>
  bech32.encodeFromBytes('age', ed25519.utils.toMontgomery(hexToBytes(publicKey)))

/**
 * What opens what was encrypted for `recipientOf` the public key of this secret: the scalar that Ed25519
 * signs with (RFC 8032, 5.1.5), `AGE-SECRET-KEY-1...`. It is as secret as the key.
 *
 * @param secret RFC 8032 seed, 32 bytes
 */
export const identityOf = (secret: Uint8Array): string =>
  bech32.encodeFromBytes('age-secret-key-', ed25519.utils.toMontgomerySecret(secret)).toUpperCase()
