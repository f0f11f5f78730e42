import type { StoredHeader } from '../../ports/chain-store.ts'
import { headerShape } from '../../protocol/header.ts'
import { MAX_TRANSACTIONS_PER_BLOCK } from '../../protocol/limits.ts'
import type { Pieces } from '../../protocol/pieces.ts'
import { array, arrayInPieces, hash32, object, signatureHex } from '../../protocol/shape.ts'
import { shownTransactionShape, type ShownTransaction } from '../../protocol/transaction.ts'
import { corrupt, decodeText, decodeTextInPieces } from '../decode.ts'
import { sortable } from './keyspaces.ts'

/** How blocks are written in LevelDB. All of these throw `corrupt`. */

const storedHeaderShape = object({ header: headerShape, signature: signatureHex, hash: hash32 })
const bodyShape = array(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK)

/** Of a body that may be large. */
export const decodeBodyInPieces = (place: string, text: string): Pieces<readonly ShownTransaction[]> =>
  decodeTextInPieces(place, text, arrayInPieces(shownTransactionShape, MAX_TRANSACTIONS_PER_BLOCK))

/** Of a body, or of a page of one. */
export const decodeBody = (place: string, text: string): readonly ShownTransaction[] =>
  decodeText(place, text, bodyShape)

export function decodeHeader(text: string, height: number): StoredHeader {
  const place = `level header of height ${height}`
  const stored = decodeText(place, text, storedHeaderShape)
  if (stored.header.height !== height) throw corrupt(place, `height ${height}`, `height ${stored.header.height}`)
  return stored
}

/** The height of a `heightKey`. */
export function decodeHeightKey(key: string): number {
  const height = Number.parseInt(key.slice(1), 16)
  if (!Number.isSafeInteger(height) || key.slice(1) !== sortable(height)) {
    throw corrupt(`level ${key}`, 'the key of a height', key)
  }
  return height
}

export function decodeInteger(place: string, text: string): number {
  const value = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) throw corrupt(place, 'an integer', JSON.stringify(text))
  return value
}
