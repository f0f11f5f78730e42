import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip, GossipVerdict } from '../ports/gossip.ts'
import type { CheckedTrade, LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { parseCanonicalBytes } from '../protocol/canonical-json.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { sealedHeaderShape, type SealedHeader } from '../protocol/header.ts'
import { verifyTransactionProof } from '../protocol/light-verify.ts'
import { proofAnswer, type ProofAnswer } from '../protocol/messages.ts'
import type { SigningKey } from '../protocol/signature.ts'
import { hashTransaction, type Transaction } from '../protocol/transaction.ts'
import type { Vote } from '../protocol/vote.ts'
import { gossipVerdict, judge } from './gossip-rules.ts'
import { createFindIdentity } from './identity.ts'
import { LightFollower, type Offer } from './light-follower.ts'
import { serveLightPeers } from './light-peers.ts'
import { fetchOwnTrades, type Identity } from './own-trades.ts'
import { fetchReceipt, type CheckedReceipt, type ReceiptAccess } from './receipt-request.ts'
import { createVoter, type Voter } from './voter.ts'

export type { CheckedReceipt, ReceiptAccess } from './receipt-request.ts'

export interface LightClientParts {
  readonly genesis: Genesis
  readonly store: LightStore
  readonly gossip: Gossip
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly logger: Logger
  /** Votes where this key is registered; null only follows and checks. */
  readonly key: SigningKey | null
  /** Headers to keep (the plan's N). */
  readonly windowSize: number
  /** Without a header for this long, the node says `stale`. */
  readonly staleAfterMs: number
  /** How often a peer is asked for its tip although gossip is quiet: connections can be half open. */
  readonly pollMs: number
  readonly onEvent: (event: LightEvent) => void
}

export type LightEvent =
  | { readonly type: 'header'; readonly sealed: SealedHeader; readonly how: 'linked' | 'proved' }
  | { readonly type: 'verified'; readonly height: number; readonly trades: readonly CheckedTrade[] }
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'alarm'; readonly code: string; readonly reason: string }

export interface LightStatus {
  readonly state: 'syncing' | 'live' | 'stale'
  readonly tip: { readonly height: number; readonly header_hash: Hash } | null
  readonly headers: readonly SealedHeader[]
  readonly votes_sent: number
  readonly peers: number
}

/** A proof that was checked against a trusted header. */
export interface CheckedProof {
  readonly answer: ProofAnswer
  /** The trusted header that it led to. */
  readonly trusted: { readonly height: number; readonly header_hash: Hash }
  readonly peer: string
}

export interface LightClient {
  /** Follows from now on. Needs no peer to start. */
  start(): void
  stop(): Promise<void>
  status(): LightStatus
  /** Asks each peer for its tip once; resolves when one could be followed. Throws the last failure if none could. */
  sync(): Promise<void>
  /**
   * Fetches and checks the proof of a transaction of any age. Throws `unknown_transaction`, `peer_refused` (also for a
   * proof that does not hold), `not_ready`.
   */
  prove(by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<CheckedProof>
  /** Under which id this key is registered as active; `undefined` if it is not. */
  identityOf(key: SigningKey): Promise<Identity | undefined>
  /** The body of a proved transaction, found by its hash; for its party. Throws `forbidden`. */
  bodyOf(proof: CheckedProof, identity: Identity): Promise<Transaction>
  /** The receipt of a proved transaction, checked and for it; for its party, or by a token. Throws `peer_refused`. */
  receiptOf(proof: CheckedProof, txId: string, by: ReceiptAccess): Promise<CheckedReceipt>
}

/** By then gossip knows of a new connection. */
const SETTLE_MS = 1_500

/** The light node: follows headers, checks its own trades, votes, and answers for what it holds. */
export async function createLightClient(parts: LightClientParts): Promise<LightClient> {
  const { store, gossip, requests, clock, logger, onEvent } = parts
  let votesSent = 0
  let lastNewsAt: number | null = null
  let cancelPoll = (): void => undefined
  let cancelSettle = (): void => undefined
  let removeListener = (): void => undefined
  let stopped = false

  const onAlarm = (code: string, reason: string): void => {
    logger.error({ code }, `ALARM ${reason}`)
    onEvent({ type: 'alarm', code, reason })
  }
  const findIdentity = createFindIdentity(parts.genesis, requests)
  const follower = await LightFollower.open({
    ...parts,
    onAlarm,
    onTip: (sealed, how) => {
      lastNewsAt = clock.now()
      onEvent({ type: 'header', sealed, how })
      if (parts.key !== null) considerWith(parts.key, sealed)
    },
  })
  const voter = parts.key === null ? null : voterOf(parts, parts.key, follower.chainId, onAlarm, () => (votesSent += 1))

  /** Eligible is who is registered before the block. */
  function considerWith(key: SigningKey, sealed: SealedHeader): void {
    const parent = follower.window.find(({ header }) => header.height === sealed.header.height - 1)?.header ?? null
    if (parent === null && sealed.header.height > 0) return
    void voter?.consider(sealed, () => findIdentity(key, parent))
  }

  async function syncWith(peer: string): Promise<void> {
    await follower.syncWith(peer)
    lastNewsAt = clock.now()
    await voter?.resend(peer)
  }

  /** Every connected peer until one works; the last failure if none does. */
  async function sync(): Promise<void> {
    let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
    for (const peer of requests.peers()) {
      try {
        await syncWith(peer)
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  const background = (task: Promise<void>): void => {
    task.catch((error: unknown) => {
      if (!stopped) logger.debug({ error }, 'could not sync')
    })
  }

  function poll(): void {
    cancelPoll = clock.after(parts.pollMs, () => {
      if (requests.peers().length > 0) background(sync())
      poll()
    })
  }

  async function onHeader(payload: Uint8Array, from: string): Promise<GossipVerdict> {
    const offer = await follower.offer(sealedHeaderShape(parseCanonicalBytes(payload), 'header'))
    if (offer === 'gap' || follower.needsProof) background(follower.syncWith(from).then(() => undefined, sync))
    return verdictOf(offer)
  }

  serveLightPeers({ follower, genesis: parts.genesis, requests, store })

  return {
    start() {
      gossip.subscribe('headers', (payload, from) =>
        judge(
          () => onHeader(payload, from),
          (error) => logger.error({ error }, 'a gossiped header could not be handled'),
        ),
      )
      removeListener = requests.onConnect((peer) => {
        background(syncWith(peer))
        // A block sealed while the subscription was on its way is not gossiped to this node: it asks once more.
        cancelSettle = clock.after(SETTLE_MS, () => background(syncWith(peer)))
      })
      for (const peer of requests.peers()) background(syncWith(peer))
      poll()
    },

    async stop() {
      stopped = true
      cancelPoll()
      cancelSettle()
      removeListener()
      await voter?.idle()
    },

    status() {
      const { anchor, anchor_hash } = follower.head
      const quiet = lastNewsAt === null ? Infinity : clock.now() - lastNewsAt
      return {
        state: lastNewsAt === null ? 'syncing' : quiet > parts.staleAfterMs ? 'stale' : 'live',
        tip: anchor === null ? null : { height: anchor.header.height, header_hash: anchor_hash },
        headers: follower.window,
        votes_sent: votesSent,
        peers: requests.peers().length,
      }
    },

    sync,

    identityOf: (key) => findIdentity(key, follower.head.anchor?.header ?? null),

    receiptOf: ({ peer, answer }, txId, by) =>
      fetchReceipt({ ...parts, chainId: follower.chainId }, peer, answer, txId, by),

    bodyOf: (proof, identity) => fetchBody(parts, identity, follower.chainId, proof.answer),

    async prove(by) {
      let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
      for (const peer of requests.peers()) {
        try {
          return await proveWith(peer, by, follower, requests)
        } catch (error) {
          failure = error
        }
      }
      throw failure
    },
  }
}

function verdictOf(offer: Offer): GossipVerdict {
  if (offer === 'followed') return 'accept'
  return typeof offer === 'object' ? gossipVerdict(offer.refused) : 'ignore'
}

function voterOf(
  parts: LightClientParts,
  key: SigningKey,
  chainId: Hash,
  onAlarm: (code: string, reason: string) => void,
  countVote: () => void,
): Voter {
  return createVoter({
    ...parts,
    chainId,
    amountDecimals: parts.genesis.amount_decimals,
    key,
    onAlarm,
    onVerified: (height, trades) => parts.onEvent({ type: 'verified', height, trades }),
    onVote: (vote) => {
      countVote()
      parts.onEvent({ type: 'vote', vote })
    },
  })
}

/** The body of a proved transaction, for its party. Throws `forbidden`. */
async function fetchBody(
  parts: LightClientParts,
  identity: Identity,
  chainId: Hash,
  proof: ProofAnswer,
): Promise<Transaction> {
  const trades = await fetchOwnTrades({ ...parts, chainId, identity }, proof.header.height)
  const own = trades.find(({ transaction }) => hashTransaction(transaction) === proof.tx_hash)
  if (own === undefined) {
    throw ledgerError('forbidden', { reason: `${identity.id} is no party of transaction ${proof.tx_hash}` })
  }
  return own.transaction
}

async function proveWith(
  peer: string,
  by: { readonly tx_id: string } | { readonly tx_hash: Hash },
  follower: LightFollower,
  requests: PeerRequests,
): Promise<CheckedProof> {
  await follower.syncWith(peer)
  const { anchor, anchor_hash } = follower.head
  if (anchor === null) throw ledgerError('not_ready', { reason: 'the chain has no block yet' })
  const { height } = anchor.header
  const answer = proofAnswer(await requests.request(peer, 'proof', { ...by, at_height: height }), 'proof')
  const txHash = 'tx_hash' in by ? by.tx_hash : answer.tx_hash
  const verdict = verifyTransactionProof(txHash, answer, { header: anchor.header, hash: anchor_hash })
  if (!verdict.ok) {
    throw ledgerError('peer_refused', { peer, request: 'proof', code: verdict.code, reason: verdict.reason })
  }
  return { answer, trusted: { height, header_hash: anchor_hash }, peer }
}
