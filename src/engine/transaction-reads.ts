import type { ChainStore } from '../ports/chain-store.ts'
import type { ShownTransaction, Transaction } from '../protocol/transaction.ts'

export interface TransactionPlace {
  readonly height: number
  readonly index: number
}

/**
 * The transactions at these places, in their order; `undefined` where there is none. Each block is read once, however many
 * of its transactions are asked for, and one at a time: what is in memory is one block and what was asked for.
 */
export async function transactionsAt(
  store: Pick<ChainStore, 'block'>,
  places: readonly TransactionPlace[],
): Promise<readonly (ShownTransaction | undefined)[]> {
  const found = new Array<ShownTransaction | undefined>(places.length)
  const byHeight = new Map<number, number[]>()
  for (const [at, { height }] of places.entries()) {
    const here = byHeight.get(height)
    if (here === undefined) byHeight.set(height, [at])
    else here.push(at)
  }
  for (const [height, here] of byHeight) {
    const transactions = (await store.block(height))?.transactions
    for (const at of here) found[at] = transactions?.[places[at]?.index ?? -1]
  }
  return found
}

/** Those of these ids that the chain has below `size` blocks, but what was redacted. */
export async function transactionsById(
  store: Pick<ChainStore, 'block' | 'places'>,
  ids: readonly string[],
  size: number,
): Promise<ReadonlyMap<string, Transaction>> {
  const places = (await store.places([...new Set(ids)])).flatMap((place) =>
    place !== undefined && place.height < size ? [place] : [],
  )
  const found = await transactionsAt(store, places)
  return new Map(found.flatMap((tx) => (tx === undefined || tx.kind === 'redacted' ? [] : [[tx.id, tx]])))
}
