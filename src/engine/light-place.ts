import type { LightStore } from '../ports/light-store.ts'
import { hashHeader, type Header, type SealedHeader } from '../protocol/header.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { TrustedState } from '../protocol/light-verify.ts'

export interface LightPlaceParts {
  readonly store: LightStore
  /** Headers to keep (the plan's N). */
  readonly windowSize: number
  /** Called for each header that becomes the tip, after it is durable. `how`: linked to the last one, or moved to by proofs. */
  readonly onTip: (sealed: SealedHeader, how: 'linked' | 'proved') => void
  /** Called when the trusted header has moved on, after it is durable. */
  readonly onTrusted: () => void
}

/** What a light node keeps, of one moment. */
export interface Kept {
  /** The newest header that is trusted. */
  readonly trusted: TrustedState
  /** The newest header. */
  readonly head: TrustedState
  /** Headers up to the head, ascending. */
  readonly window: readonly SealedHeader[]
}

export const heightOf = (state: TrustedState): number => state.anchor?.header.height ?? -1

/**
 * Where a light node is, in memory and in its store: the newest trusted header, the newest header (the head), and a window behind
 * it. It moves as it is told, and judges nothing.
 */
export class LightPlace implements Kept {
  readonly #parts: LightPlaceParts
  #kept: Kept

  private constructor(parts: LightPlaceParts, kept: Kept) {
    this.#parts = parts
    this.#kept = kept
  }

  /** Takes up where the store's window ends; `start` is where everybody begins. */
  static async open(parts: LightPlaceParts, start: TrustedState): Promise<LightPlace> {
    const stored = await parts.store.window()
    if (stored === undefined) return new LightPlace(parts, { trusted: start, head: start, window: [] })
    const { trusted, headers } = stored
    const head = stored.head.anchor_hash === trusted.anchor_hash ? trusted : stored.head
    return new LightPlace(parts, { trusted, head, window: headers })
  }

  get trusted(): TrustedState {
    return this.#kept.trusted
  }

  get head(): TrustedState {
    return this.#kept.head
  }

  get window(): readonly SealedHeader[] {
    return this.#kept.window
  }

  /** Of the head; -1 before the first header. */
  get height(): number {
    return heightOf(this.head)
  }

  /** True if nothing above the trusted header is held. */
  get isAllTrusted(): boolean {
    return this.head === this.trusted
  }

  get isByAuthority(): boolean {
    return this.head.policy?.finality.policy === 'authority'
  }

  /** The header of a height that is held. */
  heldAt(height: number | undefined): SealedHeader | undefined {
    return this.window.find(({ header }) => header.height === height)
  }

  holds(hash: Hash): boolean {
    return this.window.some(({ header }) => hashHeader(header) === hash)
  }

  /** The header that another goes on from, if it is held. */
  parentOf({ prev_hash }: Header): SealedHeader | undefined {
    return this.window.find(({ header }) => hashHeader(header) === prev_hash)
  }

  /** What is known of the headers that are held has changed. Durable once it returns. */
  async keep({ trusted, head, window }: Kept): Promise<void> {
    const headers = window.slice(-this.#parts.windowSize)
    await this.#parts.store.putWindow({ headers, trusted, head })
    const isNews = trusted.anchor_hash !== this.trusted.anchor_hash
    this.#kept = { trusted, head, window: headers }
    if (isNews) this.#parts.onTrusted()
  }

  /** `keep` with another head, of which is told. */
  async move(kept: Kept, how: 'linked' | 'proved'): Promise<void> {
    await this.keep(kept)
    if (kept.head.anchor !== null) this.#parts.onTip(kept.head.anchor, how)
  }
}
