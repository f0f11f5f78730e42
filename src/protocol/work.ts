import { canonicalText } from './canonical-json.ts'
import { sha256Hex } from './hash.ts'
import { meetsDifficulty, type Header } from './header.ts'

const NONCE = '"nonce":'

/**
 * The smallest nonce in [from, from + count) with which the header's hash meets its difficulty (docs/protocol.md 4);
 * `undefined` if there is none. The header's own nonce does not matter. Takes about 16^difficulty hashes from 0 on.
 */
export function searchNonce(header: Header, from: number, count: number): number | undefined {
  const { difficulty } = header
  const text = canonicalText({ ...header, nonce: 0 })
  // No value of a header has a quotation mark, so this is the field.
  const at = text.indexOf(NONCE) + NONCE.length
  const before = text.slice(0, at)
  const after = text.slice(at + 1)
  for (let nonce = from; nonce < from + count; nonce++) {
    if (meetsDifficulty(sha256Hex(`${before}${nonce}${after}`), difficulty)) return nonce
  }
  return undefined
}
