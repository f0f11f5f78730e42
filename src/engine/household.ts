import type { Gossip } from '../ports/gossip.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Header, SealedHeader } from '../protocol/header.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Vote } from '../protocol/vote.ts'
import { ancestorsOf } from './ancestors.ts'
import type { FindIdentity } from './identity.ts'
import type { LightFollower } from './light-follower.ts'
import { lightAckView } from './lineage.ts'
import { verifyByBlock, verifyOwnTrades, type Identity, type OwnTradesParts } from './own-trades.ts'
import { createVoter } from './voter.ts'

export interface HouseholdParts extends OwnTradesParts {
  readonly chainId: Hash
  readonly follower: LightFollower
  readonly findIdentity: FindIdentity
  readonly gossip: Gossip
  readonly store: LightStore
  readonly key: SigningKey
  /** What the signer of the key has acked last, if it is in one. */
  readonly signedBefore?: Vote | null | undefined
  /** True while there is evidence against the key that sealed this block. */
  readonly isAccused: (sealed: SealedHeader) => boolean
  readonly onVote: (vote: Vote) => void
}

/** What a light node does as the holder of a registered key: it checks its own trades, votes, and disputes. */
export interface Household {
  /** Checks the block and votes on it, in the background. */
  consider(sealed: SealedHeader): void
  /** Peers answer: the head is considered once more if it could not be decided on, or if this node was stopped at it. */
  considerAgain(): void
  /** Whatever becomes of the chain: keeps its own trades of the block of this height that it holds, by the whole block. */
  dispute(height: number): Promise<void>
  /** Sends its last vote again to a peer that may have missed it. */
  resend(peer: string): Promise<void>
  /** Waits for the block in hand. */
  idle(): Promise<void>
}

export function createHousehold(parts: HouseholdParts): Household {
  const { follower, findIdentity, key, requests, logger } = parts
  const voter = createVoter({
    ...parts,
    viewOf: (header, lastAck) => lightAckView(follower, requests, header, lastAck),
    finalHeight: () => follower.trusted.anchor?.header.height ?? -1,
    check: (sealed, identity) => verifyOwnTrades(parts, sealed, identity),
    ancestorsOf: (sealed, above) => ancestorsOf(sealed, above, follower.window, requests),
  })

  /** The registry before a block that is held says who votes on it; `undefined` if the header before is not held. */
  function parentOf({ header }: SealedHeader): Header | null | undefined {
    if (header.height === 0) return null
    return follower.window.find((held) => held.header.height === header.height - 1)?.header
  }

  /** The head may still lack a vote. */
  let isOpen = true

  async function consider(sealed: SealedHeader): Promise<void> {
    const parent = parentOf(sealed)
    if (parent === undefined) return
    const place = { isGone: false }
    const isDone = await voter.consider(sealed, async () => {
      const identity = await findIdentity(key, parent)
      place.isGone = identity === undefined
      return identity
    })
    if (place.isGone) await considerLast(sealed, parent)
    // That the key is not registered may be a peer's word alone: another one may prove that it is.
    isOpen = place.isGone || !isDone
  }

  /** As `voter.consider`, for the block below `head` that took the key away: what is below counts its acks and no others. */
  async function considerLast({ header }: SealedHeader, parent: Header | null): Promise<void> {
    try {
      const last = await lastPlace(header.height, parent?.registry_root)
      if (last !== undefined) await voter.consider(last.sealed, () => Promise.resolve(last.identity))
    } catch (error) {
      logger.debug({ error }, 'it is not known up to which block this key is asked for')
    }
  }

  /**
   * The newest block below this height before which the key is active, if it is after the last final header: a key that was
   * taken away in a final block is asked for nowhere. Under `gone`, a registry_root, it is not.
   */
  async function lastPlace(
    height: number,
    gone: Hash | undefined,
  ): Promise<{ readonly sealed: SealedHeader; readonly identity: Identity } | undefined> {
    const final = follower.trusted.anchor?.header ?? null
    if ((await findIdentity(key, final)) === undefined) return undefined
    let root = gone
    for (const sealed of follower.window.filter(({ header }) => header.height < height).toReversed()) {
      const parent = parentOf(sealed)
      if (parent === undefined || sealed.header.height <= (final?.height ?? -1)) return undefined
      // Most blocks leave the registry as it is.
      if (parent !== null && parent.registry_root === root) continue
      root = parent?.registry_root
      const identity = await findIdentity(key, parent)
      if (identity !== undefined) return { sealed, identity }
    }
    return undefined
  }

  return {
    consider: (sealed) => void consider(sealed),
    considerAgain() {
      const head = follower.window.at(-1)
      if (isOpen && head !== undefined) void consider(head)
    },
    async dispute(height) {
      const held = follower.window.find(({ header }) => header.height === height)
      const parent = held && parentOf(held)
      const identity = parent === undefined ? undefined : await findIdentity(key, parent)
      if (held === undefined || identity === undefined) return
      const verdict = await verifyByBlock(parts, held, identity)
      if (!verdict.ok) parts.onAlarm(verdict.code, `block ${height}: ${verdict.reason}`)
    },
    resend: (peer) => voter.resend(peer),
    idle: () => voter.idle(),
  }
}
