import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { count } from '../protocol/count-words.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import {
  knownSealers,
  stateRoot,
  trustGenesis,
  verifyAdvance,
  verifyNext,
  type LightCode,
  type LightContext,
  type TrustedState,
} from '../protocol/light-verify.ts'
import { MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import {
  anchorAnswer,
  headersAnswer,
  statusAnswer,
  type ProvenRecovery,
  type StatusAnswer,
} from '../protocol/messages.ts'
import { askForAuthority, askForRecovery, maySealHere } from './light-signers.ts'
import { createSerial } from './serial.ts'

export interface FollowerParts {
  readonly genesis: Genesis
  readonly store: LightStore
  readonly requests: PeerRequests
  readonly clock: Clock
  readonly logger: Logger
  /** Headers to keep (the plan's N). */
  readonly windowSize: number
  /** Called for each header that becomes the tip, after it is durable. `how`: linked to the last one, or moved to by proofs. */
  readonly onTip: (sealed: SealedHeader, how: 'linked' | 'proved') => void
  /** Called when the trusted header has moved on, after it is durable. */
  readonly onTrusted: () => void
  /** Called when a peer shows something that no honest peer can. */
  readonly onAlarm: (code: string, reason: string) => void
  /** Called with two headers of one height, both with a true seal of the same sealer. */
  readonly onDoubleSeal: (held: SealedHeader, other: SealedHeader) => void
}

/** What became of an offered header. */
export type Offer =
  | 'followed'
  | 'known'
  | 'gap'
  /** It goes on from another header of the head's height than this node has. */
  | 'fork'
  | { readonly refused: LightCode | 'conflict'; readonly reason: string }

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

/**
 * Keeps the newest header (the head), the newest trusted one, and a window behind the head. Under policy `authority` both
 * are the same; under vote policies trust follows when a quorum is proven. Never moves without a proof; one step at a time.
 */
export class LightFollower {
  readonly chainId: Hash
  readonly #parts: FollowerParts
  readonly #lane = createSerial()
  #trusted: TrustedState
  #head: TrustedState
  readonly #firstRoot: Hash
  #window: readonly SealedHeader[] = []
  /** Conflicts that were alarmed about: once is enough. */
  readonly #alarmed = new Set<Hash>()

  private constructor(parts: FollowerParts) {
    this.#parts = parts
    this.chainId = chainIdOf(parts.genesis)
    this.#trusted = trustGenesis(parts.genesis, this.chainId)
    this.#head = this.#trusted
    this.#firstRoot = this.#trusted.registry_root
  }

  /** Takes up where the store's window ends. */
  static async open(parts: FollowerParts): Promise<LightFollower> {
    const follower = new LightFollower(parts)
    const stored = await parts.store.window()
    if (stored !== undefined) {
      follower.#trusted = stored.trusted
      follower.#head = stored.head.anchor_hash === stored.trusted.anchor_hash ? stored.trusted : stored.head
      follower.#window = stored.headers
    }
    return follower
  }

  /** The newest header that is trusted. */
  get trusted(): TrustedState {
    return this.#trusted
  }

  /** The newest header. */
  get head(): TrustedState {
    return this.#head
  }

  /** Headers up to the head, ascending. */
  get window(): readonly SealedHeader[] {
    return this.#window
  }

  get height(): number {
    return heightOf(this.#head)
  }

  /** True after a header that changed the registry: only an answer of `anchor` says what it changed. */
  get needsProof(): boolean {
    return this.#head.policy === null
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
    return this.#lane(() => this.#compareWith(peer))
  }

  async #offer(sealed: SealedHeader, recovery?: ProvenRecovery): Promise<Offer> {
    const { header } = sealed
    const hash = hashHeader(header)
    if (this.#window.some((known) => known.header.height === header.height && hashHeader(known.header) === hash))
      return 'known'
    if (header.height <= this.height) return this.#offerBelowTip(sealed)
    if (header.height > this.height + 1) return 'gap'
    const result = verifyNext(this.#head, sealed, this.#context(), recovery)
    if (!result.ok) return this.#refusal(result, sealed)
    const isTrusted = this.#head === this.#trusted && this.#isByAuthority
    await this.#move(isTrusted ? result.state : this.#trusted, result.state, [...this.#window, sealed], 'linked')
    return 'followed'
  }

  #refusal({ code, reason }: { readonly code: LightCode; readonly reason: string }, sealed: SealedHeader): Offer {
    if (code === 'wrong_parent') return this.#hasSeal(sealed) ? 'fork' : this.#unsealed(sealed)
    const isUnsure = maySealHere(this.#head, sealed, this.#firstRoot)
    if (isUnsure && (code === 'bad_seal' || code === 'unknown_sealer')) return 'gap'
    return { refused: code, reason }
  }

  /** An older header is no news, unless it is a second one of a height that this node knows. */
  #offerBelowTip(sealed: SealedHeader): Offer {
    const held = this.#window.find(({ header }) => header.height === sealed.header.height)
    return held === undefined ? 'known' : this.#conflict(held, sealed)
  }

  /** A header that contradicts one that is held: alarming if an authority really sealed it, noise otherwise. */
  #conflict(held: SealedHeader, other: SealedHeader): Offer {
    if (!this.#hasSeal(other)) return this.#unsealed(other)
    const { height, miner_id } = other.header
    const reason = `${miner_id} sealed a header of height ${height} that contradicts the known chain`
    const hash = hashHeader(other.header)
    if (!this.#alarmed.has(hash) && this.#alarmed.size < MAX_ALARMS) {
      this.#alarmed.add(hash)
      this.#parts.onAlarm('conflict', reason)
      if (held.header.miner_id === miner_id) this.#parts.onDoubleSeal(held, other)
    }
    return { refused: 'conflict', reason }
  }

  #hasSeal(sealed: SealedHeader): boolean {
    const sealer = this.#head.sealers.find((entry) => entry.id === sealed.header.miner_id)
    return sealer !== undefined && verifySeal(sealed, sealer.public_key).ok
  }

  /** No honest node passes a header on that nobody sealed; but on another chain another key may seal. */
  #unsealed({ header }: SealedHeader): Offer {
    const root = this.#head.anchor?.header.registry_root
    const parent = this.#window.find((held) => hashHeader(held.header) === header.prev_hash)
    const isKnown = [parent?.header, header].every((one) => one?.registry_root === root) && !this.needsProof
    const reason = `a conflicting header of height ${header.height} without a seal that is known here`
    return { refused: isKnown ? 'bad_seal' : 'wrong_parent', reason }
  }

  /**
   * Looks for a header of the peer that contradicts one that is held. Throws `peer_refused` with code `conflict` under policy
   * `authority`, where the first seen stays; under vote policies a proven quorum decides which of the two it is.
   */
  async #compareWith(peer: string): Promise<void> {
    const [oldest] = this.#window
    if (oldest === undefined) return
    const asked = { from_height: oldest.header.height, count: this.#window.length }
    const { headers } = headersAnswer(await this.#parts.requests.request(peer, 'headers', asked), 'headers')
    for (const other of headers) {
      const held = this.#window.find(({ header }) => header.height === other.header.height)
      if (held === undefined || hashHeader(held.header) === hashHeader(other.header)) continue
      const offer = this.#conflict(held, other)
      if (typeof offer === 'object' && this.#isByAuthority) this.#refuse(peer, offer.refused, offer.reason)
      return
    }
  }

  get #isByAuthority(): boolean {
    return this.#head.policy?.finality.policy === 'authority'
  }

  async #sync(peer: string, status: StatusAnswer): Promise<SyncReport> {
    const { windowSize } = this.#parts
    const from = this.#head.anchor === null ? null : this.height
    const tip = status.tip?.height ?? -1
    if (this.#contradicts(status.tip)) await this.#compareWith(peer)
    // Headers that go on from one that is not trusted never make it so.
    const isLinked = this.#head === this.#trusted && this.#isByAuthority
    const near = tip - this.height <= windowSize && isLinked
    // By proofs, if the way is long, or if only a proven quorum or handover makes the head trusted.
    const far = near ? NOT_MOVED : await this.#moveByProof(peer, status)
    let { bytes } = far
    if (tip > this.height && !far.hasMore)
      bytes += await this.#downloadHeaders(peer, Math.min(tip - this.height, MAX_HEADERS_PER_REQUEST))
    // Links end where the registry changes.
    const isBehind = this.#head !== this.#trusted || tip > this.height
    const last = near && isBehind ? await this.#moveByProof(peer, status) : NOT_MOVED
    bytes += last.bytes
    const hasMore = far.hasMore || last.hasMore
    const isNewest = this.#head === this.#trusted && tip <= this.height && this.#head.anchor_hash === hashOf(status)
    return { mode: status.mode, from, to: this.#head.anchor === null ? null : this.height, bytes, isNewest, hasMore }
  }

  /** True if the peer's tip is of a height that is held, and another header. */
  #contradicts(tip: StatusAnswer['tip']): boolean {
    const held = this.#window.find(({ header }) => header.height === tip?.height)
    return held !== undefined && hashHeader(held.header) !== tip?.header_hash
  }

  async #downloadHeaders(peer: string, count: number): Promise<number> {
    const asked = { from_height: this.height + 1, count }
    const answer = headersAnswer(await this.#parts.requests.request(peer, 'headers', asked), 'headers')
    for (const sealed of answer.headers) {
      await this.#learnSealer(peer, sealed.header.miner_id)
      const offer = await this.#offer(sealed, await askForRecovery(this.#parts.requests, peer, sealed, this.#head))
      if (offer === 'fork') await this.#compareWith(peer)
      if (offer === 'gap' || offer === 'fork') break
      if (typeof offer === 'object') this.#refuse(peer, offer.refused, offer.reason)
    }
    return canonicalText(answer).length
  }

  /**
   * Who seals after a header that changed the registry is proven under its root: no proof up to it says so.
   */
  async #learnSealer(peer: string, id: string): Promise<void> {
    const { anchor } = this.#head
    const sealers = knownSealers(this.#head)
    if (anchor === null || sealers.some((sealer) => sealer.id === id)) return
    const { registry_root } = anchor.header
    const entry = await askForAuthority(this.#parts.requests, peer, id, anchor.header)
    if (entry === undefined) return
    const isTrusted = this.#head === this.#trusted
    const policy = registry_root === this.#head.registry_root ? this.#head.policy : null
    const head = { ...this.#head, registry_root, policy, sealers: [...sealers, entry] }
    await this.#keep(isTrusted ? head : this.#trusted, head, this.#window)
  }

  /** One answer of `anchor`, if the peer has newer final headers; `hasMore`: it has led to a header on the way, and the next goes on from there. */
  async #moveByProof(peer: string, { final_height }: StatusAnswer): Promise<Moved> {
    const { requests, logger } = this.#parts
    if ((final_height ?? -1) <= heightOf(this.#trusted)) return NOT_MOVED
    const from_height = this.#trusted.anchor === null ? null : heightOf(this.#trusted)
    const answer = anchorAnswer(await requests.request(peer, 'anchor', { from_height }), 'anchor')
    const result = verifyAdvance(this.#trusted, answer, this.#context())
    if (!result.ok) return this.#refuse(peer, result.code, result.reason)
    const hasMore = answer.more === true
    let bytes = canonicalText(answer).length
    const { state } = result
    if (this.#window.some(({ header }) => hashHeader(header) === state.anchor_hash)) {
      // The head is on the trusted chain: it stays, with what is now known of registry and policy.
      const { registry_root, policy, sealers } = state
      const isHead = state.anchor_hash === this.#head.anchor_hash
      const isSame = stateRoot(this.#head) === registry_root
      const head = isHead ? state : isSame ? { ...this.#head, registry_root, policy, sealers } : this.#head
      await this.#keep(state, head, this.#window)
      return { bytes, hasMore }
    }
    const tip: SealedHeader = { header: answer.header, signature: answer.signature }
    if (hasMore) {
      await this.#keep(state, state, [tip])
      return { bytes, hasMore }
    }
    const behind = await this.#headersBehind(peer, tip, state.sealers)
    await this.#move(state, state, [...behind, tip], 'proved')
    bytes += behind.length === 0 ? 0 : canonicalText({ headers: behind }).length
    const skipped = answer.header.height - (from_height ?? -1)
    logger.info(
      { peer, from_height, to_height: this.height, bytes },
      `caught up ${count(skipped, 'block')} by proofs, ${bytes} bytes`,
    )
    return { bytes, hasMore }
  }

  /**
   * The headers that fill the window behind a trusted tip; their links lead back from it, so no other header fits. One
   * whose seal cannot be checked, because another key sealed then, is not kept: this node could not vouch for it to others.
   */
  async #headersBehind(
    peer: string,
    tip: SealedHeader,
    sealers: TrustedState['sealers'],
  ): Promise<readonly SealedHeader[]> {
    const count = Math.min(this.#parts.windowSize - 1, tip.header.height)
    if (count === 0) return []
    const asked = { from_height: tip.header.height - count, count }
    const { headers } = headersAnswer(await this.#parts.requests.request(peer, 'headers', asked), 'headers')
    if (headers.length !== count) {
      return this.#refuse(peer, 'wrong_height', `${headers.length} headers instead of ${count}`)
    }
    const kept: SealedHeader[] = []
    let expected = tip.header.prev_hash
    for (const sealed of headers.toReversed()) {
      if (hashHeader(sealed.header) !== expected) {
        return this.#refuse(peer, 'wrong_parent', `header ${sealed.header.height} is not the parent of the next`)
      }
      const sealer = sealers.find((entry) => entry.id === sealed.header.miner_id)
      if (sealer === undefined || !verifySeal(sealed, sealer.public_key).ok) break
      kept.unshift(sealed)
      expected = sealed.header.prev_hash
    }
    return kept
  }

  #refuse(peer: string, code: string, reason: string): never {
    if (code !== 'conflict' && code !== 'from_the_future') this.#parts.onAlarm(code, `${peer}: ${reason}`)
    throw ledgerError('peer_refused', { peer, request: 'sync', code, reason })
  }

  async #keep(trusted: TrustedState, head: TrustedState, headers: readonly SealedHeader[]): Promise<void> {
    const window = headers.slice(-this.#parts.windowSize)
    await this.#parts.store.putWindow({ headers: window, trusted, head })
    const isNews = trusted.anchor_hash !== this.#trusted.anchor_hash
    this.#trusted = trusted
    this.#head = head
    this.#window = window
    if (isNews) this.#parts.onTrusted()
  }

  async #move(
    trusted: TrustedState,
    head: TrustedState,
    headers: readonly SealedHeader[],
    how: 'linked' | 'proved',
  ): Promise<void> {
    await this.#keep(trusted, head, headers)
    if (head.anchor !== null) this.#parts.onTip(head.anchor, how)
  }

  #context(): LightContext {
    return { genesis: this.#parts.genesis, chainId: this.chainId, now: this.#parts.clock.now() }
  }
}

type Moved = Pick<SyncReport, 'bytes' | 'hasMore'>
const NOT_MOVED: Moved = { bytes: 0, hasMore: false }

/** Answers of `anchor` in one sync, 64 handovers each; the next sync goes on. */
const MAX_PAGES = 256
/** Far more than honest nodes ever see, and little to remember. */
const MAX_ALARMS = 1_000

/** Where the peer is; an empty chain is where everybody begins. */
const hashOf = ({ chain_id, tip }: StatusAnswer): Hash => tip?.header_hash ?? chain_id

const heightOf = (state: TrustedState): number => state.anchor?.header.height ?? -1
