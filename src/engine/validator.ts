import type { ChainStore } from '../ports/chain-store.ts'
import type { Clock } from '../ports/clock.ts'
import type { FinalityStore } from '../ports/finality-store.ts'
import type { Gossip, GossipVerdict } from '../ports/gossip.ts'
import type { LedgerEvent } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'
import type { NamedPeers } from '../ports/named-peers.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { SignatureChecks } from '../ports/signature-checks.ts'
import type { BodyRedaction } from '../ports/retention.ts'
import type { VoterStore } from '../ports/voter-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { isSolarError, VALID, type SolarError } from '../protocol/errors.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Vote } from '../protocol/vote.ts'
import { collectAnswers, settledWithin } from './answers.ts'
import { hasSeal } from './checked-seal.ts'
import type { CredentialSigner } from './credential-signer.ts'
import type { Chain, Tip } from './chain.ts'
import { keepAskingForEvidence } from './evidence-exchange.ts'
import type { EvidencePool } from './evidence-pool.ts'
import type { EventHub } from './events.ts'
import type { Finalizer } from './finalizer.ts'
import { syncWithNewPeers } from './new-peers.ts'
import { createOwnAcks } from './own-acks.ts'
import { ownPlace } from './own-place.ts'
import type { Identity } from './own-trades.ts'
import { createReplicaSync } from './replica-sync.ts'
import { replicaAckView } from './replica-view.ts'
import { Replica } from './replica.ts'
import { createUnsealedHeaders } from './unsealed-headers.ts'
import { createVoteCounter, type VoteCounter, type VoteTarget } from './vote-counter.ts'
import { createVoter } from './voter.ts'

export interface ValidatorParts {
  readonly chain: Chain
  readonly store: ChainStore & Pick<BodyRedaction, 'redactions'>
  readonly finalityStore: FinalityStore
  readonly voterStore: VoterStore
  readonly finalizer: Finalizer
  readonly evidence: EvidencePool
  readonly events: EventHub
  readonly gossip: Gossip
  readonly requests: PeerRequests
  /** Where signatures are checked; in place if absent. */
  readonly signatures?: SignatureChecks | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly key: SigningKey
  /** What the signer of the key has acked last, if it is in one. */
  readonly signedBefore?: Vote | null | undefined
  readonly sign: CredentialSigner
  /**
   * Registry transactions whose change of the policy, an authority or a validator the operator has allowed,
   * by their hashes.
   */
  readonly allowedChanges: readonly string[] | 'all'
  /** What is wrong, and what to do, where peers refuse by this code: for people; `undefined` where the refusal says it itself. */
  readonly explainRefusal: (code: string) => string | undefined
  /** How often every peer is asked for its tip although gossip is quiet. */
  readonly pollMs: number
  /** Those that the operator has named; without them any peer is as good as another. */
  readonly namedPeers?: NamedPeers | undefined
  /** How many named peers must have said what this key has acked before, if the operator has said so. */
  readonly recallPeers?: number | undefined
}

/** Follows peers, checks every block, and co-signs the tip. */
export interface Validator {
  /** Counts votes on the chain and on the branches beside it. */
  readonly votes: VoteCounter
  /** A header of the chain or of a branch beside it that may still become it. */
  find(hash: Hash): Promise<VoteTarget | undefined>
  /** Begins to follow. */
  start(): void
  stop(): Promise<void>
  /** What gossip does with a header that arrived. */
  onHeader(sealed: SealedHeader, from: string): Promise<GossipVerdict>
  /** Syncs with every connected peer; rejects if none could be followed. */
  sync(): Promise<void>
  /** For people: why it does not co-sign although it could; `undefined` if nothing keeps it. */
  trouble(): string | undefined
  /** Waits until everything that was set off is done: syncs, its vote, and what that vote brings about. */
  idle(): Promise<void>
}

/** Who tells of a block has it at hand; one that keeps it back for longer holds nobody up. */
const PATIENCE_MS = 1_000
/** While it is not known what this key has acked before, peers are asked again so often. */
const ASK_AGAIN_MS = 2_000

export function createValidator(parts: ValidatorParts): Validator {
  const { chain, finalizer, requests, clock, logger, key, events } = parts
  let cancelPoll = (): void => undefined
  let removeListeners = (): void => undefined
  let stopped = false
  let cancelAsking: (() => void) | undefined
  let saidTrouble: string | undefined
  let lastRefusal: string | undefined

  const onAlarm = (code: string, reason: string): void => logger.error({ code }, `ALARM ${reason}`)
  const replica = new Replica({ ...parts, votes: parts.finalityStore, onAlarm, onTip: announce })
  const voter = createVoter({
    ...parts,
    chainId: chain.chainId,
    store: parts.voterStore,
    viewOf: (header, lastAck) => replicaAckView({ ...parts, replica }, header, lastAck),
    finalHeight: () => finalizer.finalHeight,
    earlierAcks: () => ownAcks.binding(),
    onForgotten: () => ownAcks.reminded(),
    // The whole block was checked before it came onto the chain.
    check: () => Promise.resolve(VALID),
    // Which of two blocks counts is what its ack helps to decide.
    isAccused: () => false,
    onAlarm,
    onVote: (vote) => {
      logger.info({ height: vote.height }, `co-signed block ${vote.height}`)
      background(votes.cast(vote))
    },
  })
  const find = (hash: Hash): Promise<VoteTarget | undefined> => replica.find(hash)
  const votes = createVoteCounter({
    ...parts,
    chainId: chain.chainId,
    store: parts.finalityStore,
    find,
  })
  const sync = createReplicaSync({ ...parts, votes: parts.finalityStore, replica, counter: votes, onAlarm })
  const ownAcks = createOwnAcks({ ...parts, replica, sync, alone: (task) => voter.alone(task) })
  const running = new Set<Promise<void>>()
  const unsealed = createUnsealedHeaders()
  let registryRoot = chain.registry.root
  function background(task: Promise<unknown>): void {
    const done = task.then(() => undefined, noteFailure).finally(() => running.delete(done))
    running.add(done)
  }

  function noteFailure(error: unknown): void {
    if (stopped) return
    const refusal = isSolarError(error, 'peer_refused') ? refusalWords(error) : undefined
    // Each poll is refused for the same reason again: once is enough to say so.
    if (refusal === undefined || refusal === lastRefusal) logger.debug({ error }, 'could not sync')
    else logger.warn({ error }, refusal)
    lastRefusal = refusal ?? lastRefusal
  }

  function refusalWords(error: SolarError): string {
    const { code } = error.fields as { readonly code: string }
    return parts.explainRefusal(code) ?? `could not sync: ${error.message}`
  }

  async function idle(): Promise<void> {
    do {
      await Promise.all(running)
      await voter.idle()
    } while (running.size > 0)
  }

  function announce({ sealed, hash, header }: Tip): void {
    const status = header.height <= finalizer.finalHeight ? 'final' : 'proposed'
    events.emit({ type: 'header', header_hash: hash, sealed, status })
    if (header.registry_root === registryRoot) return
    registryRoot = header.registry_root
    background(unsealed.takeSealed(hasKnownSeal).then((peers) => Promise.all(peers.map(syncWith))))
  }

  /**
   * At the end of a sync, not at each block of it: an ack of the tip counts for all below. A key that the chain has
   * taken away acks the last block that it may.
   */
  function considerTip(): void {
    const { tip } = chain
    if (tip === null || stopped) return
    const state = ownAcks.state()
    if (state === 'asking') askAgain()
    if (state !== 'known') return
    if (saidTrouble !== undefined) logger.info({}, 'enough peers have said what this key has acked before: co-signing')
    saidTrouble = undefined
    const last = lastBlock()
    if (last === undefined) consider(tip.sealed)
    else background(chain.headers(last, 1).then((found) => found.forEach(consider)))
  }

  function consider(sealed: SealedHeader): void {
    void voter.consider(sealed, () => identityAt(sealed.header.height))
  }

  /** The height of the block on the chain that has taken the own key away, if that is not final. */
  function lastBlock(): number | undefined {
    const place = ownPlace(chain, key.publicKey, finalizer.finalHeight)
    return place !== undefined && place.height < chain.size ? place.height : undefined
  }

  /** By the registry before it; above the tip by the newest, which may be another by then. */
  async function hasKnownSeal(sealed: SealedHeader): Promise<boolean> {
    const { height, miner_id } = sealed.header
    const sealer = (await chain.registryBefore(height)).active(miner_id, 'authority')
    return sealer !== undefined && (await hasSeal(sealed, sealer.public_key, parts.signatures))
  }

  /** On another branch another key may seal, and a block that changes the registry may bring the key that seals it. */
  async function mayHaveOtherKey({ header }: SealedHeader): Promise<boolean> {
    const { height, prev_hash, registry_root } = header
    const parent = height === 0 ? chain.chainId : await chain.hashAt(height - 1)
    return prev_hash !== parent || registry_root !== (await chain.registryBefore(height)).root
  }

  async function identityAt(height: number): Promise<Identity | undefined> {
    const entry = (await chain.registryBefore(height)).holder(key.publicKey)
    return entry?.status === 'active' ? { id: entry.id, key } : undefined
  }

  /**
   * Whoever has not said yet what this key has acked before may be there now, or has been waited for long
   * enough.
   */
  function askAgain(): void {
    cancelAsking ??= clock.after(ASK_AGAIN_MS, () => {
      cancelAsking = undefined
      const trouble = ownAcks.trouble()
      if (trouble !== undefined && trouble !== saidTrouble) logger.warn({}, trouble)
      saidTrouble = trouble
      background(syncAll())
      considerTip()
    })
  }

  /** What this node acked binds it: it may be the only one that still has the branch, and others who acked it resend their acks. */
  async function recallOwnBranches(): Promise<void> {
    const last = await parts.voterStore.lastVote()
    const acks = await parts.voterStore.ownVotesFrom(finalizer.finalHeight + 1)
    const hashes = [...acks, ...(last === undefined ? [] : [last])].map(({ header_hash }) => header_hash)
    for (const hash of new Set(hashes)) await replica.recall(hash)
  }

  async function syncWith(peer: string): Promise<void> {
    try {
      if ((await sync.syncWith(peer).catch((error: unknown) => notFollowed(peer, error))) === 'nothing') return
      // Before the first ack: it may not ack a block beside one that it acked in an earlier life.
      const isAsked = await ownAcks.ask(peer, true)
      // The chain may have grown meanwhile: an ack of the newest block counts for all below.
      if (isAsked) await sync.syncWith(peer)
    } finally {
      const isWaiting = ownAcks.state() === 'asking'
      ownAcks.passOver(peer)
      // All that was waited for may have been this one.
      if (isWaiting) considerTip()
    }
    considerTip()
    await voter.resend(peer)
  }

  /** Whose chain cannot be followed may know best what was acked on it. */
  async function notFollowed(peer: string, error: unknown): Promise<never> {
    // To a key that was taken away it shows no block above, and one that contradicts a final block is not taken: what was acked
    // on it binds to nothing. This node has come as far as it can.
    const isHidden = isRefusedFor(error, 'forbidden', 'unknown_voter') && lastBlock() !== undefined
    const hasEnded = isHidden || isRefusedFor(error, 'conflicts_with_final')
    if (isSolarError(error, 'peer_refused')) await ownAcks.ask(peer, hasEnded).catch(() => undefined)
    if (hasEnded) {
      considerTip()
      await voter.resend(peer)
    }
    throw error
  }

  async function syncAll(): Promise<void> {
    const results = await Promise.allSettled(requests.peers().map(syncWith))
    const failure = results.find((result) => result.status === 'rejected')
    if (failure !== undefined && results.every(({ status }) => status === 'rejected')) throw failure.reason
  }

  function poll(): void {
    cancelPoll = clock.after(parts.pollMs, () => {
      background(syncAll())
      poll()
    })
  }

  function onEvent(event: LedgerEvent): void {
    if (event.type !== 'vote') return
    const { vote } = event
    const heard = vote.decision === 'ack' ? ownAcks.hear(vote) : Promise.resolve()
    background(heard.then(() => replica.reconsider()).then(considerTip))
  }

  return {
    votes,
    find,
    start() {
      const stopListening = events.subscribe(onEvent)
      const stopSyncing = syncWithNewPeers(requests, clock, (peer) => background(syncWith(peer)))
      const stopAsking = keepAskingForEvidence(parts)
      removeListeners = () => {
        stopListening()
        stopSyncing()
        stopAsking()
      }
      background(recallOwnBranches())
      background(syncAll())
      poll()
    },
    async stop() {
      stopped = true
      cancelPoll()
      cancelAsking?.()
      removeListeners()
      await voter.idle()
    },
    async onHeader(sealed, from) {
      const { height } = sealed.header
      const hash = hashHeader(sealed.header)
      // The tip may have come by a sync that was faster than gossip: who hears it from here alone must hear it all the same.
      if (await replica.knows(hash)) return chain.tip?.hash === hash ? 'accept' : 'ignore'
      if (!(await hasKnownSeal(sealed))) {
        if (!(await mayHaveOtherKey(sealed))) return 'reject'
        // Anybody can make up headers: who sends one is not asked for it until the chain has brought its key.
        if (height > finalizer.finalHeight) unsealed.add(sealed, from)
        return 'ignore'
      }
      await replica.watch(sealed)
      if (height <= finalizer.finalHeight) return 'ignore'
      // Passed on once the whole block is checked. The peer may have no blocks, or was asked just before it had this one.
      await settledWithin(clock, PATIENCE_MS, syncWith(from))
      if (!(await replica.knows(hash))) await collectAnswers(clock, requests.peers().map(syncWith))
      return (await replica.knows(hash)) ? 'accept' : 'ignore'
    },
    sync: syncAll,
    trouble: () => ownAcks.trouble(),
    idle,
  }
}

/** Peers show no block to this key: it is not the one that is registered now, or its holder is revoked. */
const isRefusedFor = (error: unknown, ...codes: readonly string[]): boolean =>
  isSolarError(error, 'peer_refused') && codes.includes((error.fields as { readonly code: string }).code)
