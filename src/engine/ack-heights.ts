import type { FinalityStore } from '../ports/finality-store.ts'
import { registryTransactionsOf } from '../protocol/block.ts'
import type { Hex } from '../protocol/bytes.ts'
import { noteAck } from '../protocol/finality.ts'
import type { Chain } from './chain.ts'

type Votes = Pick<FinalityStore, 'ackHeights' | 'votesOf'>

/**
 * The greatest height of this chain that was acked with each key (`ChainView.ackHeights`), as far as blocks
 * above `finalHeight` may need it. The store knows the greatest of each voter; one whose key has changed
 * since may have acked with the former one, and for that the votes below the change are read.
 */
export async function readAckHeights(chain: Chain, votes: Votes, finalHeight: number): Promise<Map<Hex, number>> {
  const heights = new Map<Hex, number>()
  for (const [voterId, height] of await votes.ackHeights()) {
    noteAck(heights, voterId, height, await chain.registryBefore(height))
  }
  const { keys: former, last } = await formerKeys(chain, finalHeight)
  for (const key of heights.keys()) former.delete(key)
  for (let height = last; height > finalHeight && former.size > 0; height--) {
    const hash = await chain.hashAt(height)
    for (const { voter_id, decision } of hash === undefined ? [] : await votes.votesOf(hash)) {
      const key = (await chain.registryBefore(height)).active(voter_id)?.public_key
      if (decision !== 'ack' || key === undefined || !former.delete(key)) continue
      heights.set(key, height)
    }
  }
  return heights
}

/** Blocks that are read at once. */
const CHANGES_AT_ONCE = 100

/**
 * Keys that were in force at a block that is not final, and that a block since has taken from their holders; and the
 * height of the last change that is not final.
 */
async function formerKeys(
  chain: Chain,
  finalHeight: number,
): Promise<{ readonly keys: Set<Hex>; readonly last: number }> {
  const keys = new Set<Hex>()
  let last = finalHeight
  for (;;) {
    const heights = await chain.registryHeights(last + 1, CHANGES_AT_ONCE)
    for (const height of heights) {
      const [before, after] = [await chain.registryBefore(height), await chain.registryBefore(height + 1)]
      for (const { subject_id } of registryTransactionsOf((await chain.blockAt(height)).transactions)) {
        const entry = before.active(subject_id)
        const isHeld = after.active(subject_id)?.public_key === entry?.public_key
        if (entry !== undefined && entry.role !== 'authority' && !isHeld) keys.add(entry.public_key)
      }
    }
    if (heights.length === 0) return { keys, last }
    last = heights.at(-1) ?? last
  }
}
