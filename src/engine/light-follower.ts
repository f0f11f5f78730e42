import { steadyNow, type Clock } from '../ports/clock.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, type SealedHeader } from '../protocol/header.ts'
import {
  knownSealers,
  trustGenesis,
  verifyNext,
  type LightCode,
  type LightContext,
  type TrustedState,
} from '../protocol/light-verify.ts'
import { MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import { headersAnswer, statusAnswer, type ProvenRecovery, type StatusAnswer } from '../protocol/messages.ts'
import { LightConflicts, refusePeer, type HeaderRefusal, type LightConflictsParts } from './light-conflicts.ts'
import { LightPlace, type LightPlaceParts } from './light-place.ts'
import { moveByProof, NOT_MOVED, type LightProofsParts, type Moved } from './light-proofs.ts'
import { askForAuthority, askForRecovery, maySealHere } from './light-signers.ts'
import { createSerial } from './serial.ts'

export interface FollowerParts extends LightPlaceParts, LightConflictsParts {
  readonly genesis: Genesis
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly logger: Logger
}

/** What became of an offered header. */
export type Offer =
  | 'followed'
  | 'known'
  | 'gap'
  /** It goes on from another header of the head's height than this node has. */
  | 'fork'
  | HeaderRefusal

/** How a sync went: headers skipped over, what it took, and whether the peer has nothing that is newer. */
export interface SyncReport {
  /** What the peer says that it is. */
  readonly mode: StatusAnswer['mode']
  readonly from: number | null
  readonly to: number | null
  /** Size of the answers, canonical bytes. */
  readonly bytes: number
  /** The newest header of the peer is the newest here, and it is trusted. */
  readonly isNewest: boolean
  /** The peer has more proofs to show before this node is as far as it is. */
  readonly hasMore: boolean
}

/** Answers of `anchor` in one sync, 64 handovers each; the next sync goes on. */
const MAX_PAGES = 256

/** A peer has so long in its turn, and then the others have theirs: it may be slow on purpose. */
const TURN_MS = 15_000

/** Where the peer is; an empty chain is where everybody begins. */
const hashOf = ({ chain_id, tip }: StatusAnswer): Hash => tip?.header_hash ?? chain_id

/**
 * Follows headers to the newest: one by one as they link, or by proofs (light-proofs). Under policy `authority` what is linked is
 * trusted; under vote policies trust follows when a quorum is proven. Never moves without a proof; one step at a time.
 */
export class LightFollower {
  readonly chainId: Hash
  readonly #parts: FollowerParts
  readonly #lane = createSerial()
  readonly #place: LightPlace
  readonly #conflicts: LightConflicts
  readonly #proofs: LightProofsParts
  readonly #firstRoot: Hash

  private constructor(parts: FollowerParts, place: LightPlace, start: TrustedState) {
    this.#parts = parts
    this.#place = place
    this.#conflicts = new LightConflicts(place, parts)
    this.#proofs = { ...parts, context: () => this.#context() }
    this.chainId = chainIdOf(parts.genesis)
    this.#firstRoot = start.registry_root
  }

  /** Takes up where the store's window ends. */
  static async open(parts: FollowerParts): Promise<LightFollower> {
    const start = trustGenesis(parts.genesis, chainIdOf(parts.genesis))
    return new LightFollower(parts, await LightPlace.open(parts, start), start)
  }

  /** The newest header that is trusted. */
  get trusted(): TrustedState {
    return this.#place.trusted
  }

  /** The newest header. */
  get head(): TrustedState {
    return this.#place.head
  }

  /** Headers up to the head, ascending. */
  get window(): readonly SealedHeader[] {
    return this.#place.window
  }

  get height(): number {
    return this.#place.height
  }

  /** True after a header that changed the registry: only an answer of `anchor` says what it changed. */
  get needsProof(): boolean {
    return this.head.policy === null
  }

  /** A header from gossip or from a range that was asked for. */
  offer(sealed: SealedHeader): Promise<Offer> {
    return this.#lane(() => this.#offer(sealed))
  }

  /**
   * Moves to the tip of a peer: header by header if it is near, by proofs if it is far or if trust needs them. Throws
   * `peer_refused`, `peer_unreachable`.
   */
  async syncWith(peer: string): Promise<SyncReport> {
    // Asked before it is this peer's turn: one that is silent holds up nobody.
    const status = statusAnswer(await this.#parts.requests.request(peer, 'status', {}), 'status')
    let bytes = 0
    for (let pages = 1; ; pages++) {
      // Page by page others have their turn. Each moves the trusted header on, or is refused.
      const report = await this.#lane(() => this.#sync(peer, status))
      bytes += report.bytes
      if (!report.hasMore || pages === MAX_PAGES) return { ...report, bytes }
    }
  }

  /** Looks for what contradicts the chain here, after a header that forks off it. Throws `peer_refused`. */
  compareWith(peer: string): Promise<void> {
    return this.#lane(() => this.#conflicts.compareWith(peer))
  }

  async #offer(sealed: SealedHeader, recovery?: ProvenRecovery): Promise<Offer> {
    const { header } = sealed
    const place = this.#place
    if (place.holds(hashHeader(header))) return 'known'
    if (header.height <= place.height) {
      // An older header is no news, unless it is a second one of a height that this node knows.
      const held = place.heldAt(header.height)
      return held === undefined ? 'known' : this.#conflicts.judge(held, sealed)
    }
    if (header.height > place.height + 1) return 'gap'
    const result = verifyNext(place.head, sealed, this.#context(), recovery)
    if (!result.ok) return this.#refusal(result, sealed)
    const trusted = place.isAllTrusted && place.isByAuthority ? result.state : place.trusted
    await place.move({ trusted, head: result.state, window: [...place.window, sealed] }, 'linked')
    return 'followed'
  }

  #refusal({ code, reason }: { readonly code: LightCode; readonly reason: string }, sealed: SealedHeader): Offer {
    if (code === 'wrong_parent') return this.#conflicts.hasSeal(sealed) ? 'fork' : this.#conflicts.unsealed(sealed)
    const isUnsure = maySealHere(this.head, sealed, this.#firstRoot)
    if (isUnsure && (code === 'bad_seal' || code === 'unknown_sealer')) return 'gap'
    return { refused: code, reason }
  }

  async #sync(peer: string, status: StatusAnswer): Promise<SyncReport> {
    const place = this.#place
    const reached = () => (place.head.anchor === null ? null : place.height)
    const from = reached()
    const tip = status.tip?.height ?? -1
    if (this.#conflicts.contradicts(status.tip)) await this.#conflicts.compareWith(peer)
    // Headers that go on from one that is not trusted never make it so.
    const isLinked = place.isAllTrusted && place.isByAuthority
    const near = tip - place.height <= this.#parts.windowSize && isLinked
    const byProof = (): Promise<Moved> => moveByProof(place, this.#proofs, peer, status)
    // By proofs, if the way is long, or if only a proven quorum or handover makes the head trusted.
    const far = near ? NOT_MOVED : await byProof()
    let { bytes } = far
    if (tip > place.height && !far.hasMore)
      bytes += await this.#downloadHeaders(peer, Math.min(tip - place.height, MAX_HEADERS_PER_REQUEST))
    // Links end where the registry changes.
    const isBehind = !place.isAllTrusted || tip > place.height
    const last = near && isBehind ? await byProof() : NOT_MOVED
    bytes += last.bytes
    const hasMore = far.hasMore || last.hasMore
    const isNewest = place.isAllTrusted && tip <= place.height && place.head.anchor_hash === hashOf(status)
    return { mode: status.mode, from, to: reached(), bytes, isNewest, hasMore }
  }

  /** Gives back how many bytes it took. */
  async #downloadHeaders(peer: string, count: number): Promise<number> {
    const { requests, onAlarm } = this.#parts
    const asked = { from_height: this.height + 1, count }
    const startedAt = steadyNow(this.#parts.clock)
    const answer = headersAnswer(await requests.request(peer, 'headers', asked), 'headers')
    for (const sealed of answer.headers) {
      if (steadyNow(this.#parts.clock) - startedAt > TURN_MS) break
      // On another branch others may seal, and what its peers prove is not under a root of this one.
      if (sealed.header.prev_hash === this.#place.head.anchor_hash)
        await this.#learnSealer(peer, sealed.header.miner_id)
      const offer = await this.#offer(sealed, await askForRecovery(requests, peer, sealed, this.head))
      // Further down, where the two branches part, the seals may be of a key that is known here.
      if (offer === 'fork' || isApart(offer)) await this.#conflicts.compareWith(peer)
      if (offer === 'gap' || offer === 'fork') break
      if (typeof offer === 'object') refusePeer(onAlarm, peer, offer.refused, offer.reason)
    }
    return canonicalText(answer).length
  }

  /**
   * Who seals after a header that changed the registry is proven under its root: no proof up to it says so.
   */
  async #learnSealer(peer: string, id: string): Promise<void> {
    const { head, trusted, window, isAllTrusted } = this.#place
    const sealers = knownSealers(head)
    if (head.anchor === null || sealers.some((sealer) => sealer.id === id)) return
    const { registry_root } = head.anchor.header
    const entry = await askForAuthority(this.#parts.requests, peer, id, head.anchor.header)
    if (entry === undefined) return
    const policy = registry_root === head.registry_root ? head.policy : null
    const knowing = { ...head, registry_root, policy, sealers: [...sealers, entry] }
    await this.#place.keep({ trusted: isAllTrusted ? knowing : trusted, head: knowing, window })
  }

  #context(): LightContext {
    return { genesis: this.#parts.genesis, chainId: this.chainId, now: this.#parts.clock.now() }
  }
}

const isApart = (offer: Offer): boolean => typeof offer === 'object' && offer.refused === 'wrong_parent'
