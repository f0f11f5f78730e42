import { WeighedCache } from '../../ports/weighed-cache.ts'
import type { ShownTransaction } from '../../protocol/transaction.ts'

/** Of bodies as they are stored; in memory they take some times as much. */
const MAX_BYTES = 16 * 1024 * 1024

export type Page = readonly ShownTransaction[]

/**
 * Pages of bodies that were read last, by their keys: a peer asks for a large block part by part, and each household for its
 * own trades of the newest one.
 */
export class HotPages {
  readonly #kept = new WeighedCache<string, Page>(MAX_BYTES)
  #generation = 0

  /** To be read before the page is: what was read before a `clear` is not kept after it. */
  get generation(): number {
    return this.#generation
  }

  get(key: string): Page | undefined {
    return this.#kept.get(key)
  }

  put(key: string, page: Page, bytes: number, generation: number): void {
    if (generation === this.#generation) this.#kept.put(key, page, bytes)
  }

  /** Bodies or blocks have changed. */
  clear(): void {
    this.#generation += 1
    this.#kept.clear()
  }
}
