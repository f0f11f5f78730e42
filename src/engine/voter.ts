import type { Gossip } from '../ports/gossip.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { OWN_VOTES_KEPT, type VoterStore } from '../ports/voter-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalBytes } from '../protocol/canonical-json.ts'
import { VALID, type Verdict } from '../protocol/errors.ts'
import { mayAck, type AckFacts, type BlockPoint } from '../protocol/finality.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { signVote, type Vote } from '../protocol/vote.ts'
import type { Identity } from './own-trades.ts'
import { createSerial } from './serial.ts'

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
  /** Checks what this voter answers for beyond seal and link: a household its own trades. */
  readonly check: (sealed: SealedHeader, identity: Identity) => Promise<Verdict>
  /** True while a block of this sealer must not be acked: there is evidence against it. */
  readonly isAccused: (minerId: string) => boolean
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
  /** Sends the last vote again, the same bytes, to a peer that may have missed it. */
  resend(peer: string): Promise<void>
  /** Waits for the block in hand. */
  idle(): Promise<void>
}

export function createVoter(parts: VoterParts): Voter {
  const { chainId, store, requests, gossip, logger, key, onAlarm } = parts
  const lane = createSerial()

  async function vote(sealed: SealedHeader, voter_id: string, decision: Vote['decision']): Promise<void> {
    const header_hash = hashHeader(sealed.header)
    const signed = signVote({ chain_id: chainId, header_hash, height: sealed.header.height, voter_id, decision }, key)
    if (decision === 'ack') await store.putVote(signed)
    else await remember(sealed)
    await send(signed)
    parts.onVote(signed)
  }

  async function send(signed: Vote): Promise<void> {
    const heard = await gossip.publish('votes', canonicalBytes(signed))
    if (heard > 0) return
    // Nobody is on the topic yet (it takes a heartbeat after connecting): deliver to those who count.
    for (const peer of requests.peers()) await deliver(peer, signed)
  }

  async function deliver(peer: string, signed: Vote): Promise<void> {
    try {
      await requests.request(peer, 'vote', { vote: signed })
    } catch (error) {
      logger.debug({ error, peer, height: signed.height }, `${peer} did not take the vote on block ${signed.height}`)
    }
  }

  /** The rule of docs/protocol.md 5 for this header. */
  async function mayAckNow(sealed: SealedHeader): Promise<Verdict> {
    const header = pointOf(sealed)
    const last = await store.lastVote()
    if (last !== undefined && header.height <= last.height - OWN_VOTES_KEPT) {
      return { ok: false, code: 'does_not_extend', reason: `what was acked at height ${header.height} is forgotten` }
    }
    const lastAck = last === undefined ? null : { hash: last.header_hash, height: last.height }
    const ackedAtHeight = (await store.ownVoteAt(header.height))?.header_hash ?? null
    return mayAck({ header, lastAck, ackedAtHeight, ...(await parts.viewOf(header, lastAck)) })
  }

  async function remember(sealed: SealedHeader): Promise<void> {
    await store.putRejected([...(await store.rejected()).filter((one) => !isSame(one, sealed)), sealed])
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
      if (!isSame(block, sealed) && !(await passes(block, identity))) still.push(block)
    }
    if (still.length < unchecked.length) await store.putRejected(still)
    const header = pointOf(sealed)
    for (const block of still.map(pointOf)) {
      const { hashAt } = await parts.viewOf(header, block)
      const isBeside = block.height <= header.height && otherThan(block.hash, hashAt(header, block.height))
      if (!isBeside) {
        return {
          ok: false,
          code: 'unchecked_before',
          reason: `it would count for block ${block.height}, which has not passed its check`,
        }
      }
    }
    return VALID
  }

  async function consider(sealed: SealedHeader, findIdentity: () => Promise<Identity | undefined>): Promise<boolean> {
    const { height, miner_id } = sealed.header
    const refuse = (reason: string): void => logger.warn({ height }, `not voting on block ${height}: ${reason}`)
    if (parts.isAccused(miner_id)) {
      refuse(`there is evidence against ${miner_id}`)
      return true
    }
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
      onAlarm(own.code, `block ${height}: ${own.reason}`)
      await vote(sealed, identity.id, 'reject')
      return true
    }
    const earlier = await checkEarlier(sealed, identity)
    if (earlier.ok) await vote(sealed, identity.id, 'ack')
    else refuse(earlier.reason)
    return earlier.ok
  }

  return {
    consider: (sealed, findIdentity) =>
      lane(async () => {
        try {
          return await consider(sealed, findIdentity)
        } catch (error) {
          const { height } = sealed.header
          logger.warn({ error, height }, `not voting on block ${height}: it could not be checked`)
          // As a rejected one: an ack of a later block would count for it as well.
          await remember(sealed).catch((failure: unknown) =>
            logger.error({ error: failure }, 'could not be remembered'),
          )
          return false
        }
      }),
    resend: (peer) =>
      lane(async () => {
        const last = await store.lastVote()
        if (last !== undefined) await deliver(peer, last)
      }),
    idle: () => lane(() => Promise.resolve()),
  }
}

/** A header by its hash and height. */
export const pointOf = ({ header }: SealedHeader): BlockPoint => ({ hash: hashHeader(header), height: header.height })

const isSame = (a: SealedHeader, b: SealedHeader): boolean => hashHeader(a.header) === hashHeader(b.header)

const otherThan = (hash: Hash, other: Hash | undefined): boolean => other !== undefined && other !== hash
