import type { Clock } from '../ports/clock.ts'
import type { MarketStore } from '../ports/market-store.ts'
import { newFinalHeight, requiredVotes } from '../protocol/finality.ts'
import type { Vote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import { createSerial } from './serial.ts'

export interface FinalizerParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly events: EventHub
  readonly clock: Clock
}

/** Decides which blocks are final, by the policy in force at each (docs/protocol.md 5). Final is for ever. */
export interface Finalizer {
  /** -1 before the first final block. */
  readonly finalHeight: number
  /** True if the next block is final as soon as it is sealed: policy `authority`, and nothing below it waits. */
  isFinalWhenSealed(height: number): boolean
  /** The block of this height was fenced as final. */
  sealedFinal(height: number): void
  /** Counts a stored ack on a header of this chain, and finalizes what it completes. */
  count(vote: Vote): Promise<void>
  /** Finalizes what can be: after a block was sealed. */
  evaluate(): Promise<void>
  /** Changes the chain while nothing is counted, then counts anew on the chain as it is. Throws what `change` throws. */
  during<T>(change: () => Promise<T>): Promise<T>
  /** Acks that the block of this height needs; 0 under policy `authority`. */
  required(height: number): number
}

export async function openFinalizer({ chain, store, events, clock }: FinalizerParts): Promise<Finalizer> {
  const lane = createSerial()
  const ackHeights = new Map(await store.ackHeights())
  let finalHeight = await store.finalHeight()

  async function evaluate(): Promise<void> {
    const reached = newFinalHeight({
      finalHeight,
      tipHeight: chain.size - 1,
      registryBefore: (height) => chain.registryBefore(height),
      isGuarded: (height) => chain.isGuarded(height),
      ackHeights,
    })
    if (reached <= finalHeight) return
    const at = clock.now()
    await store.finalizeUpTo(reached, at)
    const first = finalHeight + 1
    finalHeight = reached
    for (const { header, hash } of await chain.headers(first, reached - first + 1)) {
      events.emit({ type: 'final', header_hash: hash, height: header.height, finalized_at: at })
    }
  }

  return {
    get finalHeight() {
      return finalHeight
    },
    isFinalWhenSealed: (height) =>
      finalHeight === height - 1 && chain.registryBefore(height).finality.policy === 'authority',
    sealedFinal(height) {
      finalHeight = Math.max(finalHeight, height)
    },
    count: (vote) =>
      lane(async () => {
        if (vote.decision !== 'ack' || (ackHeights.get(vote.voter_id) ?? -1) >= vote.height) return
        ackHeights.set(vote.voter_id, vote.height)
        await evaluate()
      }),
    evaluate: () => lane(evaluate),
    required: (height) => requiredVotes(chain.registryBefore(height).finality),
  }
}
