import type { LedgerErrorCode } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { OWN_VOTES_KEPT, type VoterStore } from '../ports/voter-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalBytes } from '../protocol/canonical-json.ts'
import { invalid, isSolarError, VALID, type Failure, type Verdict } from '../protocol/errors.ts'
import { mayAck, type AckFacts, type BlockPoint } from '../protocol/finality.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { signVote, type Vote } from '../protocol/vote.ts'
import type { Identity } from './own-trades.ts'
import { createSerial } from './serial.ts'
import { ackedBefore } from './signed-before.ts'

/** What this node knows of the chains that a vote is about. */
export type AckView = Pick<AckFacts, 'lastFinal' | 'unallowedChange' | 'hashAt'>

export interface VoterParts {
  readonly chainId: Hash
  readonly store: VoterStore
  readonly requests: PeerRequests
  readonly gossip: Gossip
  readonly logger: Logger
  readonly key: SigningKey
  /** What is known of the chain of `header` and of `lastAck`. */
  readonly viewOf: (header: BlockPoint, lastAck: BlockPoint | null) => Promise<AckView>
  /** The height up to which `viewOf` knows blocks as final now; -1 for none. */
  readonly finalHeight: () => number
  /** Acks of its own besides the last that bind it as well: what it had forgotten, and was told. */
  readonly earlierAcks?: () => readonly BlockPoint[]
  /** The ack that the signer of the key has signed last, as it said at this start. The store may be older, or new. */
  readonly signedBefore?: Vote | null | undefined
  /** Awaited after the signer has shown an ack that the store did not know, and that it knows now. */
  readonly onForgotten?: () => Promise<void>
  /** Checks what this voter answers for beyond seal and link: a household its own trades. */
  readonly check: (sealed: SealedHeader, identity: Identity) => Promise<Verdict>
  /**
   * Sealed headers below one and above a height, newest first, for who checks blocks one by one: a block
   * that was never looked at, because the node was stopped or had no answer, is looked at before an ack
   * counts for it. Throws if nobody shows one.
   */
  readonly ancestorsOf?: (sealed: SealedHeader, above: number) => AsyncIterable<SealedHeader>
  /** True while this block must not be acked: there is evidence against the key that sealed it. */
  readonly isAccused: (sealed: SealedHeader) => boolean
  readonly onVote: (vote: Vote) => void
  readonly onAlarm: (code: string, reason: string) => void
}

/**
 * Votes on headers whose seal and link are checked, by the rules of docs/protocol.md 5: one ack a height,
 * each ack extends the one before, and above a block that this voter rejected or could not check it acks
 * nothing until the block has passed its check after all. A vote is durable before it is sent.
 */
export interface Voter {
  /**
   * Checks and votes, if `findIdentity` finds that the key is registered before this block; blocks are taken in the order
   * of the calls. Never throws: what went wrong is logged or alarmed. Resolves to false if it may be otherwise another time:
   * nobody answered, or the last ack forbids it by what is known now.
   */
  consider(sealed: SealedHeader, findIdentity: () => Promise<Identity | undefined>): Promise<boolean>
  /** Does something while no block is in hand: what an ack is checked against stays as it is until the ack is stored. */
  alone<T>(task: () => Promise<T>): Promise<T>
  /** Sends the last vote again, the same bytes, to a peer that may have missed it. */
  resend(peer: string): Promise<void>
  /** Waits for the block in hand. */
  idle(): Promise<void>
}

export function createVoter(parts: VoterParts): Voter {
  const { chainId, store, requests, gossip, logger, key, onAlarm } = parts
  const lane = createSerial()
  /** Blocks above the last ack that have passed their check in this life. */
  const passed = new Set<Hash>()
  /** Blocks that were rejected in this life. */
  const rejected = new Set<Hash>()
  let signedBefore = parts.signedBefore ?? null

  async function vote(sealed: SealedHeader, voter_id: string, decision: Vote['decision']): Promise<void> {
    const header_hash = hashHeader(sealed.header)
    const { height } = sealed.header
    const signed = await signVote({ chain_id: chainId, header_hash, height, voter_id, decision }, key)
    // Evidence may have come while a signer took its time, or another block have become final: the ack is then stored and sent nowhere.
    if (decision === 'ack' && (parts.isAccused(sealed) || !(await mayStillAck(sealed)))) return
    if (decision === 'ack') await store.putVote(signed)
    else await remember(sealed)
    if (decision === 'ack') {
      passed.clear()
      rejected.clear()
    }
    await send(signed)
    parts.onVote(signed)
  }

  async function send(signed: Vote): Promise<void> {
    const heard = await gossip.publish('votes', canonicalBytes(signed))
    if (heard > 0) return
    // Nobody is on the topic yet (it takes a heartbeat after connecting): deliver to those who count.
    await Promise.all(requests.peers().map((peer) => deliver(peer, signed)))
  }

  async function deliver(peer: string, signed: Vote): Promise<void> {
    try {
      await requests.request(peer, 'vote', { vote: signed })
    } catch (error) {
      logger.debug({ error, peer, height: signed.height }, `${peer} did not take the vote on block ${signed.height}`)
    }
  }

  /**
   * The rule of docs/protocol.md 5 for this header, and below which height an ack of it counts for nothing
   * new.
   */
  async function mayAckNow(sealed: SealedHeader): Promise<Verdict & { readonly settled: number }> {
    const header = pointOf(sealed)
    const last = await store.lastVote()
    if (last !== undefined && header.height <= last.height - OWN_VOTES_KEPT) {
      const reason = `what was acked at height ${header.height} is forgotten`
      return { ok: false, code: 'does_not_extend', reason, settled: -1 }
    }
    const lastAck = last === undefined ? null : { hash: last.header_hash, height: last.height }
    const acked = (await store.ownVotesAt(header.height)).map(({ header_hash }) => header_hash)
    const ackedAtHeight = acked.includes(header.hash) ? header.hash : (acked[0] ?? null)
    const view = await parts.viewOf(header, lastAck)
    const extended = lastAck !== null && view.hashAt(header, lastAck.height) === lastAck.hash ? lastAck.height : -1
    const settled = Math.max(extended, view.lastFinal?.height ?? -1)
    const verdict = mayAck({ header, lastAck, ackedAtHeight, ...view })
    if (!verdict.ok) return { ...verdict, settled }
    for (const earlier of parts.earlierAcks?.() ?? []) {
      const facts = { header, lastAck: earlier, ackedAtHeight, ...(await parts.viewOf(header, earlier)) }
      const bound = mayAck(facts)
      if (!bound.ok) return { ...bound, settled }
    }
    return { ...VALID, settled }
  }

  /** What the signer of the key has signed binds it, whatever the store knows. */
  async function remind(ack: Vote): Promise<void> {
    const { height, header_hash } = ack
    const last = await store.lastVote()
    const known = await store.ownVotesAt(height)
    if (known.some((own) => own.header_hash === header_hash)) return
    if (last !== undefined && height <= last.height - OWN_VOTES_KEPT) return
    await store.putForgotten([ack])
    logger.warn(
      { height, header_hash },
      `the signer has acked block ${height} (${header_hash}), which the data directory does not know: it is new, an older ` +
        'backup, or was stopped before it had the signature. That ack binds from now on',
    )
    await parts.onForgotten?.()
  }

  async function heedSigner(): Promise<void> {
    if (signedBefore === null) return
    await remind(signedBefore)
    signedBefore = null
  }

  /** Does something while no block is in hand, and once it is known what the signer has signed. */
  const alone = <T>(task: () => Promise<T>): Promise<T> =>
    lane(async () => {
      await heedSigner()
      return await task()
    })

  /** By all that is final at the end of the look. */
  async function mayStillAck(sealed: SealedHeader): Promise<boolean> {
    for (;;) {
      const known = parts.finalHeight()
      const { ok } = await mayAckNow(sealed)
      if (parts.finalHeight() === known) return ok
    }
  }

  async function remember(sealed: SealedHeader): Promise<void> {
    await store.putRejected([...(await store.rejected()).filter((one) => !isSame(one, sealed)), sealed])
  }

  /** Once: it is looked at again with each peer that is followed, and with each later block. */
  async function reject(sealed: SealedHeader, { id }: Identity, { code, reason }: Failure): Promise<void> {
    const hash = hashHeader(sealed.header)
    if (rejected.has(hash)) return
    rejected.add(hash)
    onAlarm(code, `block ${sealed.header.height}: ${reason}`)
    await vote(sealed, id, 'reject')
  }

  /** False if the block fails its check again, and if nobody answers. */
  const passes = (block: SealedHeader, identity: Identity): Promise<boolean> =>
    parts.check(block, identity).then(
      ({ ok }) => ok,
      () => false,
    )

  /**
   * Blocks that were rejected or could not be checked, and are part of this header's chain, are checked once
   * more; one that does not pass forbids it. The block itself has just passed.
   */
  async function checkEarlier(sealed: SealedHeader, identity: Identity): Promise<Verdict> {
    const unchecked = await store.rejected()
    if (unchecked.length === 0) return VALID
    const still: SealedHeader[] = []
    for (const block of unchecked) {
      if (isSame(block, sealed)) continue
      if (await passes(block, identity)) passed.add(hashHeader(block.header))
      else still.push(block)
    }
    if (still.length < unchecked.length) await store.putRejected(still)
    const header = pointOf(sealed)
    for (const block of still.map(pointOf)) {
      const { hashAt } = await parts.viewOf(header, block)
      const isBeside = block.height <= header.height && otherThan(block.hash, hashAt(header, block.height))
      if (!isBeside) {
        return uncheckedBefore(block.height)
      }
    }
    return VALID
  }

  /**
   * Blocks that the ack would count for as well, and that have not passed their check since this node runs.
   */
  async function checkBetween(sealed: SealedHeader, identity: Identity, settled: number): Promise<Verdict> {
    const above = Math.max(settled, (identity.sinceHeight ?? 0) - 1)
    for await (const block of parts.ancestorsOf?.(sealed, above) ?? []) {
      const { hash, height } = pointOf(block)
      if (passed.has(hash)) continue
      const checked = await parts.check(block, identity).catch(() => undefined)
      if (checked?.ok === true) {
        passed.add(hash)
        continue
      }
      if (checked === undefined) await remember(block)
      else await reject(block, identity, checked)
      return uncheckedBefore(height)
    }
    return VALID
  }

  async function consider(sealed: SealedHeader, findIdentity: () => Promise<Identity | undefined>): Promise<boolean> {
    await heedSigner()
    const { height, miner_id } = sealed.header
    const refuse = (reason: string): void => logger.warn({ height }, `not voting on block ${height}: ${reason}`)
    const isAccused = (): boolean => {
      if (!parts.isAccused(sealed)) return false
      refuse(`there is evidence against ${miner_id}`)
      return true
    }
    if (isAccused()) return true
    const rule = await mayAckNow(sealed)
    if (!rule.ok) {
      if (rule.code === 'already_acked') return true
      refuse(rule.reason)
      return false
    }
    const identity = await findIdentity()
    if (identity === undefined) {
      logger.debug(
        { public_key: key.publicKey, height },
        `this key is not registered before block ${height}: not voting`,
      )
      return true
    }
    const own = await parts.check(sealed, identity)
    if (!own.ok) {
      await reject(sealed, identity, own)
      // A peer may have lied, and another one may show what is right.
      return false
    }
    passed.add(hashHeader(sealed.header))
    const remembered = await checkEarlier(sealed, identity)
    const earlier = remembered.ok ? await checkBetween(sealed, identity, rule.settled) : remembered
    if (!earlier.ok) {
      refuse(earlier.reason)
      return false
    }
    // It may have come while the block was checked.
    if (!isAccused()) await vote(sealed, identity.id, 'ack')
    return true
  }

  const notRemembered = (error: unknown): void => logger.error({ error }, 'could not be remembered')

  return {
    consider: (sealed, findIdentity) =>
      lane(async () => {
        try {
          return await consider(sealed, findIdentity)
        } catch (error) {
          const { height } = sealed.header
          const why = isSolarError(error) && NOT_SIGNED.includes(error.code) ? error.message : 'it could not be checked'
          logger.warn({ error, height }, `not voting on block ${height}: ${why}`)
          const acked = ackedBefore(error)
          if (acked !== undefined) await remind(acked).catch(notRemembered)
          // As a rejected one: an ack of a later block would count for it as well.
          await remember(sealed).catch(notRemembered)
          return false
        }
      }),
    alone,
    async resend(peer) {
      const last = await lane(() => store.lastVote())
      // Not in the lane: a peer that is silent would hold up the next block.
      if (last !== undefined) await deliver(peer, last)
    },
    idle: () => lane(() => Promise.resolve()),
  }
}

/** What a key says that is not at hand, or refuses. */
const NOT_SIGNED: readonly string[] = ['not_ready', 'already_signed', 'signer_refused'] satisfies LedgerErrorCode[]

/** A header by its hash and height. */
export const pointOf = ({ header }: SealedHeader): BlockPoint => ({ hash: hashHeader(header), height: header.height })

const isSame = (a: SealedHeader, b: SealedHeader): boolean => hashHeader(a.header) === hashHeader(b.header)

const uncheckedBefore = (height: number): Failure =>
  invalid('unchecked_before', `it would count for block ${height}, which has not passed its check`)

const otherThan = (hash: Hash, other: Hash | undefined): boolean => other !== undefined && other !== hash
