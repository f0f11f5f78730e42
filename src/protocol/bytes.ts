import { bytesToHex as encodeHex, hexToBytes as decodeHex } from '@noble/hashes/utils.js'
import { concat } from 'uint8arrays/concat'
import { equals } from 'uint8arrays/equals'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'

/** SHA-256 as 64 lower-case hex characters. */
export type Hash = string
/** Lower-case hex of any length. */
export type Hex = string

// @noble's hex is much faster than a multibase codec, and trees decode a lot of it.
export const hexToBytes = (hex: Hex): Uint8Array => decodeHex(hex)
export const bytesToHex = (bytes: Uint8Array): Hex => encodeHex(bytes)
export const utf8ToBytes = (text: string): Uint8Array => fromString(text, 'utf8')
export const bytesToUtf8 = (bytes: Uint8Array): string => toString(bytes, 'utf8')
export const concatBytes = (...parts: Uint8Array[]): Uint8Array => concat(parts)
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => equals(a, b)
