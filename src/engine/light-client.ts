import { steadyNow, type Clock, type RandomBytes } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Gossip } from '../ports/gossip.ts'
import type { CheckedTrade, LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { misbehaviourOf, type Evidence } from '../protocol/evidence.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { verifySeal, type SealedHeader } from '../protocol/header.ts'
import { verifyTransactionProof } from '../protocol/light-verify.ts'
import type { Membership } from '../protocol/membership.ts'
import { proofAnswer, type ProofAnswer, type StatusAnswer } from '../protocol/messages.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Transaction } from '../protocol/transaction.ts'
import type { Vote } from '../protocol/vote.ts'
import { createCredentialSigner, type CredentialSigner } from './credential-signer.ts'
import { openEvidencePool } from './evidence-pool.ts'
import { createHousehold } from './household.ts'
import { createFindEntry, createFindIdentity } from './identity.ts'
import { LightFollower } from './light-follower.ts'
import { serveLightPeers } from './light-peers.ts'
import { lightSignerBefore } from './light-signers.ts'
import { createLightSync } from './light-sync.ts'
import { createMembershipKeeper } from './membership-keeper.ts'
import type { OnPeer } from './peer-report.ts'
import { fetchOwnTrade, type Identity, type SignAs } from './own-trades.ts'
import { fetchReceipt, type CheckedReceipt, type ReceiptAccess } from './receipt-request.ts'

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
  /** What the signer of the key has acked last, if it is in one. */
  readonly signedBefore?: Vote | null | undefined
  /** Headers to keep (the plan's N). */
  readonly windowSize: number
  /** Without a new final header, or word that there is none, for this long the node says `stale`. */
  readonly staleAfterMs: number
  /** How often a peer is asked for its tip although gossip is quiet: connections can be half open. */
  readonly pollMs: number
  readonly onEvent: (event: LightEvent) => void
  /** Hears how each peer turned out, each time it was asked. */
  readonly onPeer?: OnPeer
}

export type LightEvent =
  | { readonly type: 'header'; readonly sealed: SealedHeader; readonly how: 'linked' | 'proved' }
  | { readonly type: 'verified'; readonly height: number; readonly trades: readonly CheckedTrade[] }
  | { readonly type: 'vote'; readonly vote: Vote }
  | { readonly type: 'evidence'; readonly evidence: Evidence }
  | { readonly type: 'alarm'; readonly code: string; readonly reason: string }

export interface LightStatus {
  /**
   * `alarm`: it holds evidence against an authority; `live`: what is final is known here, by word of a full node that is
   * connected; `stale`: there is no such node, or no final header, nor word that there is none, for too long.
   */
  readonly state: 'syncing' | 'live' | 'stale' | 'alarm'
  readonly tip: { readonly height: number; readonly header_hash: Hash } | null
  readonly headers: readonly SealedHeader[]
  readonly votes_sent: number
  readonly peers: number
  /** The newest header that is trusted; lower than `tip` while that waits for votes. */
  readonly trusted_height: number | null
}

/** A proof that was checked against a header that this node follows. */
export interface CheckedProof {
  readonly answer: ProofAnswer
  /**
   * `proposed`: an authority has sealed the block, but the votes that make it final are not proven: it may
   * still be given up.
   */
  readonly status: 'final' | 'proposed'
  /** The header that it led to: the trusted one, or the newest where the block is above that. */
  readonly anchor: BlockPlace
  /** The same if it is trusted; null for a proposed block. */
  readonly trusted: BlockPlace | null
  readonly peer: string
}

/** A header by its place. */
export interface BlockPlace {
  readonly height: number
  readonly header_hash: Hash
}

export interface LightClient {
  /** Follows from now on. Needs no peer to start. */
  start(): void
  stop(): Promise<void>
  status(): LightStatus
  /** Resolves once a first peer could be followed: until then `prove` and `sync` throw `not_ready`. Waits as long as that takes. */
  ready(): Promise<void>
  /** Asks each peer for its tip once; resolves when one could be followed. Throws the last failure if none could. */
  sync(): Promise<void>
  /**
   * Fetches and checks the proof of a transaction of any age; `status` says whether its block is final.
   * Throws `unknown_transaction`, `peer_refused` (also for a proof that does not hold), `not_ready`.
   */
  prove(by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<CheckedProof>
  /** Under which id this key is registered as active; `undefined` if it is not. */
  identityOf(key: SigningKey): Promise<Identity | undefined>
  /** The registry's entry of a key after the tip, also a revoked one; `undefined` if there is none. Throws `not_ready`, `peer_refused`. */
  entryOf(publicKey: string): Promise<RegistryEntry | undefined>
  /** The platform user whose device this node is, by its certificate; null while it has none. */
  user(): string | null
  /** Proven misbehaviour that this node knows of, the newest first. */
  evidence(limit: number): Promise<readonly Evidence[]>
  /** The body of a proved transaction, found by its hash; for its party. Throws `forbidden`. */
  bodyOf(proof: CheckedProof, identity: Identity): Promise<Transaction>
  /** The receipt of a proved transaction, checked and for it; for its party, or by a token. Throws `peer_refused`. */
  receiptOf(proof: CheckedProof, txId: string, by: ReceiptAccess): Promise<CheckedReceipt>
}

/** The light node: follows headers, checks its own trades, votes, and answers for what it holds. */
export async function createLightClient(parts: LightClientParts): Promise<LightClient> {
  const { genesis, store, requests, clock, logger, onEvent } = parts
  let votesSent = 0
  let lastNews: { readonly at: number; readonly steadyAt: number } | null = null
  const heardNews = (): void => void (lastNews = { at: clock.now(), steadyAt: steadyNow(clock) })
  let becomeReady = (): void => undefined
  const ready = new Promise<void>((resolve) => (becomeReady = resolve))

  const onAlarm = (code: string, reason: string): void => {
    logger.error({ code }, `ALARM ${reason}`)
    onEvent({ type: 'alarm', code, reason })
  }
  const findEntry = createFindEntry(genesis, requests)
  const findIdentity = createFindIdentity(findEntry)
  /** What the connected peers that could be followed are; one that connects anew has to show it again. */
  const followed = new Map<string, StatusAnswer['mode']>()
  const stopListening = requests.onConnect((peer) => followed.delete(peer))
  const follower = await LightFollower.open({
    ...parts,
    onAlarm,
    onDoubleSeal: (held, other) => following.background(foundSeals(held, other)),
    onTrusted: heardNews,
    onTip: (sealed, how) => {
      onEvent({ type: 'header', sealed, how })
      household?.consider(sealed)
    },
  })
  const { chainId } = follower
  const signing = { ...parts, chainId }
  const memberships = createMembershipKeeper({
    ...signing,
    follower,
    signAs: (identity) => signerOf(signing, identity),
  })
  const signAs: SignAs = (identity) => signerOf(signing, identity, () => memberships.of(identity))
  const evidence = await openEvidencePool({
    ...parts,
    chainId,
    signerBefore: (id, height) => lightSignerBefore({ ...parts, follower }, id, height),
    onEvidence: (found) => {
      const { kind, signer_id, height } = misbehaviourOf(found)
      onEvent({ type: 'evidence', evidence: found })
      onAlarm('evidence', `${kind} by ${signer_id} at height ${height}`)
      if (household !== null) following.background(household.dispute(height))
    },
  })
  const { key } = parts
  const household =
    key === null
      ? null
      : createHousehold({
          ...parts,
          key,
          chainId,
          signAs,
          follower,
          findIdentity,
          amountDecimals: genesis.amount_decimals,
          // A key that was accused before the recovery of its holder is not the one that seals now.
          isAccused: (sealed) =>
            follower.head.sealers.some(
              ({ id, public_key }) =>
                id === sealed.header.miner_id && evidence.isAccused(public_key) && verifySeal(sealed, public_key).ok,
            ),
          onAlarm,
          onVerified: (height, trades) => onEvent({ type: 'verified', height, trades }),
          onVote: (vote) => {
            votesSent += 1
            onEvent({ type: 'vote', vote })
          },
        })
  const following = createLightSync({
    ...parts,
    follower,
    evidence,
    async onSynced(peer, isNewest) {
      becomeReady()
      if (isNewest) heardNews()
      household?.considerAgain()
      await household?.resend(peer)
    },
    onPeer(report) {
      if (report.outcome === 'synced') followed.set(report.peer, report.mode)
      else followed.delete(report.peer)
      parts.onPeer?.(report)
    },
  })

  async function foundSeals(held: SealedHeader, other: SealedHeader): Promise<void> {
    const outcome = await evidence.foundSeals(held, other)
    if (typeof outcome === 'object') logger.warn({ code: outcome.refused }, `two seals, no evidence: ${outcome.reason}`)
  }

  function stateNow(): LightStatus['state'] {
    if (follower.head.sealers.some(({ public_key }) => evidence.isAccused(public_key))) return 'alarm'
    if (lastNews === null) return 'syncing'
    if (!requests.peers().some((peer) => (followed.get(peer) ?? 'light') !== 'light')) return 'stale'
    // A clock that is set back would hide how long it was; the one that nobody sets stands still while the device sleeps.
    const quietMs = Math.max(clock.now() - lastNews.at, steadyNow(clock) - lastNews.steadyAt)
    return quietMs > parts.staleAfterMs ? 'stale' : 'live'
  }

  serveLightPeers({ follower, genesis, requests, store, evidence })

  return {
    start: () => following.start(),
    async stop() {
      stopListening()
      following.stop()
      await household?.idle()
      await memberships.stop()
    },
    status() {
      const { anchor, anchor_hash } = follower.head
      return {
        state: stateNow(),
        tip: anchor === null ? null : { height: anchor.header.height, header_hash: anchor_hash },
        headers: follower.window,
        votes_sent: votesSent,
        peers: requests.peers().length,
        trusted_height: follower.trusted.anchor?.header.height ?? null,
      }
    },
    ready: () => ready,
    sync: () => following.sync(),
    identityOf: (owner) => findIdentity(owner, follower.head.anchor?.header ?? null),
    entryOf: (publicKey) => findEntry(publicKey, follower.head.anchor?.header ?? null),
    receiptOf: ({ peer, answer }, txId, by) => fetchReceipt({ chainId, requests, signAs }, peer, answer, txId, by),
    bodyOf: ({ answer }, identity) =>
      fetchOwnTrade({ requests, signAs }, identity, answer.header.height, answer.tx_hash),
    user: () => memberships.user(),
    evidence: (limit) => evidence.list(limit),
    prove: (by) => prove(by, follower, requests),
  }
}

/** Signs as a device, with its certificate where it is to be shown. */
const signerOf = (
  parts: Pick<LightClientParts, 'requests' | 'clock' | 'randomBytes'> & { readonly chainId: Hash },
  { id, key }: Identity,
  membership?: () => Promise<Membership | undefined>,
): CredentialSigner =>
  createCredentialSigner({
    ...parts,
    voterId: () => id,
    key: () => Promise.resolve(key),
    ...(membership !== undefined && { membership }),
  })

/** By the first peer whose proof holds. */
async function prove(
  by: { readonly tx_id: string } | { readonly tx_hash: Hash },
  follower: LightFollower,
  requests: PeerRequests,
): Promise<CheckedProof> {
  let failure: unknown = ledgerError('not_ready', { reason: 'no peer is connected' })
  for (const peer of requests.peers()) {
    try {
      return await proveWith(peer, by, follower, requests)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

async function proveWith(
  peer: string,
  by: { readonly tx_id: string } | { readonly tx_hash: Hash },
  follower: LightFollower,
  requests: PeerRequests,
): Promise<CheckedProof> {
  await follower.syncWith(peer)
  const { head, trusted } = follower
  const newest = await proofUnder(head, peer, by, requests)
  const isFinal = newest.answer.header.height <= (trusted.anchor?.header.height ?? -1)
  if (!isFinal) return { ...newest, status: 'proposed', trusted: null, peer }
  // The head follows on the trusted header; what is final is proven under that itself all the same.
  const { tx_hash } = newest.answer
  const proof =
    head.anchor_hash === trusted.anchor_hash ? newest : await proofUnder(trusted, peer, { tx_hash }, requests)
  return { ...proof, status: 'final', trusted: proof.anchor, peer }
}

/** The proof of a transaction under the header of a state, checked. */
async function proofUnder(
  { anchor, anchor_hash }: LightFollower['head'],
  peer: string,
  by: { readonly tx_id: string } | { readonly tx_hash: Hash },
  requests: PeerRequests,
): Promise<Pick<CheckedProof, 'answer' | 'anchor'>> {
  if (anchor === null) throw ledgerError('not_ready', { reason: 'the chain has no block yet' })
  const { height } = anchor.header
  const answer = proofAnswer(await requests.request(peer, 'proof', { ...by, at_height: height }), 'proof')
  const txHash = 'tx_hash' in by ? by.tx_hash : answer.tx_hash
  const verdict = verifyTransactionProof(txHash, answer, { header: anchor.header, hash: anchor_hash })
  if (!verdict.ok) {
    throw ledgerError('peer_refused', { peer, request: 'proof', code: verdict.code, reason: verdict.reason })
  }
  return { answer, anchor: { height, header_hash: anchor_hash } }
}
