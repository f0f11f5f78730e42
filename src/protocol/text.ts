import { bytesToUtf8, equalBytes, utf8ToBytes } from './bytes.ts'
import { protocolError } from './errors.ts'

const UTF8_MARK = [0xef, 0xbb, 0xbf]
const UTF16_MARKS = [
  { isLittleEndian: true, mark: [0xff, 0xfe] },
  { isLittleEndian: false, mark: [0xfe, 0xff] },
] as const
/** Characters that one call of String.fromCharCode takes without filling the stack. */
const CHUNK = 4_096
/** With the flag u it finds halves of a pair that stand alone. */
const LONE_SURROGATE = /[\ud800-\udfff]/u

/**
 * The text of a file or a body that people or programs wrote: UTF-8, or UTF-16 with its byte order mark, which is what
 * `>` writes in PowerShell. A byte order mark is no part of the text. Throws `malformed`.
 */
export function decodeText(bytes: Uint8Array): string {
  const startsWith = (mark: readonly number[]): boolean => mark.every((byte, index) => bytes[index] === byte)
  const utf16 = UTF16_MARKS.find(({ mark }) => startsWith(mark))
  const text =
    utf16 === undefined
      ? decodeUtf8(startsWith(UTF8_MARK) ? bytes.subarray(UTF8_MARK.length) : bytes)
      : decodeUtf16(bytes.subarray(utf16.mark.length), utf16.isLittleEndian)
  if (text !== undefined) return text
  const expected = 'UTF-8, or UTF-16 with a byte order mark'
  throw protocolError('malformed', { path: 'text', expected, got: 'other bytes' })
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  const text = bytesToUtf8(bytes)
  return equalBytes(utf8ToBytes(text), bytes) ? text : undefined
}

function decodeUtf16(bytes: Uint8Array, isLittleEndian: boolean): string | undefined {
  if (bytes.length % 2 !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: string[] = []
  for (let start = 0; start < bytes.length; start += 2 * CHUNK) {
    const units = (Math.min(bytes.length, start + 2 * CHUNK) - start) / 2
    parts.push(
      String.fromCharCode(...Array.from({ length: units }, (_, i) => view.getUint16(start + 2 * i, isLittleEndian))),
    )
  }
  const text = parts.join('')
  return LONE_SURROGATE.test(text) ? undefined : text
}
