import type { ChainStore } from '../ports/chain-store.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { ShownBlock } from '../protocol/block.ts'
import { leafOf, type Transaction } from '../protocol/transaction.ts'
import { fetchShownBlock, type CredentialSigner } from './block-fetcher.ts'

export interface RemovedBodiesParts {
  readonly store: Pick<ChainStore, 'block' | 'heightsOfIds' | 'correctionsOf'>
  readonly requests: PeerRequests
  readonly sign: CredentialSigner
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
async function removedAt(
  height: number,
  { store, requests, sign }: RemovedBodiesParts,
  first: string,
): Promise<readonly Transaction[]> {
  const block = await store.block(height)
  const holes = new Set(block?.transactions.flatMap((tx) => (tx.kind === 'redacted' ? [tx.tx_hash] : [])))
  const found: Transaction[] = []
  for (const peer of [first, ...requests.peers().filter((other) => other !== first)]) {
    if (block === undefined || holes.size === 0) break
    const answer = await fetchShownBlock(requests, peer, block, sign).catch(() => undefined)
    for (const tx of answer?.transactions ?? []) {
      if (tx.kind !== 'redacted' && holes.delete(leafOf(tx))) found.push(tx)
    }
  }
  return found
}
