import type { Clock, RandomBytes } from '../ports/clock.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { CheckedTrade, LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalBytes } from '../protocol/canonical-json.ts'
import { isSolarError, type Verdict } from '../protocol/errors.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import { verifyMerkleProof } from '../protocol/merkle.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { checkTransaction, hashTransaction, type Transaction } from '../protocol/transaction.ts'
import { signVote, type Vote } from '../protocol/vote.ts'
import { fetchOwnTrades, type Identity } from './own-trades.ts'
import { createSerial } from './serial.ts'

export interface VoterParts {
  readonly chainId: Hash
  readonly amountDecimals: number
  readonly store: LightStore
  readonly requests: PeerRequests
  readonly gossip: Gossip
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
  readonly key: SigningKey
  readonly onVerified: (height: number, trades: readonly CheckedTrade[]) => void
  readonly onVote: (vote: Vote) => void
  readonly onAlarm: (code: string, reason: string) => void
}

/**
 * Checks this household's own trades in a block and votes on it. A vote is durable before it is sent, and a height is
 * never acked twice (docs/protocol.md 5).
 */
export interface Voter {
  /**
   * Checks and votes, if `findIdentity` finds that the key is registered before this block; blocks are taken in the order
   * of the calls. Never throws: what went wrong is logged or alarmed.
   */
  consider(sealed: SealedHeader, findIdentity: () => Promise<Identity | undefined>): Promise<void>
  /** Sends the last vote again, the same bytes, to a peer that may have missed it. */
  resend(peer: string): Promise<void>
  /** Waits for the block in hand. */
  idle(): Promise<void>
}

export function createVoter(parts: VoterParts): Voter {
  const { chainId, store, requests, gossip, logger, key, onAlarm } = parts
  const lane = createSerial()

  function checkTrade(
    transaction: Transaction,
    txHash: Hash,
    proof: CheckedTrade['merkle_proof'],
    header: SealedHeader['header'],
  ): Verdict {
    try {
      checkTransaction(transaction, parts.amountDecimals)
    } catch (error) {
      if (isSolarError(error)) return { ok: false, code: error.code, reason: error.message }
      throw error
    }
    return verifyMerkleProof(txHash, proof, header)
  }

  async function verifyOwnTrades(sealed: SealedHeader, identity: Identity): Promise<Verdict> {
    const { header } = sealed
    const trades: CheckedTrade[] = []
    for (const { transaction, merkle_proof } of await fetchOwnTrades({ ...parts, identity }, header.height)) {
      const tx_hash = hashTransaction(transaction)
      const verdict = checkTrade(transaction, tx_hash, merkle_proof, header)
      if (!verdict.ok) return { ...verdict, reason: `trade ${transaction.id}: ${verdict.reason}` }
      trades.push({ transaction, tx_hash, merkle_proof, sealed })
    }
    await store.putTrades(trades)
    parts.onVerified(header.height, trades)
    return { ok: true }
  }

  async function vote(sealed: SealedHeader, voter_id: string, decision: Vote['decision']): Promise<void> {
    const header_hash = hashHeader(sealed.header)
    const signed = signVote({ chain_id: chainId, header_hash, height: sealed.header.height, voter_id, decision }, key)
    if (decision === 'ack') await store.putVote(signed)
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

  async function consider(sealed: SealedHeader, findIdentity: () => Promise<Identity | undefined>): Promise<void> {
    const { height } = sealed.header
    const last = await store.lastVote()
    if (last !== undefined && last.height >= height) return
    const identity = await findIdentity()
    if (identity === undefined) {
      logger.debug(
        { public_key: key.publicKey, height },
        `this key is not registered before block ${height}: not voting`,
      )
      return
    }
    const verdict = await verifyOwnTrades(sealed, identity)
    if (!verdict.ok) onAlarm(verdict.code, `block ${height}: ${verdict.reason}`)
    await vote(sealed, identity.id, verdict.ok ? 'ack' : 'reject')
  }

  return {
    consider: (sealed, findIdentity) =>
      lane(async () => {
        try {
          await consider(sealed, findIdentity)
        } catch (error) {
          const { height } = sealed.header
          logger.warn({ error, height }, `not voting on block ${height}: its trades could not be checked`)
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
