import type { ChainLedger } from '../ports/ledger.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { REQUEST_VALIDITY_MS } from '../protocol/limits.ts'
import type { AckSource } from './proven-step.ts'
import { chainQueries, registryQueries } from './chain-queries.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { Finalizer } from './finalizer.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import { receiptsOf } from './receipt-builder.ts'
import type { VoteCounter } from './vote-counter.ts'

export interface ValidatorLedgerParts {
  readonly chain: Chain
  readonly store: FinalityStore
  readonly acks: AckSource
  readonly votes: VoteCounter
  readonly finalizer: Finalizer
  readonly evidence: EvidencePool
  readonly events: EventHub
  readonly beside: (hash: Hash) => Promise<ShownBlock | undefined>
  readonly finalizedAt: (height: number) => Promise<number | null>
}

/** A validator's answers. It knows no platform users: a device is its own user here. */
export function createValidatorLedger(parts: ValidatorLedgerParts): ChainLedger {
  const { chain, votes, evidence, events } = parts
  return {
    genesis: chain.genesis,
    chainId: chain.chainId,
    ...chainQueries(parts),
    ...registryQueries(chain, new Map()),
    castVote: async (vote) => (await votes.cast(vote)).answer,
    receipt: receiptsOf({ chain, acks: parts.acks, anchorHeight: () => parts.finalizer.finalHeight }),
    evidence: (limit) => evidence.list(limit),
    rememberRequest: createRequestMemory(),
    subscribe: (listener) => events.subscribe(listener),
  }
}

/** How many ids are remembered at the most; the oldest go first. */
const MAX_REQUESTS = 100_000

/**
 * Accepts a signed request's id once. In memory: a request that is used again after a restart, within its minute, gets its
 * sender's own data a second time, over a connection that only who has stolen it could have opened.
 */
function createRequestMemory(): ChainLedger['rememberRequest'] {
  const seen = new Map<string, number>()
  return (id, expiresAt) => {
    if (seen.has(id)) return Promise.resolve(false)
    seen.set(id, expiresAt)
    for (const [oldest, until] of seen) {
      if (seen.size <= MAX_REQUESTS && until > expiresAt - 4 * REQUEST_VALIDITY_MS) break
      seen.delete(oldest)
    }
    return Promise.resolve(true)
  }
}
