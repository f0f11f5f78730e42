import type { Gossip } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import { canonicalBytes } from '../protocol/canonical-json.ts'
import type { VoteCounter } from './vote-counter.ts'

/**
 * Counts votes that were handed to this node alone, over HTTP or as a request of a peer, and gossips each that is new: who
 * casts it may know no other node, or its gossip was lost while its only peer was away.
 */
export function passingOn(counter: VoteCounter, gossip: Gossip, logger: Logger): VoteCounter {
  return {
    async cast(vote) {
      const counted = await counter.cast(vote)
      if (counted.outcome === 'stored') {
        gossip
          .publish('votes', canonicalBytes(vote))
          .catch((error: unknown) => logger.debug({ error }, 'a vote could not be passed on'))
      }
      return counted
    },
  }
}
