import { protocolError } from './errors.ts'

const ENCODINGS = [
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
] as const

/**
 * The text of a file or a body that people or programs wrote: UTF-8, or UTF-16 with its byte order mark, which is what
 * `>` writes in PowerShell. A byte order mark is no part of the text. Throws `malformed`.
 */
export function decodeText(bytes: Uint8Array): string {
  const [encoding] = ENCODINGS.find(([, mark]) => mark.every((byte, index) => bytes[index] === byte)) ?? ['utf-8']
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    const expected = 'UTF-8, or UTF-16 with a byte order mark'
    throw protocolError('malformed', { path: 'text', expected, got: 'other bytes' })
  }
}
