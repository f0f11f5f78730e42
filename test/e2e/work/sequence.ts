import type { RandomBytes } from '../../../src/ports/clock.ts'
import { sha256 } from '../../../src/protocol/hash.ts'

/** The same bytes in the same order each time, so that two authorities make the same transactions of one tick. */
export function sequenceOfBytes(): RandomBytes {
  let count = 0
  return (length) => {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 32) bytes.set(sha256(`bytes ${count++}`).subarray(0, length - at), at)
    return bytes
  }
}
