import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { bytesToHex, type Hash } from '../protocol/bytes.ts'
import type { MerkleProof } from '../protocol/merkle.ts'
import { tradesAnswer, tradesPath } from '../protocol/messages.ts'
import { signRequest } from '../protocol/request.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Transaction } from '../protocol/transaction.ts'

/** A registered key holder, as a light node signs for it. */
export interface Identity {
  readonly id: string
  readonly key: SigningKey
}

export interface OwnTradesParts {
  readonly chainId: Hash
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly identity: Identity
}

/** A transaction as a peer gives it to its party: nothing of it is checked yet. */
export interface ClaimedTrade {
  readonly transaction: Transaction
  readonly merkle_proof: MerkleProof
}

/**
 * Asks for this party's own transactions of a block, signed anew for each peer, and takes the first answer. Throws the
 * last peer's error, or `not_ready` without a peer.
 */
export async function fetchOwnTrades(parts: OwnTradesParts, height: number): Promise<readonly ClaimedTrade[]> {
  const { chainId, requests, clock, randomBytes, identity } = parts
  const path = tradesPath(height)
  let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
  for (const peer of requests.peers()) {
    const request = { method: 'P2P', path, timestamp: clock.now(), id: bytesToHex(randomBytes(16)) } as const
    const credential = signRequest(identity.id, chainId, request, identity.key)
    try {
      return tradesAnswer(await requests.request(peer, 'trades', { height, credential }), 'trades').trades
    } catch (error) {
      failure = error
    }
  }
  throw failure
}
