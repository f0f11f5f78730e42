import type { Clock } from '../ports/clock.ts'
import type { ChainLedger } from '../ports/ledger.ts'
import type { AckSource } from './proven-step.ts'
import { createCertifiedUsers } from './certified-users.ts'
import { chainQueries, registryQueries } from './chain-queries.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { Finalizer } from './finalizer.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import { createRequestMemory } from './request-memory.ts'
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
  readonly clock: Clock
  readonly finalizedAt: (height: number) => Promise<number | null>
}

/** A validator's answers. It knows no platform users: whose device a voter is its certificate says. */
export function createValidatorLedger(parts: ValidatorLedgerParts): ChainLedger {
  const { chain, votes, evidence, events } = parts
  const isFirst = createRequestMemory()
  return {
    genesis: chain.genesis,
    chainId: chain.chainId,
    ...chainQueries(parts),
    ...registryQueries(chain),
    userOf: createCertifiedUsers(chain, parts.clock),
    async castVote(vote) {
      const { outcome, answer } = await votes.cast(vote)
      return { ...answer, isNew: outcome === 'stored' }
    },
    receipt: receiptsOf({ chain, acks: parts.acks, anchorHeight: () => parts.finalizer.finalHeight }),
    evidence: (limit) => evidence.list(limit),
    rememberRequest: (id, expiresAt) => Promise.resolve(isFirst(id, expiresAt)),
    subscribe: (listener) => events.subscribe(listener),
  }
}
