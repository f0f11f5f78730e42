import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader } from '../protocol/header.ts'
import { merkleTree, type MerkleTree } from '../protocol/merkle.ts'
import { leafOf } from '../protocol/transaction.ts'

/** The leaves of a block's Merkle tree, and the tree. */
export interface BlockTree {
  readonly leaves: readonly Hash[]
  readonly tree: MerkleTree
}

/** About 200 bytes each: two of the largest blocks, or some ten thousand small ones. */
const MAX_LEAVES = 200_000
/** What a tree takes besides its leaves, counted in leaves. */
const TREE_LEAVES = 20

/**
 * Trees of the blocks that were asked for last: each household asks for its own trades of the newest block. A tree stays what
 * it is when a body is redacted.
 */
export class BlockTrees {
  readonly #kept = new Map<Hash, BlockTree>()
  #leaves = 0

  of({ header, transactions }: ShownBlock): BlockTree {
    const hash = hashHeader(header)
    const known = this.#kept.get(hash)
    if (known !== undefined) {
      this.#kept.delete(hash)
      this.#kept.set(hash, known)
      return known
    }
    const leaves = transactions.map(leafOf)
    const made = { leaves, tree: merkleTree(leaves) }
    this.#kept.set(hash, made)
    this.#leaves += leaves.length + TREE_LEAVES
    for (const [oldest, { leaves: dropped }] of this.#kept) {
      if (this.#leaves <= MAX_LEAVES) break
      this.#kept.delete(oldest)
      this.#leaves -= dropped.length + TREE_LEAVES
    }
    return made
  }
}
