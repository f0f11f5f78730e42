import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { LightStore } from '../ports/light-store.ts'
import type { Logger } from '../ports/logger.ts'
import type { PeerRequests } from '../ports/peer-requests.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifySeal, type SealedHeader } from '../protocol/header.ts'
import {
  trustGenesis,
  verifyAdvance,
  verifyNext,
  type LightCode,
  type LightContext,
  type TrustedState,
} from '../protocol/light-verify.ts'
import { MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import { anchorAnswer, headersAnswer, statusAnswer } from '../protocol/messages.ts'
import { Registry } from '../protocol/registry.ts'
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
  /** Called when a peer shows something that no honest peer can. */
  readonly onAlarm: (code: string, reason: string) => void
}

/** What became of an offered header. */
export type Offer = 'followed' | 'known' | 'gap' | { readonly refused: LightCode | 'conflict'; readonly reason: string }

/** How a sync went: headers skipped over, and what it took. */
export interface SyncReport {
  readonly from: number | null
  readonly to: number | null
  /** Size of the answers, canonical bytes. */
  readonly bytes: number
}

/** Keeps the trusted header and a window behind it; never moves without a proof. One step at a time. */
export class LightFollower {
  readonly chainId: Hash
  readonly #parts: FollowerParts
  readonly #lane = createSerial()
  #trusted: TrustedState
  #window: readonly SealedHeader[] = []

  private constructor(parts: FollowerParts) {
    this.#parts = parts
    this.chainId = chainIdOf(parts.genesis)
    this.#trusted = trustGenesis(this.chainId, Registry.fromGenesis(parts.genesis))
  }

  /** Takes up where the store's window ends. */
  static async open(parts: FollowerParts): Promise<LightFollower> {
    const follower = new LightFollower(parts)
    const stored = await parts.store.window()
    const anchor = stored?.headers.at(-1)
    if (stored !== undefined && anchor !== undefined) {
      const anchorHash = hashHeader(anchor.header)
      follower.#trusted = { ...follower.#trusted, anchor, anchorHash, frontier: stored.frontier }
      follower.#window = stored.headers
    }
    return follower
  }

  get trusted(): TrustedState {
    return this.#trusted
  }

  /** Trusted headers, ascending; the last is the tip. */
  get window(): readonly SealedHeader[] {
    return this.#window
  }

  get height(): number {
    return this.#trusted.anchor?.header.height ?? -1
  }

  /** A header from gossip or from a range that was asked for. */
  offer(sealed: SealedHeader): Promise<Offer> {
    return this.#lane(() => this.#offer(sealed))
  }

  /** Moves to the tip of a peer: header by header if it is near, by proofs if it is far. Throws `peer_refused`, `peer_unreachable`. */
  syncWith(peer: string): Promise<SyncReport> {
    return this.#lane(() => this.#sync(peer))
  }

  async #offer(sealed: SealedHeader): Promise<Offer> {
    const { header } = sealed
    const hash = hashHeader(header)
    if (this.#window.some((known) => known.header.height === header.height && hashHeader(known.header) === hash))
      return 'known'
    if (header.height <= this.height) return this.#offerBelowTip(sealed)
    if (header.height > this.height + 1) return 'gap'
    const result = verifyNext(this.#trusted, sealed, this.#context())
    if (!result.ok) {
      if (result.code === 'wrong_parent') return this.#conflict(sealed)
      return { refused: result.code, reason: result.reason }
    }
    await this.#move(result.state, [...this.#window, sealed], 'linked')
    return 'followed'
  }

  /** An older header is no news, unless it is a second one of a height that this node knows. */
  #offerBelowTip(sealed: SealedHeader): Offer {
    const known = this.#window.some((held) => held.header.height === sealed.header.height)
    return known ? this.#conflict(sealed) : 'known'
  }

  /** A header that contradicts a trusted one: alarming if an authority really sealed it, noise otherwise. */
  #conflict(sealed: SealedHeader): Offer {
    const { header } = sealed
    const sealer = this.#trusted.registry.active(header.miner_id, 'authority')
    const seal = sealer === undefined ? undefined : verifySeal(sealed, sealer.public_key)
    if (seal?.ok !== true)
      return { refused: 'bad_seal', reason: `a conflicting header of height ${header.height} without a seal` }
    const reason = `${header.miner_id} sealed a header of height ${header.height} that contradicts the trusted chain`
    this.#parts.onAlarm('conflict', reason)
    return { refused: 'conflict', reason }
  }

  async #sync(peer: string): Promise<SyncReport> {
    const { requests } = this.#parts
    const from = this.#trusted.anchor === null ? null : this.height
    const status = statusAnswer(await requests.request(peer, 'status', {}), 'status')
    if (status.tip === null || status.tip.height <= this.height) return { from, to: from, bytes: 0 }
    const gap = status.tip.height - this.height
    const near = gap <= Math.min(this.#parts.windowSize, MAX_HEADERS_PER_REQUEST)
    const bytes = near ? await this.#downloadHeaders(peer, gap) : await this.#moveByProof(peer)
    return { from, to: this.height, bytes }
  }

  async #downloadHeaders(peer: string, count: number): Promise<number> {
    const asked = { from_height: this.height + 1, count }
    const answer = headersAnswer(await this.#parts.requests.request(peer, 'headers', asked), 'headers')
    for (const sealed of answer.headers) {
      const offer = await this.#offer(sealed)
      if (typeof offer === 'object') this.#refuse(peer, offer.refused, offer.reason)
    }
    return canonicalText(answer).length
  }

  async #moveByProof(peer: string): Promise<number> {
    const { requests, logger } = this.#parts
    const from_height = this.#trusted.anchor === null ? null : this.height
    const answer = anchorAnswer(await requests.request(peer, 'anchor', { from_height }), 'anchor')
    const result = verifyAdvance(this.#trusted, answer, this.#context())
    if (!result.ok) return this.#refuse(peer, result.code, result.reason)
    const tip: SealedHeader = { header: answer.header, signature: answer.signature }
    const behind = await this.#headersBehind(peer, tip)
    await this.#move(result.state, [...behind, tip], 'proved')
    const bytes = canonicalText(answer).length + (behind.length === 0 ? 0 : canonicalText({ headers: behind }).length)
    const skipped = answer.header.height - (from_height ?? -1)
    logger.info(
      { peer, from_height, to_height: this.height, bytes },
      `caught up ${skipped} blocks by proofs, ${bytes} bytes`,
    )
    return bytes
  }

  /** The headers that fill the window behind a trusted tip; their links lead back from it, so no other header fits. */
  async #headersBehind(peer: string, tip: SealedHeader): Promise<readonly SealedHeader[]> {
    const count = Math.min(this.#parts.windowSize - 1, tip.header.height)
    if (count === 0) return []
    const asked = { from_height: tip.header.height - count, count }
    const { headers } = headersAnswer(await this.#parts.requests.request(peer, 'headers', asked), 'headers')
    if (headers.length !== count)
      return this.#refuse(peer, 'wrong_height', `${headers.length} headers instead of ${count}`)
    let expected = tip.header.prev_hash
    for (const sealed of headers.toReversed()) {
      if (hashHeader(sealed.header) !== expected) {
        return this.#refuse(peer, 'wrong_parent', `header ${sealed.header.height} is not the parent of the next`)
      }
      const sealer = this.#trusted.registry.entry(sealed.header.miner_id)
      if (sealer === undefined || !verifySeal(sealed, sealer.public_key).ok) {
        return this.#refuse(
          peer,
          'bad_seal',
          `header ${sealed.header.height} is not sealed by ${sealed.header.miner_id}`,
        )
      }
      expected = sealed.header.prev_hash
    }
    return headers
  }

  #refuse(peer: string, code: string, reason: string): never {
    if (code !== 'conflict' && code !== 'from_the_future') this.#parts.onAlarm(code, `${peer}: ${reason}`)
    throw ledgerError('peer_refused', { peer, request: 'sync', code, reason })
  }

  async #move(state: TrustedState, headers: readonly SealedHeader[], how: 'linked' | 'proved'): Promise<void> {
    const window = headers.slice(-this.#parts.windowSize)
    await this.#parts.store.putWindow({ headers: window, frontier: state.frontier })
    this.#trusted = state
    this.#window = window
    const tip = window.at(-1)
    if (tip !== undefined) this.#parts.onTip(tip, how)
  }

  #context(): LightContext {
    return { genesis: this.#parts.genesis, chainId: this.chainId, now: this.#parts.clock.now() }
  }
}
