import { ledgerError } from '../ports/errors.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { BlockPoint } from '../protocol/finality.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Chain } from './chain.ts'
import { stateAfter, tipOf, type ChainState } from './chain-state.ts'

/** A valid block beside the chain. */
export interface BranchBlock {
  readonly hash: Hash
  readonly height: number
  readonly sealed: SealedHeader
  /** After this block. */
  readonly state: ChainState
  /** Order of arrival on this node; the chain itself was here before. */
  readonly seen: number
}

/** Blocks that leave the chain at one of its blocks: from the first beside it to a tip. */
export interface Branch {
  /** Height of the chain's block that it goes on from; -1 for one that begins at height 0. */
  readonly baseHeight: number
  /** Ascending, never empty. */
  readonly blocks: readonly BranchBlock[]
}

/** Beyond this no further block is kept beside the chain: one double sealer could make any number. */
const MAX_BLOCKS = 256

/** The blocks beside the chain that may still become part of it: above its last final block. Bodies are in the chain store. */
export class ForkTree {
  readonly #chain: Chain
  readonly #store: ChainStore
  readonly #blocks = new Map<Hash, BranchBlock>()
  #arrivals = 0

  constructor(chain: Chain, store: ChainStore) {
    this.#chain = chain
    this.#store = store
  }

  get size(): number {
    return this.#blocks.size
  }

  get isFull(): boolean {
    return this.#blocks.size >= MAX_BLOCKS
  }

  find(hash: Hash): BranchBlock | undefined {
    return this.#blocks.get(hash)
  }

  /** Those of one height. */
  at(height: number): readonly BranchBlock[] {
    return [...this.#blocks.values()].filter((block) => block.height === height)
  }

  /** Keeps a valid block that goes on from `parent`, the state before it. Durable once it returns. */
  async add(block: ShownBlock, parent: ChainState): Promise<BranchBlock> {
    const { header, signature } = block
    const { hash, sealed } = tipOf({ header, signature })
    await this.#store.putBeside(block, hash)
    return this.#keep(sealed, hash, stateAfter(parent, block, hash))
  }

  #keep(sealed: SealedHeader, hash: Hash, state: ChainState): BranchBlock {
    const kept = { hash, height: sealed.header.height, sealed, state, seen: ++this.#arrivals }
    this.#blocks.set(hash, kept)
    return kept
  }

  /** The branch that ends in this block. Throws `corrupt` if a block of it is on no chain. */
  async branchOf(tip: BranchBlock): Promise<Branch> {
    const blocks: BranchBlock[] = []
    for (let block: BranchBlock | undefined = tip; block !== undefined;) {
      blocks.unshift(block)
      block = this.#blocks.get(block.sealed.header.prev_hash)
    }
    const [first = tip] = blocks
    if (first.height === 0) return { baseHeight: -1, blocks }
    const baseHeight = await this.#chain.heightOf(first.sealed.header.prev_hash)
    if (baseHeight === undefined) {
      const place = `blocks beside the chain, height ${first.height}`
      throw ledgerError('corrupt', { place, expected: 'a parent on the chain', found: first.sealed.header.prev_hash })
    }
    return { baseHeight, blocks }
  }

  /** Every block on which no other goes on, as a branch. */
  async branches(): Promise<readonly Branch[]> {
    const parents = new Set([...this.#blocks.values()].map(({ sealed }) => sealed.header.prev_hash))
    const tips = [...this.#blocks.values()].filter(({ hash }) => !parents.has(hash))
    return await Promise.all(tips.map((tip) => this.branchOf(tip)))
  }

  /** The bodies of a branch, ascending. Throws `corrupt`. */
  async bodiesOf(blocks: readonly Pick<BranchBlock, 'hash' | 'height'>[]): Promise<readonly ShownBlock[]> {
    return await Promise.all(
      blocks.map(async ({ hash, height }) => {
        const block = await this.#store.besideChain(hash)
        if (block !== undefined) return block
        throw ledgerError('corrupt', {
          place: `block ${hash} of height ${height}`,
          expected: 'a block',
          found: 'nothing',
        })
      }),
    )
  }

  /** After a re-org: what became part of the chain goes, what was taken out of it (ascending) may come back. */
  async swap(adopted: readonly BranchBlock[], removed: readonly BlockPoint[], base: ChainState): Promise<void> {
    for (const { hash } of adopted) this.#blocks.delete(hash)
    let state = base
    for (const [index, block] of (await this.bodiesOf(removed)).entries()) {
      const { header, signature } = block
      const hash = removed[index]?.hash ?? ''
      state = stateAfter(state, block, hash)
      this.#keep({ header, signature }, hash, state)
    }
  }

  /** Forgets a branch that can never become the chain; its blocks stay in the store, to be shown as orphaned. */
  drop({ blocks }: Branch): void {
    for (const { hash } of blocks) this.#blocks.delete(hash)
  }
}
