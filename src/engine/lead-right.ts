import type { MarketStore } from '../ports/market-store.ts'
import { sealingKey } from '../protocol/block.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Chain } from './chain.ts'
import type { ToSeal } from './seal-guard.ts'

export interface LeadRightParts {
  readonly chain: Chain
  readonly store: Pick<MarketStore, 'waitingRecovery'>
  /** The registered id of the authority that seals here. */
  readonly minerId: string
  /** The signing key with this public key, if this node has it. */
  readonly keyOf: (publicKey: Hex) => Promise<SigningKey | undefined>
}

/**
 * Whether this node could seal what comes next. Where several share a database one that could not must not lead: it would wait
 * for its key in the place of one that has one. All of it is as it was at the last look.
 */
export interface LeadRight {
  /** True while the key is here that the registry names, or that a waiting recovery brings; and while a recovery is in hand. */
  mayLead(): boolean
  /** The key that seals next, if it is not here. */
  missing(): Hex | undefined
  /** What is sealed next, if anything waits. */
  next(): ToSeal
  /** Throws as the store. */
  look(): Promise<void>
  /** Commits and seals a recovery of this authority's own key, for which it may lead whatever key is not here. Throws as `work`. */
  recovering<T>(work: () => Promise<T>): Promise<T>
}

export function createLeadRight({ chain, store, minerId, keyOf }: LeadRightParts): LeadRight {
  const named = (): Hex | undefined => chain.registry.active(minerId, 'authority')?.public_key
  let next: ToSeal = 'block'
  let isHere = false
  let lacking: { readonly key: Hex; readonly named: Hex | undefined } | undefined
  let isRecovering = false

  /** A key file that cannot be read is not here: what is wrong with it hears who asks for a seal. */
  const has = async (key: Hex): Promise<boolean> => (await keyOf(key).catch(() => undefined)) !== undefined

  async function look(): Promise<void> {
    const waiting = await store.waitingRecovery(minerId)
    const transactions = waiting?.transactions ?? []
    const key = sealingKey({ header: { miner_id: minerId }, transactions }, chain.registry)
    const found = key !== undefined && (await has(key))
    next = waiting === undefined ? 'block' : 'recovery'
    isHere = found
    lacking = key === undefined || found ? undefined : { key, named: named() }
  }

  return {
    mayLead: () => isRecovering || (isHere && (next === 'recovery' || named() !== undefined)),
    missing: () => (lacking?.named === named() ? lacking?.key : undefined),
    next: () => next,
    look,
    async recovering(work) {
      isRecovering = true
      try {
        return await work()
      } finally {
        // Where the store fails, who keeps up with it looks again.
        await look().catch(() => undefined)
        isRecovering = false
      }
    },
  }
}
