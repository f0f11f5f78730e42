import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { HighWater } from '../ports/high-water.ts'
import type { Leadership } from '../ports/leadership.ts'
import type { Logger } from '../ports/logger.ts'
import type { BlockRow, MarketStore, VoidTick } from '../ports/market-store.ts'
import type { Miner } from '../ports/miner.ts'
import { inTurns } from '../ports/turns.ts'
import {
  assembleHeaderInPieces,
  sealerRecovery,
  sealingKey,
  type CommittedTick,
  type ShownBlock,
} from '../protocol/block.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { canonicalBytes } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { hashHeader, sealHeader, type Header, type SealedHeader } from '../protocol/header.ts'
import { mapInPieces } from '../protocol/pieces.ts'
import { refuseRegistry, type RegistryTransaction } from '../protocol/registry-transaction.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { hashTransaction, type ShownTransaction, type Transaction } from '../protocol/transaction.ts'
import type { Chain, Tip } from './chain.ts'
import type { EventHub } from './events.ts'
import type { Finalizer } from './finalizer.ts'
import type { Follower } from './follower.ts'
import { verifyTransactions } from './history-rules.ts'
import { checkLeads } from './leading.ts'
import type { PutBack } from './put-back.ts'
import type { SealGuard, ToSeal } from './seal-guard.ts'
import type { SharedFinality } from './shared-finality.ts'
import { isSignersRefusal, signedBefore } from './signed-before.ts'

export interface SealerParts {
  readonly chain: Chain
  readonly store: MarketStore
  readonly gossip: Gossip
  readonly events: EventHub
  readonly clock: Clock
  readonly logger: Logger
  readonly finalizer: Finalizer
  readonly finality: SharedFinality
  readonly follower: Follower
  readonly putBack: PutBack
  readonly guard: SealGuard
  readonly leadership: Leadership
  readonly highWater: HighWater
  /** Works under seal `work`. */
  readonly miner: Miner
  /** Awaited after a tick has become void: what it said of users is gone from SQL. */
  readonly onVoid?: () => Promise<void>
  /** The registered id of the authority that seals. */
  readonly minerId: string
  /** The signing key with this public key, if this node has it: the registry says which one seals. */
  readonly keyOf: (publicKey: Hex) => Promise<SigningKey | undefined>
}

/**
 * Seals committed ticks. The order is fence, store, speak (docs/architecture.md): nothing is spoken before the fence has
 * returned, and nothing is signed twice, because a block is a pure function of its parent and its tick.
 *
 * Whoever calls does so one at a time (the tick runner's lane).
 */
export interface Sealer {
  /** Applies what the leader has sealed since, and speaks of it; for an authority that stands by. Throws as `Follower.follow`. */
  follow(): Promise<void>
  /**
   * Aligns the stores, then seals every committed tick that is not sealed, oldest first, but a recovery of this authority's own
   * key before all others; one that can never be sealed becomes void. This is the whole of recovery, and also what runs after any failure. Throws as `Follower.align`, and as `checkAllowed` while there is such a tick.
   */
  catchUp(): Promise<void>
  /**
   * Seals a tick that was committed just now; everything older is sealed. Under seal `work` it takes as long as mining,
   * and throws `not_ready` if that is broken off.
   */
  seal(tick: CommittedTick, txHashes: readonly Hash[]): Promise<Tip>
  /**
   * Checks that this node can seal these transactions, and what comes after them. Throws `registry_refused` for what the
   * registry does not allow, `not_ready` without the key.
   */
  checkSealable(transactions: readonly Transaction[]): Promise<void>
  /** Throws `not_ready` if this node does not have the key that seals a block with these transactions, as one that is revoked. */
  checkKey(transactions: readonly Transaction[]): Promise<void>
  /**
   * Throws `not_ready` while no block with these transactions may be sealed, `not_leading` where another authority does it: a
   * tick that could not be sealed is not to be committed.
   */
  checkAllowed(transactions: readonly ShownTransaction[]): void
  /** True for what says it is the recovery of the key of this authority: the key that it brings seals it. */
  isOwnRecovery(transaction: RegistryTransaction): boolean
  /** The same, and the registry allows it: anybody may post one that nobody has signed. */
  isTrueRecovery(transaction: RegistryTransaction): Promise<boolean>
  /**
   * Aligns the stores for a true recovery of this authority's own key, which goes before all that waits: what waits may be for
   * the key that is lost. An earlier recovery that brings the same key is sealed. Throws as `Follower.align` and `seal`.
   */
  makeWay(recovery: RegistryTransaction): Promise<void>
  /**
   * Right before a true recovery of this authority's own key is committed: an earlier one that waits becomes void. Throws
   * `registry_refused` for a key that a void recovery has brought, as it may have signed, and as `checkAllowed`.
   */
  takePlace(recovery: RegistryTransaction): Promise<void>
  /** Puts a block on top that was sealed before, unless it is there. Throws as `PutBack.add`. */
  restore(block: ShownBlock, from: string): Promise<void>
  /** Seals the oldest unsealed tick; `undefined` if there is none. */
  proposeNext(): Promise<{ readonly tick: CommittedTick; readonly tip: Tip } | undefined>
}

export function createSealer(parts: SealerParts): Sealer {
  const { chain, store, gossip, events, clock, logger, finalizer, miner, minerId, follower, putBack, guard } = parts
  const { leadership, highWater, finality } = parts
  // What an earlier life has sealed peers find by asking, as they connect anew.
  let spokenHeight = chain.tip?.header.height ?? -1

  /** The key that seals a block with these transactions. Throws `not_ready` if this node does not have it. */
  async function keyFor(transactions: readonly Transaction[]): Promise<SigningKey> {
    const publicKey = sealingKey({ header: { miner_id: minerId }, transactions }, chain.registry)
    if (publicKey === undefined) throw ledgerError('not_ready', { reason: `the authority ${minerId} is revoked` })
    const key = await parts.keyOf(publicKey)
    if (key !== undefined) return key
    const reason = `the registry has the key ${publicKey} for ${minerId}: put its key file into the data directory, or give it to the signer`
    throw ledgerError('not_ready', { reason })
  }

  async function seal(tick: CommittedTick, txHashes: readonly Hash[]): Promise<Tip> {
    const { transactions } = tick
    // Mining, or asking for the key, would be for nothing.
    checkAllowed(transactions)
    const after = await chain.registryAfter(transactions)
    const key = await keyFor(transactions)
    const at = { parent: chain.tip, historyRoot: chain.historyRoot }
    const { genesis, chainId } = chain
    const draft = await inTurns(assembleHeaderInPieces(genesis, chainId, at, tick, txHashes, after.root, minerId))
    const header = genesis.seal === 'work' ? await miner.mine(draft) : draft
    // No second block of a height is signed, not even one that is then never spoken of.
    checkAllowed(transactions)
    const sealed = await sealedBy(key, header, kindOf(transactions))
    // The last moment to hear that the height is taken, which a signer may have taken its time for: nothing is awaited between
    // this and the fence. A node that stood still here may be refused by it, and what it has signed is then never spoken of.
    checkAllowed(transactions)
    const block_hash = hashHeader(header)
    const finalized_at = finalizer.isFinalWhenSealed(header.height, chain.registry) ? clock.now() : null
    await store.fence({ height: header.height, block_hash, tick_id: tick.tick_id, sealed, finalized_at })
    guard.fenced(header.height)
    // Before the block can be asked for: no older database is to seal anew a height that somebody was shown.
    await highWater.raise({ height: header.height, hash: block_hash })
    const tip = await chain.append({ ...sealed, transactions }, txHashes)
    speak(tip, finalized_at)
    if (finalized_at === null) await finalizer.evaluate()
    else finalizer.sealedFinal(header.height)
    return tip
  }

  /**
   * A signer gives the same signature again, as after a kill between it and the fence: the header is the same then. If it has signed
   * another one, that is a block which this database lacks. Throws `not_ready` for any refusal, with that as its cause.
   */
  async function sealedBy(key: SigningKey, header: Header, what: ToSeal): Promise<SealedHeader> {
    try {
      return await sealHeader(header, key)
    } catch (error) {
      if (!isSignersRefusal(error)) throw error
      const before = signedBefore(error)
      if (before !== undefined) {
        const { height, miner_id } = before.header
        const public_key = key.publicKey
        guard.saw({
          height,
          hash: hashHeader(before.header),
          miner_id,
          shownBy: 'the signer',
          public_key,
          named: public_key,
        })
      }
      const reason = guard.reason(what) ?? `the signer refuses block ${header.height}: ${error.message}`
      logger.error({ height: header.height, reason }, `NOT SEALING: ${reason}`)
      throw ledgerError('not_ready', { reason }, error)
    }
  }

  function checkAllowed(transactions: readonly ShownTransaction[]): void {
    checkLeads(leadership)
    guard.check(kindOf(transactions))
  }

  const kindOf = (transactions: readonly ShownTransaction[]): ToSeal =>
    sealerRecovery(transactions, minerId) === undefined ? 'block' : 'recovery'

  const isOwnRecovery = (transaction: RegistryTransaction): boolean => kindOf([transaction]) === 'recovery'

  /** Whether a tick is a recovery of this authority that brings the same key as this one. */
  const isOfKey = ({ transactions }: Pick<VoidTick, 'transactions'>, recovery: RegistryTransaction): boolean =>
    sealerRecovery(transactions, minerId)?.public_key === sealerRecovery([recovery], minerId)?.public_key

  async function checkSealable(transactions: readonly Transaction[]): Promise<void> {
    const after = await chain.registryAfter(transactions)
    await keyFor(transactions)
    const next = after.active(minerId, 'authority')
    if (next === undefined || (await parts.keyOf(next.public_key)) !== undefined) return
    const reason = `this node has no key file for ${next.public_key}, and its signer none, the new key of ${minerId}: it could not seal after the change`
    throw ledgerError('not_ready', { reason })
  }

  /**
   * Tells of blocks that were applied from the fence, or whose sealing failed half-way. Peers hear of the newest alone: who
   * does asks for those before it.
   */
  async function speakOf(applied: readonly BlockRow[]): Promise<void> {
    for (const { block_hash, sealed, finalized_at } of applied) tell(sealed, block_hash, finalized_at !== null)
    const { tip } = chain
    if (tip !== null && tip.header.height > spokenHeight) {
      if (applied.length === 0) {
        const [row] = await store.blocks(tip.header.height, 1)
        tell(tip.sealed, tip.hash, row !== undefined && row.finalized_at !== null)
      }
      spokenHeight = tip.header.height
      void publish(tip.sealed)
    }
    await finality.refresh()
  }

  const tell = (sealed: SealedHeader, header_hash: Hash, isFinal: boolean): void =>
    events.emit({ type: 'header', header_hash, sealed, status: isFinal ? 'final' : 'proposed' })

  /** Tells everybody. The tick does not wait for the network: a publish that hangs must not hold up the next tick. */
  function speak({ header, hash, sealed }: Tip, finalizedAt: number | null): void {
    const { height } = header
    spokenHeight = height
    tell(sealed, hash, finalizedAt !== null)
    if (finalizedAt !== null) events.emit({ type: 'final', header_hash: hash, height, finalized_at: finalizedAt })
    void publish(sealed)
  }

  async function publish(sealed: SealedHeader): Promise<void> {
    try {
      await gossip.publish('headers', canonicalBytes(sealed))
    } catch (error) {
      // The block stands; peers that miss the message find it by the next one or by asking.
      const { height } = sealed.header
      logger.warn({ error, height }, `block ${height} could not be gossiped`)
    }
  }

  async function sealNext() {
    for (;;) {
      const oldest = await store.nextUnsealedTick()
      if (oldest === undefined) return undefined
      const tick = (await store.waitingRecovery(minerId)) ?? oldest
      const reason = await neverSealable(tick)
      if (reason === undefined) {
        const txHashes = await inTurns(mapInPieces(tick.transactions, hashTransaction))
        return { tick, tip: await seal(tick, txHashes) }
      }
      await setAside(tick, reason)
    }
  }

  /**
   * Why a tick that waits can never be sealed: it is the next, and the chain that it would follow has it already or does not
   * allow it. A commit is refused for the same reasons; this one was made by an older version, or before an older backup of
   * SQL got its blocks back.
   */
  async function neverSealable({ transactions }: CommittedTick): Promise<string | undefined> {
    const refusal = await registryRefusal(transactions)
    if (refusal !== undefined) return refusal
    const verdict = await verifyTransactions({ transactions }, chain.history())
    return verdict.ok ? undefined : verdict.reason
  }

  /** Why the registry does not allow what these transactions change; `undefined` if it does. */
  async function registryRefusal(transactions: readonly Transaction[]): Promise<string | undefined> {
    try {
      await chain.registryAfter(transactions)
      return undefined
    } catch (error) {
      if (!isSolarError(error, 'registry_refused') && !isSolarError(error, 'bad_public_key')) throw error
      return error.message
    }
  }

  async function setAside({ tick_id, transactions }: CommittedTick, reason: string): Promise<void> {
    checkAllowed(transactions)
    await store.voidTick(tick_id, { parent: chain.tip?.hash ?? null, reason, at: clock.now() })
    logger.error(
      { tick_id, reason },
      `ALARM tick ${tick_id} was committed and can never be sealed, it is void: ${reason}`,
    )
    await parts.onVoid?.()
  }

  async function applyFenced(): Promise<void> {
    await speakOf(await follower.align())
  }

  return {
    seal,
    checkSealable,
    checkKey: async (transactions) => {
      await keyFor(transactions)
    },
    checkAllowed,
    isOwnRecovery,
    async isTrueRecovery(transaction) {
      return isOwnRecovery(transaction) && (await registryRefusal([transaction])) === undefined
    },
    async makeWay(recovery) {
      await applyFenced()
      const waiting = await store.waitingRecovery(minerId)
      if (waiting !== undefined && isOfKey(waiting, recovery)) await sealNext()
    },
    async takePlace(recovery) {
      if ((await store.voidTicks()).some((tick) => isOfKey(tick, recovery))) {
        const reason = 'a recovery that is void has brought this key, which may have signed: make another new key'
        refuseRegistry(recovery, reason)
      }
      const waiting = await store.waitingRecovery(minerId)
      if (waiting !== undefined) await setAside(waiting, `the recovery ${recovery.id} takes its place`)
    },
    async follow() {
      await speakOf(await follower.follow())
    },
    async restore(block, from) {
      await follower.align()
      if (block.header.height < chain.size) return
      await putBack.add(block, from)
      await follower.grown()
      await finalizer.evaluate()
    },
    async proposeNext() {
      await applyFenced()
      return await sealNext()
    },
    async catchUp() {
      await applyFenced()
      while ((await sealNext()) !== undefined) {
        // sealNext says when there is nothing left
      }
    },
  }
}
