import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import type { NamedPeers } from '../ports/named-peers.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import { OWN_VOTES_KEPT, type VoterStore } from '../ports/voter-store.ts'
import type { Hex } from '../protocol/bytes.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import type { RegistryEntry } from '../protocol/registry.ts'
import type { SigningKey } from '../protocol/signature.ts'
import type { Vote } from '../protocol/vote.ts'
import type { Chain } from './chain.ts'
import type { Finalizer } from './finalizer.ts'
import { ownPlace } from './own-place.ts'
import type { ReplicaSync } from './replica-sync.ts'
import type { Replica } from './replica.ts'
import { MAX_WRONG_SIGNATURES, shownAcks } from './shown-acks.ts'

export interface OwnAcksParts {
  readonly chain: Chain
  readonly voterStore: VoterStore
  readonly finalizer: Pick<Finalizer, 'finalHeight'>
  readonly replica: Pick<Replica, 'find' | 'hashAt' | 'look'>
  readonly sync: Pick<ReplicaSync, 'takeBranch'>
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly logger: Logger
  readonly key: SigningKey
  /** Changes what binds the voter, one change at a time and never between the check of an ack and the ack. */
  readonly alone: <T>(task: () => Promise<T>) => Promise<T>
  readonly namedPeers?: NamedPeers | undefined
  /** How many named peers must have answered: the operator's word. */
  readonly recallPeers?: number | undefined
}

/**
 * What the key of this node has acked before this start. Its store may be new, or older than its last ack,
 * and no node can tell that from an ordinary start by itself: so peers are asked, and what they show that
 * the key has signed is taken as its own past.
 */
export interface OwnAcks {
  /**
   * Asks a peer, once a life; a second call while it is asked joins the first. It counts as one that has answered if this node has caught up with it: else
   * it may know of acks on a chain that is not known here. False if it was asked before, or there is nothing
   * to ask. Throws `peer_refused`, `peer_unreachable`.
   */
  ask(peer: string, isCaughtUp: boolean): Promise<boolean>
  /** This peer has nothing to say: it failed, or has no blocks. */
  passOver(peer: string): void
  /** Takes an ack of this key that came another way, and was counted: its header is known here. */
  hear(vote: Vote): Promise<void>
  /** The store has learnt of an ack that it had forgotten. Called while nothing else changes what binds the voter. */
  reminded(): Promise<void>
  /**
   * `known`: enough has been asked to ack. That is: enough peers have answered, and the others, those that
   * are connected and those that the operator has named, have as well or had PATIENCE_MS since.
   * `unregistered`: nobody has to be asked, nothing is acked.
   */
  state(): 'known' | 'asking' | 'unregistered'
  /** For people: what is waited for; `undefined` if nothing is, or not for long. */
  trouble(): string | undefined
  /** Acks that are no ancestors of the one that the store calls the last, above the last final block. */
  binding(): readonly BlockPoint[]
}

/** Of so many peers it is remembered whether they were heard, though they have left: anybody comes under ever new ids. */
const MAX_HEARD = 1_000

/** A named peer that is there is connected, and has answered, within this time. */
export const PATIENCE_MS = 5_000

export function createOwnAcks(parts: OwnAcksParts): OwnAcks {
  const { chain, voterStore, finalizer, replica, requests, clock, logger, key } = parts
  const startedAt = steadyNow(clock)
  // Nobody is asked in it: whoever answers slowly holds up no other.
  const { alone } = parts
  const asking = new Map<string, Promise<boolean>>()
  let askedFor: string | undefined
  const answered = new Set<string>()
  const passedOver = new Set<string>()
  /** Before this node knew whose key it has; it may follow another peer by now, and has to ask again. */
  const askedInVain = new Set<string>()
  let enoughSince: number | undefined
  /** Undefined until it was read from the store. */
  let hasForgotten: boolean | undefined
  let bound: readonly BlockPoint[] = []

  /** The entry of this key where the next block is voted on, or the last one that it may ack. */
  const ownEntry = (): RegistryEntry | undefined => ownPlace(chain, key.publicKey, finalizer.finalHeight)?.entry

  /**
   * The keys that the entry has had on this chain at heights from `fromHeight` on, and that of this node, newest first.
   */
  async function keysOf({ id }: RegistryEntry, fromHeight: number): Promise<ReadonlySet<Hex>> {
    const keys = new Set([key.publicKey])
    let height = chain.size
    for (;;) {
      const entry = (await chain.registryBefore(height)).entry(id)
      // More are not tried on one signature anyway.
      if (entry === undefined || keys.size > MAX_WRONG_SIGNATURES) return keys
      keys.add(entry.public_key)
      // Its last change before, if there is one that is not below.
      if (entry.since_height < fromHeight || height <= fromHeight) return keys
      height = entry.since_height
    }
  }

  async function load(): Promise<void> {
    if (hasForgotten !== undefined) return
    await bind()
    hasForgotten = await voterStore.hasForgotten()
  }

  async function bind(): Promise<void> {
    const own = await voterStore.ownVotesFrom(finalizer.finalHeight + 1)
    const points = own.map(({ header_hash, height }) => ({ hash: header_hash, height }))
    // While the chain is exchanged for a branch a block has its place on neither.
    bound = await replica.look(() => withoutImplied(points))
  }

  /** Acks that the last one extends need not be asked about: who extends the last extends them. */
  async function withoutImplied(points: readonly BlockPoint[]): Promise<readonly BlockPoint[]> {
    const vote = await voterStore.lastVote()
    if (vote === undefined) return points
    const last = { hash: vote.header_hash, height: vote.height }
    const kept: BlockPoint[] = []
    for (const point of points) {
      if (point.hash !== last.hash && (await replica.hashAt(last, point.height)) !== point.hash) kept.push(point)
    }
    return kept
  }

  /**
   * Acks of this voter at a peer that bind it: by a key that was in force above the last final block. One that was
   * replaced up to there may be in anybody's hands since, and what it signs counts nowhere above: on a branch of its
   * own it would contradict what is final. What was shown before a failure is learnt all the same.
   */
  async function learnFrom(peer: string, entry: RegistryEntry): Promise<void> {
    // The last final block may still be acked itself, where it is the tip: by who has not acked another one of its height.
    const fromHeight = Math.max(0, finalizer.finalHeight)
    const keys = { keys: await keysOf(entry, 0), binding: await keysOf(entry, finalizer.finalHeight + 1) }
    const acks: Vote[] = []
    try {
      for await (const ack of shownAcks(parts, peer, { entry, fromHeight, ...keys, isKnown })) acks.push(ack)
    } finally {
      await alone(() => learn(acks))
    }
  }

  async function ask(peer: string, isCaughtUp: boolean): Promise<boolean> {
    const entry = ownEntry()
    if (entry === undefined) {
      note(askedInVain, peer)
      return false
    }
    await alone(load)
    if (askedFor !== entry.id) {
      answered.clear()
      enoughSince = undefined
    }
    askedFor = entry.id
    if (answered.has(peer)) return false
    await learnFrom(peer, entry)
    if (isCaughtUp && askedFor === entry.id) note(answered, peer)
    await alone(noteAnswers)
    return true
  }

  async function isKnown({ height, header_hash }: Vote): Promise<boolean> {
    const stored = await voterStore.ownVotesAt(height)
    return stored.some((own) => own.header_hash === header_hash)
  }

  /** Takes acks that the store does not know. So far below the last one an ack binds to nothing any more. */
  async function learn(acks: readonly Vote[]): Promise<void> {
    const last = await voterStore.lastVote()
    const heights = acks.map(({ height }) => height)
    const highest = Math.max(last?.height ?? -1, ...heights)
    const forgotten = acks.filter(({ height }) => height > highest - OWN_VOTES_KEPT)
    if (forgotten.length === 0) return
    await voterStore.putForgotten(forgotten)
    hasForgotten = true
    await bind()
    // At once: whoever has shown them may fail before it has answered, and more have to now.
    await noteAnswers()
    logger.warn(
      { heights },
      `this key has acked blocks that its data directory does not know of, up to height ${highest}: ` +
        'the directory is new or an older backup, or another process has the key. They bind it from now on',
    )
  }

  /** Named peers, each once although it may have several addresses. */
  function named(): { readonly count: number; readonly ids: ReadonlySet<string> } {
    const reached = parts.namedPeers?.reached() ?? new Map<string, string>()
    const ids = new Set(reached.values())
    return { count: (parts.namedPeers?.addresses ?? 0) - reached.size + ids.size, ids }
  }

  function required(): number {
    if (parts.recallPeers !== undefined) return parts.recallPeers
    const { finality } = chain.registry
    if (hasForgotten !== true || finality.policy !== 'validators') return 1
    return Math.max(1, Math.min(named().count, finality.threshold + 1))
  }

  /** Anybody can connect: where the number matters, those count whom the operator has named. */
  function answers(): number {
    if (required() === 1) return answered.size
    const { ids } = named()
    return [...answered].filter((peer) => ids.has(peer)).length
  }

  function areOthersHeard(): boolean {
    const isHeard = (peer: string): boolean => answered.has(peer) || passedOver.has(peer)
    const { count, ids } = named()
    return requests.peers().every(isHeard) && ids.size >= count && [...ids].every(isHeard)
  }

  /** One that is neither connected nor named is waited for by nobody; the newest stays, who may be the one that was enough. */
  function note(heard: Set<string>, peer: string): void {
    heard.add(peer)
    if (heard.size <= MAX_HEARD) return
    const present = new Set([...requests.peers(), ...named().ids, peer])
    for (const other of heard) if (!present.has(other)) heard.delete(other)
  }

  async function noteAnswers(): Promise<void> {
    if (answers() < required()) enoughSince = undefined
    else enoughSince ??= steadyNow(clock)
    if (enoughSince === undefined || hasForgotten !== true) return
    await voterStore.putRemembered()
    hasForgotten = false
  }

  return {
    ask(peer, isCaughtUp) {
      const joined = asking.get(peer)
      if (joined !== undefined) return joined.then(() => false)
      const asked = ask(peer, isCaughtUp).finally(() => asking.delete(peer))
      asking.set(peer, asked)
      return asked
    },
    passOver(peer) {
      if (!askedInVain.delete(peer)) note(passedOver, peer)
    },
    hear: (vote) =>
      alone(async () => {
        if (ownEntry()?.id !== vote.voter_id) return
        await load()
        if (await isKnown(vote)) return
        await learn([vote])
      }),
    async reminded() {
      hasForgotten = true
      await bind()
      await noteAnswers()
    },
    state() {
      const entry = ownEntry()
      if (entry === undefined) return 'unregistered'
      if (enoughSince === undefined || entry.id !== askedFor) return 'asking'
      return areOthersHeard() || steadyNow(clock) - enoughSince >= PATIENCE_MS ? 'known' : 'asking'
    },
    trouble() {
      const isEarly = steadyNow(clock) - startedAt < PATIENCE_MS
      if (chain.tip === null || isEarly || enoughSince !== undefined || ownEntry() === undefined) return undefined
      const needed = required()
      if (needed === 1) return 'not co-signing: no peer with blocks has said what this key has acked before'
      return (
        `not co-signing: ${answers()} of the ${needed} named peers that are needed said what this key has acked before; ` +
        `bring the others up, name others with --peer, or start with --recall-peers N (docs/mishaps.md)`
      )
    },
    binding: () => bound.filter(({ height }) => height > finalizer.finalHeight),
  }
}
