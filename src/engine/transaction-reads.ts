import type { ChainStore } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import { ITEMS_OF_PIECE } from '../protocol/pieces.ts'
import type { ShownTransaction, Transaction } from '../protocol/transaction.ts'

export interface TransactionPlace {
  readonly height: number
  readonly index: number
}

/**
 * The transactions at these places, in their order; `undefined` where there is none. What is near to each other in a block is
 * read together, and one part of a block at a time: what is in memory is that and what was asked for.
 */
export async function transactionsAt(
  store: Pick<ChainStore, 'transactions'>,
  places: readonly TransactionPlace[],
): Promise<readonly (ShownTransaction | undefined)[]> {
  const found = new Array<ShownTransaction | undefined>(places.length)
  const inOrder = places.map((place, at) => ({ ...place, at })).sort((a, b) => a.height - b.height || a.index - b.index)
  for (let next = 0; next < inOrder.length;) {
    const first = inOrder[next]
    if (first === undefined) break
    let end = next + 1
    const isNear = (place: TransactionPlace | undefined): boolean =>
      place?.height === first.height && place.index < first.index + ITEMS_OF_PIECE
    while (isNear(inOrder[end])) end += 1
    const count = (inOrder[end - 1] ?? first).index - first.index + 1
    const part = await store.transactions(first.height, first.index, count)
    for (const { at, index } of inOrder.slice(next, end)) found[at] = part[index - first.index]
    next = end
  }
  return found
}

/** Those of these ids that the chain has below `size` blocks, but what was redacted. */
export async function transactionsById(
  store: Pick<ChainStore, 'transactions' | 'places'>,
  ids: readonly string[],
  size: number,
): Promise<ReadonlyMap<string, Transaction>> {
  const places = (await store.places([...new Set(ids)])).flatMap((place) =>
    place !== undefined && place.height < size ? [place] : [],
  )
  const found = await transactionsAt(store, places)
  return new Map(found.flatMap((tx) => (tx === undefined || tx.kind === 'redacted' ? [] : [[tx.id, tx]])))
}

/** True if some body of the block of this height is here, which says what tick it has sealed. */
export async function showsAny(store: Pick<ChainStore, 'transactions'>, height: number): Promise<boolean> {
  for (let from = 0; ; from += ITEMS_OF_PIECE) {
    const part = await store.transactions(height, from, ITEMS_OF_PIECE)
    if (part.length === 0) return false
    if (part.some(({ kind }) => kind !== 'redacted')) return true
  }
}

type Corrections = Pick<ChainStore, 'correctionsOf' | 'transactions'>

/** See `Chain.correctionsOf`. */
export async function correctionsOf(store: Corrections, tradeId: string, upTo: number): Promise<readonly string[]> {
  const places = (await store.correctionsOf(tradeId)).filter(({ height }) => height <= upTo)
  const found = await transactionsAt(store, places)
  return places.flatMap(({ height, index }, at) => {
    const tx = found[at]
    if (tx?.kind === 'redacted') return []
    if (tx?.kind === 'correction') return [tx.id]
    throw ledgerError('corrupt', {
      place: `chain store, corrections of ${tradeId}`,
      expected: `a correction, transaction ${index} of block ${height}`,
      found: tx?.kind ?? 'nothing',
    })
  })
}

/** See `Chain.firstLacking`. */
export async function firstLacking(
  store: Corrections & Pick<ChainStore, 'firstUnknownId'>,
  tradeId: string,
  from: number,
  upTo: number,
): Promise<number | undefined> {
  const places = (await store.correctionsOf(tradeId)).filter(({ height }) => height <= upTo)
  const found = await transactionsAt(store, places)
  const removed = places.find((_, at) => found[at]?.kind === 'redacted')?.height
  const unknown = await store.firstUnknownId(from, upTo + 1)
  return removed === undefined || unknown === undefined ? (removed ?? unknown) : Math.min(removed, unknown)
}
