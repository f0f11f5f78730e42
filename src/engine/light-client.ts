import type { Clock, RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip, GossipVerdict } from '../ports/gossip.ts'
import type { CheckedTrade, LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { parseCanonicalBytes } from '../protocol/canonical-json.ts'
import { misbehaviourOf, type Evidence } from '../protocol/evidence.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { sealedHeaderShape, type Header, type SealedHeader } from '../protocol/header.ts'
import { verifyTransactionProof } from '../protocol/light-verify.ts'
import { proofAnswer, type ProofAnswer } from '../protocol/messages.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Transaction } from '../protocol/transaction.ts'
import type { Vote } from '../protocol/vote.ts'
import { collectAnswers } from './answers.ts'
import { askForEvidence, hearEvidence, openEvidencePool } from './evidence-pool.ts'
import { gossipVerdict, judge } from './gossip-rules.ts'
import { createFindIdentity } from './identity.ts'
import { LightFollower, type Offer } from './light-follower.ts'
import { serveLightPeers } from './light-peers.ts'
import { lightSignerBefore } from './light-signers.ts'
import { lightAckView } from './lineage.ts'
import { syncWithNewPeers } from './new-peers.ts'
import { fetchOwnTrade, verifyByBlock, verifyOwnTrades, type Identity, type OwnTradesParts } from './own-trades.ts'
import { fetchReceipt, type CheckedReceipt, type ReceiptAccess } from './receipt-request.ts'
import { createVoter } from './voter.ts'

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
  /** Without a new final header, or word that there is none, for this long the node says `stale`. */
  readonly staleAfterMs: number
  /** How often a peer is asked for its tip although gossip is quiet: connections can be half open. */
  readonly pollMs: number
  readonly onEvent: (event: LightEvent) => void
}

export type LightEvent =
  | { readonly type: 'header'; readonly sealed: SealedHeader; readonly how: 'linked' | 'proved' }
  | { readonly type: 'verified'; readonly height: number; readonly trades: readonly CheckedTrade[] }
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'evidence'; readonly evidence: Evidence }
  | { readonly type: 'alarm'; readonly code: string; readonly reason: string }

export interface LightStatus {
  /** `alarm`: it holds evidence against an authority; `stale`: no final header, nor word that there is none, for too long. */
  readonly state: 'syncing' | 'live' | 'stale' | 'alarm'
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
  /** Proven misbehaviour that this node knows of, the newest first. */
  evidence(limit: number): Promise<readonly Evidence[]>
  /** The body of a proved transaction, found by its hash; for its party. Throws `forbidden`. */
  bodyOf(proof: CheckedProof, identity: Identity): Promise<Transaction>
  /** The receipt of a proved transaction, checked and for it; for its party, or by a token. Throws `peer_refused`. */
  receiptOf(proof: CheckedProof, txId: string, by: ReceiptAccess): Promise<CheckedReceipt>
}

/** The light node: follows headers, checks its own trades, votes, and answers for what it holds. */
export async function createLightClient(parts: LightClientParts): Promise<LightClient> {
  const { store, gossip, requests, clock, logger, onEvent } = parts
  let votesSent = 0
  let lastNewsAt: number | null = null
  let cancelPoll = (): void => undefined
  let removeListeners = (): void => undefined
  let stopped = false

  const onAlarm = (code: string, reason: string): void => {
    logger.error({ code }, `ALARM ${reason}`)
    onEvent({ type: 'alarm', code, reason })
  }
  const findIdentity = createFindIdentity(parts.genesis, requests)
  const follower = await LightFollower.open({
    ...parts,
    onAlarm,
    onDoubleSeal: (held, other) => background(foundSeals(held, other)),
    onTrusted: () => (lastNewsAt = clock.now()),
    onTip: (sealed, how) => {
      onEvent({ type: 'header', sealed, how })
      if (parts.key !== null) considerWith(parts.key, sealed)
    },
  })
  const { chainId } = follower
  const ownTrades: OwnTradesParts = {
    ...parts,
    chainId,
    amountDecimals: parts.genesis.amount_decimals,
    onAlarm,
    onVerified: (height, trades) => onEvent({ type: 'verified', height, trades }),
  }
  const evidence = await openEvidencePool({
    ...parts,
    chainId,
    signerBefore: (id, height) => lightSignerBefore({ ...parts, follower }, id, height),
    onEvidence: (found) => {
      const { kind, signer_id, height } = misbehaviourOf(found)
      onEvent({ type: 'evidence', evidence: found })
      onAlarm('evidence', `${kind} by ${signer_id} at height ${height}`)
      if (parts.key !== null) background(dispute(parts.key, height))
    },
  })
  const isAccused = (minerId: string): boolean =>
    follower.head.sealers.some(({ id, public_key }) => id === minerId && evidence.isAccused(public_key))
  const voter =
    parts.key === null
      ? null
      : createVoter({
          ...parts,
          key: parts.key,
          chainId,
          isAccused,
          onAlarm,
          viewOf: (header, lastAck) => lightAckView(follower, requests, header, lastAck),
          check: (sealed, identity) => verifyOwnTrades(ownTrades, sealed, identity),
          onVote: (vote) => {
            votesSent += 1
            onEvent({ type: 'vote', vote })
          },
        })

  /** The registry before a block that is held says who votes on it; `undefined` if the header before is not held. */
  function parentOf({ header }: SealedHeader): Header | null | undefined {
    if (header.height === 0) return null
    return follower.window.find((held) => held.header.height === header.height - 1)?.header
  }

  function considerWith(key: SigningKey, sealed: SealedHeader): void {
    const parent = parentOf(sealed)
    if (parent !== undefined) void voter?.consider(sealed, () => findIdentity(key, parent))
  }

  async function foundSeals(held: SealedHeader, other: SealedHeader): Promise<void> {
    const outcome = await evidence.foundSeals(held, other)
    if (typeof outcome === 'object') logger.warn({ code: outcome.refused }, `two seals, no evidence: ${outcome.reason}`)
  }

  /** Whatever becomes of the chain, this household keeps its own trades of the block that it holds, whole block asked for. */
  async function dispute(key: SigningKey, height: number): Promise<void> {
    const held = follower.window.find(({ header }) => header.height === height)
    const parent = held && parentOf(held)
    const identity = parent === undefined ? undefined : await findIdentity(key, parent)
    if (held === undefined || identity === undefined) return
    const verdict = await verifyByBlock(ownTrades, held, identity)
    if (!verdict.ok) onAlarm(verdict.code, `block ${height}: ${verdict.reason}`)
  }

  async function syncWith(peer: string): Promise<void> {
    const { isNewest } = await follower.syncWith(peer)
    if (isNewest) lastNewsAt = clock.now()
    await voter?.resend(peer)
  }

  /** Every connected peer, so that tips are compared; the last failure if none could be followed. */
  async function sync(): Promise<void> {
    const { given, failures } = await collectAnswers(clock, requests.peers().map(syncWith))
    if (given.length > 0) return
    throw failures.at(-1) ?? ledgerError('not_ready', { reason: 'no peer is connected' })
  }

  function background(task: Promise<void>): void {
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
    // Under vote policies the peer may prove that its branch is the final one.
    if (offer === 'fork') background(follower.compareWith(from).then(() => syncWith(from)))
    if (offer === 'gap' || follower.needsProof) background(follower.syncWith(from).then(() => undefined, sync))
    return verdictOf(offer)
  }

  serveLightPeers({ follower, genesis: parts.genesis, requests, store, evidence })

  return {
    start() {
      gossip.subscribe('headers', (payload, from) =>
        judge(
          () => onHeader(payload, from),
          (error) => logger.error({ error }, 'a gossiped header could not be handled'),
        ),
      )
      hearEvidence(gossip, evidence, logger)
      const stopSyncing = syncWithNewPeers(requests, clock, (peer) => background(syncWith(peer)))
      const stopAsking = requests.onConnect((peer) => background(askForEvidence(requests, evidence, peer)))
      removeListeners = () => {
        stopSyncing()
        stopAsking()
      }
      for (const peer of requests.peers()) background(syncWith(peer))
      poll()
    },

    async stop() {
      stopped = true
      cancelPoll()
      removeListeners()
      await voter?.idle()
    },

    status() {
      const { anchor, anchor_hash } = follower.head
      const quiet = lastNewsAt === null ? Infinity : clock.now() - lastNewsAt
      const isAlarmed = follower.head.sealers.some(({ public_key }) => evidence.isAccused(public_key))
      return {
        state: isAlarmed ? 'alarm' : lastNewsAt === null ? 'syncing' : quiet > parts.staleAfterMs ? 'stale' : 'live',
        tip: anchor === null ? null : { height: anchor.header.height, header_hash: anchor_hash },
        headers: follower.window,
        votes_sent: votesSent,
        peers: requests.peers().length,
      }
    },

    sync,

    identityOf: (key) => findIdentity(key, follower.head.anchor?.header ?? null),

    receiptOf: ({ peer, answer }, txId, by) => fetchReceipt({ ...parts, chainId }, peer, answer, txId, by),

    bodyOf: ({ answer }, identity) => fetchOwnTrade(ownTrades, identity, answer.header.height, answer.tx_hash),

    evidence: (limit) => evidence.list(limit),

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
