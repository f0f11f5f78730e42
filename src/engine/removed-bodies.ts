import type { ChainStore } from '../ports/chain-store.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Transaction } from '../protocol/transaction.ts'
import type { FetchParts } from './block-pages.ts'
import { fillFrom } from './missing-bodies.ts'

export interface RemovedBodiesParts extends FetchParts {
  readonly store: Pick<ChainStore, 'block' | 'heightsOfIds' | 'correctionsOf'>
}

/**
 * The trades that this block corrects, and their corrections so far, as far as their bodies were removed here
 * and a peer still shows them: `peer` is asked first, then the others. They are for one check and stored
 * nowhere. What is asked for is bounded by what was removed here: only blocks of this chain with such a hole
 * are fetched, one at a time.
 */
export async function fetchRemoved(
  parts: RemovedBodiesParts,
  peer: string,
  { transactions }: Pick<ShownBlock, 'transactions'>,
): Promise<readonly Transaction[]> {
  const trades = new Set(transactions.flatMap((tx) => (tx.kind === 'correction' ? [tx.corrects] : [])))
  const isWanted = (tx: Transaction): boolean => trades.has(tx.kind === 'correction' ? tx.corrects : tx.id)
  const shown: Transaction[] = []
  for (const height of await heightsOf(trades, parts.store)) {
    shown.push(...(await removedAt(height, parts, peer)).filter(isWanted))
  }
  return shown
}

/** Of these trades and of their corrections. */
async function heightsOf(
  trades: ReadonlySet<string>,
  store: RemovedBodiesParts['store'],
): Promise<ReadonlySet<number>> {
  const heights = new Set((await store.heightsOfIds([...trades])).filter((height) => height !== undefined))
  for (const id of trades) for (const { height } of await store.correctionsOf(id)) heights.add(height)
  return heights
}

/** The bodies that are missing in a block here and that peers show. */
async function removedAt(height: number, parts: RemovedBodiesParts, first: string): Promise<readonly Transaction[]> {
  const block = await parts.store.block(height)
  if (block === undefined) return []
  const peers = [first, ...parts.requests.peers().filter((other) => other !== first)]
  const { transactions } = await fillFrom(parts, peers, block)
  return transactions.flatMap((tx, index) =>
    tx.kind === 'redacted' || block.transactions[index]?.kind !== 'redacted' ? [] : [tx],
  )
}
