import type { Clock } from '../ports/clock.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { createFinalityCount, noteAck, type AckHeights } from '../protocol/finality.ts'
import type { Registry } from '../protocol/registry.ts'
import type { Vote } from '../protocol/vote.ts'
import { readAckHeights } from './ack-heights.ts'
import type { Chain } from './chain.ts'
import type { EventHub } from './events.ts'
import { createSerial } from './serial.ts'

export interface FinalizerParts {
  readonly chain: Chain
  readonly store: FinalityStore
  readonly events: EventHub
  readonly clock: Clock
}

/** Decides which blocks are final, by the policy in force at each (docs/protocol.md 5). Final is for ever. */
export interface Finalizer {
  /** -1 before the first final block. */
  readonly finalHeight: number
  /** True if the next block is final as soon as it is sealed: policy `authority`, and nothing below it waits. */
  isFinalWhenSealed(height: number, registryBefore: Registry): boolean
  /** The block of this height was fenced as final. */
  sealedFinal(height: number): void
  /** Counts the acks among stored votes on headers of this chain, then finalizes what they complete: once for all of them. */
  count(votes: readonly Vote[]): Promise<void>
  /** Finalizes what can be: after a block was sealed. */
  evaluate(): Promise<void>
  /** Changes the chain while nothing is counted, then counts anew the acks of the chain as it is. Throws what `change` throws. */
  during<T>(change: () => Promise<T>): Promise<T>
}

export async function openFinalizer({ chain, store, events, clock }: FinalizerParts): Promise<Finalizer> {
  const lane = createSerial()
  let finalHeight = await store.finalHeight()
  let ackHeights = await readAckHeights(chain, store, finalHeight)
  /** An ack was counted since the last evaluation that succeeded. */
  let hasNews = false

  async function evaluate(): Promise<void> {
    const reached = await finalHeightOf(chain, finalHeight, ackHeights)
    if (reached <= finalHeight) return
    const at = clock.now()
    await store.finalizeUpTo(reached, at)
    const first = finalHeight + 1
    // Another authority on the database may have counted further meanwhile.
    finalHeight = Math.max(finalHeight, reached)
    for (const { header, hash } of await chain.headers(first, reached - first + 1)) {
      events.emit({ type: 'final', header_hash: hash, height: header.height, finalized_at: at })
    }
  }

  return {
    get finalHeight() {
      return finalHeight
    },
    isFinalWhenSealed: (height, before) => finalHeight === height - 1 && before.finality.policy === 'authority',
    sealedFinal(height) {
      finalHeight = Math.max(finalHeight, height)
    },
    count: (votes) =>
      lane(async () => {
        const acks = votes.filter(({ decision }) => decision === 'ack')
        const headers = await onChain(chain, acks)
        for (const { voter_id, height, header_hash } of acks) {
          if (!headers.has(header_hash)) continue
          noteAck(ackHeights, voter_id, height, await chain.registryBefore(height))
          hasNews = true
        }
        if (!hasNews) return
        await evaluate()
        hasNews = false
      }),
    evaluate: () => lane(evaluate),
    during: (change) =>
      lane(async () => {
        try {
          return await change()
        } finally {
          ackHeights = await readAckHeights(chain, store, finalHeight)
          await evaluate()
        }
      }),
  }
}

/** `newFinalHeight` of the chain. */
async function finalHeightOf(chain: Chain, finalHeight: number, ackHeights: AckHeights): Promise<number> {
  const count = createFinalityCount({ finalHeight, ackHeights })
  const guarded = new Set(await chain.guardedHeights(finalHeight, chain.size - 1))
  for (let height = finalHeight + 1; height < chain.size; height++) {
    // What is in memory is not waited for: there may be many blocks.
    const before = chain.recentRegistry(height) ?? (await chain.registryBefore(height))
    if (!count.take(height, before, guarded.has(height))) break
  }
  return count.finalHeight
}

/** Those of the voted headers that are on the chain. */
async function onChain(chain: Chain, votes: readonly Vote[]): Promise<ReadonlySet<Hash>> {
  const hashes = [...new Set(votes.map(({ header_hash }) => header_hash))]
  const heights = await Promise.all(hashes.map((hash) => chain.heightOf(hash)))
  return new Set(hashes.filter((_, index) => heights[index] !== undefined))
}
