import type { TransactionLocation } from '../../ports/chain-store.ts'
import { tickIdOf, type ShownBlock } from '../../protocol/block.ts'
import { canonicalText } from '../../protocol/canonical-json.ts'
import { unknownRedaction } from '../../protocol/redaction.ts'
import { corrupt } from '../decode.ts'
import { decodeInteger } from './block-values.ts'
import { keyOf, sortable } from './keyspaces.ts'
import { redactionKey } from './redacted-bodies.ts'

/** Index entries that blocks have for themselves, and not for each transaction. */
export function ownKeys({
  header,
  transactions,
}: ShownBlock): readonly { readonly key: string; readonly value: string }[] {
  const { height } = header
  const tickId = tickIdOf(transactions)
  return [
    ...(tickId === undefined ? [] : [{ key: keyOf('heightByTick', tickId), value: String(height) }]),
    ...transactions.flatMap((tx, index) =>
      tx.kind === 'correction' ? [{ key: correctionKey(tx.corrects, height, index), value: '' }] : [],
    ),
    ...transactions.flatMap((tx) => {
      if (tx.kind !== 'redacted') return []
      const redaction = unknownRedaction(tx.tx_hash, height)
      return [{ key: redactionKey(redaction), value: canonicalText(redaction) }]
    }),
  ]
}

/** Sorts by trade, height and index; an id has no slash in it. */
export const correctionKey = (tradeId: string, height: number, index: number): string =>
  keyOf('correction', `${tradeId}/${sortable(height)}/${sortable(index)}`)

export function decodeCorrectionKey(key: string): TransactionLocation {
  const [, height = '', index = ''] = key.split('/')
  const place = { height: Number.parseInt(height, 16), index: Number.parseInt(index, 16) }
  if (sortable(place.height) === height && sortable(place.index) === index) return place
  throw corrupt(`level ${key}`, 'the key of a correction', key)
}

export function decodePlace(key: string, text: string | undefined): TransactionLocation | undefined {
  if (text === undefined) return undefined
  const [height = '', index = ''] = text.split('/')
  const place = `level place of ${key.slice(1)}`
  return { height: decodeInteger(place, height), index: decodeInteger(place, index) }
}

export const decodeHeight = (place: string, text: string | undefined): number | undefined =>
  text === undefined ? undefined : decodeInteger(place, text)
