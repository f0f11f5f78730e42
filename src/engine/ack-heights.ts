import type { FinalityStore } from '../ports/finality-store.ts'
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
    noteAck(heights, voterId, height, chain.registryBefore(height))
  }
  const former = formerKeys(chain, finalHeight)
  for (const key of heights.keys()) former.delete(key)
  const last = chain.registryHeights(finalHeight + 1).at(-1) ?? -1
  for (let height = Math.min(last, chain.size - 1); height > finalHeight && former.size > 0; height--) {
    const hash = await chain.hashAt(height)
    for (const { voter_id, decision } of hash === undefined ? [] : await votes.votesOf(hash)) {
      const key = chain.registryBefore(height).active(voter_id)?.public_key
      if (decision !== 'ack' || key === undefined || !former.delete(key)) continue
      heights.set(key, height)
    }
  }
  return heights
}

/** Keys that were in force at a block that is not final, and have been given up since. */
function formerKeys(chain: Chain, finalHeight: number): Set<Hex> {
  const former = new Set<Hex>()
  for (const height of chain.registryHeights(finalHeight + 1)) {
    const after = chain.registryBefore(height + 1)
    for (const { id, role, status, public_key } of chain.registryBefore(height).entries) {
      const isHeld = after.active(id)?.public_key === public_key
      if (role !== 'authority' && status === 'active' && !isHeld) former.add(public_key)
    }
  }
  return former
}
