import { concat } from 'uint8arrays/concat'
import { equals } from 'uint8arrays/equals'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'

/** SHA-256 as 64 lower-case hex characters. */
export type Hash = string
/** Lower-case hex of any length. */
export type Hex = string

export const hexToBytes = (hex: Hex): Uint8Array => fromString(hex, 'base16')
export const bytesToHex = (bytes: Uint8Array): Hex => toString(bytes, 'base16')
export const utf8ToBytes = (text: string): Uint8Array => fromString(text, 'utf8')
export const bytesToUtf8 = (bytes: Uint8Array): string => toString(bytes, 'utf8')
export const concatBytes = (...parts: Uint8Array[]): Uint8Array => concat(parts)
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => equals(a, b)
