import type { ChainStore } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import { inTurns } from '../ports/turns.ts'
import { WeighedCache } from '../ports/weighed-cache.ts'
import type { Hash } from '../protocol/bytes.ts'
import { hashHeader, type Header } from '../protocol/header.ts'
import { merkleTreeInPieces, type MerkleTree } from '../protocol/merkle.ts'
import { ITEMS_OF_PIECE, mapInPieces } from '../protocol/pieces.ts'
import { leafOf } from '../protocol/transaction.ts'
import { createNewestFirst } from './newest-first.ts'
import { partiesOf } from './parties.ts'

/** The leaves of a block's Merkle tree, and the tree. */
export interface BlockTree {
  readonly leaves: readonly Hash[]
  readonly tree: MerkleTree
}

/** By user, the indexes in a block of the transactions of which it is, or once was, known to be a party, ascending. */
export type PartyIndex = ReadonlyMap<string, readonly number[]>

/** About 200 bytes each: two of the largest blocks, or some ten thousand small ones. */
const MAX_LEAVES = 200_000
/** Places of parties, about 200 bytes each as well where each is of another user: one of the largest blocks. */
const MAX_PLACES = 200_000
/** What is kept of a block besides, counted in leaves or places. */
const OF_BLOCK = 20

/**
 * What was last asked of the blocks of a chain as a whole: each household asks for its own trades of the newest block, and for
 * proofs of them. It is made from the block once, part by part, for one block at a time: so whoever asks for many blocks fills no
 * memory. The newest block comes first: whoever asks for old ones keeps no household waiting for more than one of them.
 */
export class HotTrees {
  readonly #store: ChainStore
  readonly #trees = new WeighedCache<Hash, BlockTree>(MAX_LEAVES)
  readonly #parties = new WeighedCache<Hash, PartyIndex>(MAX_PLACES)
  readonly #inTurn = createNewestFirst()

  constructor(store: ChainStore) {
    this.#store = store
  }

  /**
   * The tree of a block of the chain: it stays what it is when a body is redacted. Of a block that somebody has altered in the store
   * it is the tree of what is there: a proof from it does not hold, and whoever asked for it says so.
   */
  async treeOf(header: Header): Promise<BlockTree> {
    const hash = hashHeader(header)
    const known = this.#trees.get(hash)
    if (known !== undefined) return known
    return await this.#inTurn(header.height, async () => this.#trees.get(hash) ?? (await this.#makeTree(hash, header)))
  }

  /** Whose the transactions of a block of the chain are. What was redacted since is not left out. */
  async partiesOf(header: Header): Promise<PartyIndex> {
    const hash = hashHeader(header)
    const known = this.#parties.get(hash)
    if (known !== undefined) return known
    return await this.#inTurn(
      header.height,
      async () => this.#parties.get(hash) ?? (await this.#makeParties(hash, header)),
    )
  }

  async #makeTree(hash: Hash, header: Header): Promise<BlockTree> {
    const leaves: Hash[] = []
    for await (const part of this.#partsOf(header)) leaves.push(...(await inTurns(mapInPieces(part, leafOf))))
    const tree = await inTurns(merkleTreeInPieces(leaves))
    const made = { leaves, tree }
    if (tree.root === header.merkle_root) this.#trees.put(hash, made, leaves.length + OF_BLOCK)
    // Another block may have come in the place of this one meanwhile.
    else if ((await this.#store.heightOf(hash)) === undefined) throw ledgerError('unknown_block', { block_hash: hash })
    return made
  }

  async #makeParties(hash: Hash, header: Header): Promise<PartyIndex> {
    const made = new Map<string, number[]>()
    let index = 0
    let places = 0
    for await (const part of this.#partsOf(header)) {
      for (const parties of await partiesOf(this.#store, part, header.height)) {
        for (const user of parties) {
          const known = made.get(user)
          if (known === undefined) made.set(user, [index])
          else known.push(index)
        }
        places += parties.length
        index += 1
      }
    }
    if ((await this.#store.heightOf(hash)) === undefined) throw ledgerError('unknown_block', { block_hash: hash })
    this.#parties.put(hash, made, places + OF_BLOCK)
    return made
  }

  async *#partsOf({ height, tx_count }: Header) {
    for (let from = 0; from < tx_count; from += ITEMS_OF_PIECE) {
      yield await this.#store.transactions(height, from, ITEMS_OF_PIECE)
    }
  }
}
