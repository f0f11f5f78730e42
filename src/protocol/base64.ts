import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { refuse } from './shape.ts'

/** Standard base64 with padding (RFC 4648 section 4), as C2SP notes have it. */
export const bytesToBase64 = (bytes: Uint8Array): string => toString(bytes, 'base64pad')

/** The bytes of base64 text. One spelling of each value: spare bits must be 0, padding is there. Throws `malformed`. */
export function base64ToBytes(text: string, path = 'base64'): Uint8Array {
  const bytes = decode(text)
  return bytes !== undefined && bytesToBase64(bytes) === text ? bytes : refuse(path, 'base64 with padding', text)
}

function decode(text: string): Uint8Array | undefined {
  try {
    return fromString(text, 'base64pad')
  } catch {
    // The codec throws plain errors for characters outside its alphabet.
    return undefined
  }
}
