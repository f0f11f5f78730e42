import type { ShownBlock } from '../../protocol/block.ts'

/** Of bodies as they are stored; in memory they take some times as much. */
const MAX_BYTES = 16 * 1024 * 1024

/**
 * Blocks that were read last: a peer asks for a large one page by page, and each household for its own trades of the newest
 * one. What is larger than all that is kept may be taken by the garbage collector at any time.
 */
export class HotBlocks {
  readonly #kept = new Map<number, { readonly block: ShownBlock; readonly bytes: number }>()
  #bytes = 0
  #large: { readonly height: number; readonly block: WeakRef<ShownBlock> } | undefined
  #generation = 0

  /** To be read before the block is: what was read before a `clear` is not kept after it. */
  get generation(): number {
    return this.#generation
  }

  get(height: number): ShownBlock | undefined {
    if (this.#large?.height === height) return this.#large.block.deref()
    const known = this.#kept.get(height)
    if (known === undefined) return undefined
    this.#kept.delete(height)
    this.#kept.set(height, known)
    return known.block
  }

  put(block: ShownBlock, bytes: number, generation: number): void {
    const { height } = block.header
    if (generation !== this.#generation || this.#kept.has(height)) return
    if (bytes > MAX_BYTES) {
      this.#large = { height, block: new WeakRef(block) }
      return
    }
    this.#kept.set(height, { block, bytes })
    this.#bytes += bytes
    for (const [oldest, { bytes: dropped }] of this.#kept) {
      if (this.#bytes <= MAX_BYTES) break
      this.#kept.delete(oldest)
      this.#bytes -= dropped
    }
  }

  /** Bodies or blocks have changed. */
  clear(): void {
    this.#generation += 1
    this.#kept.clear()
    this.#bytes = 0
    this.#large = undefined
  }
}
