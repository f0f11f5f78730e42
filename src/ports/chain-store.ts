import type { ShownBlock } from '../protocol/block.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Subtree } from '../protocol/history.ts'
import type { RegistryLeaf } from '../protocol/registry.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'

/**
 * Blocks and the history tree of one chain (LevelDB). Derived data: everything in it can be made anew from the source of
 * record, so an append is one atomic batch that need not be synced.
 */
export interface ChainStore {
  /** Number of blocks; the tip has height `size - 1`. */
  size(): Promise<number>
  /**
   * Appends the block of height `size()`. In one batch: the block, its index entries and the history nodes that its
   * header completes. Throws `corrupt` if the height is not the next.
   *
   * @param change what the chain knows of the change that a block with registry transactions makes
   */
  append(block: ShownBlock, hash: Hash, txHashes: readonly Hash[], change?: StoredChange): Promise<void>
  /** Sealed headers of [from, from + count), ascending; fewer at the end. */
  headers(from: number, count: number): Promise<readonly StoredHeader[]>
  /** Heights of the first `limit` blocks from `from` on that hold registry transactions, ascending. */
  registryHeights(from?: number, limit?: number): Promise<readonly number[]>
  /** The greatest height below `below` of a block that holds registry transactions. */
  lastRegistryHeight(below: number): Promise<number | undefined>
  /** Heights of [from, below) whose blocks change the policy, an authority or a validator, ascending. */
  guardedHeights(from: number, below: number): Promise<readonly number[]>
  /** Who named each of these keys first in a registry transaction, in the order asked for. The genesis is no block. */
  registrations(keys: readonly Hex[]): Promise<readonly (Registration | undefined)[]>
  /** The newest registry below `below` that is stored as a whole. */
  registryCheckpoint(below: number): Promise<RegistryCheckpoint | undefined>
  /** Pages of stored registries by their hashes, in the order asked for. Throws `corrupt` for one that is not there. */
  registryPages(hashes: readonly Hash[]): Promise<readonly RegistryPage['items'][]>
  heightOf(blockHash: Hash): Promise<number | undefined>
  /** The heights of the blocks with these hashes, in the order asked for. */
  heightsOf(blockHashes: readonly Hash[]): Promise<readonly (number | undefined)[]>
  block(height: number): Promise<ShownBlock | undefined>
  /**
   * Transactions of a block from index `from` on, `count` or as many as there are: of the block of a height, or of one that is
   * kept beside the chain, by its hash. None of a block that is not here.
   */
  transactions(of: number | Hash, from: number, count: number): Promise<readonly ShownTransaction[]>
  /** Blocks of [from, from + count), ascending; fewer at the end. Who asks keeps the range to what fits into memory. */
  blocks(from: number, count: number): Promise<readonly ShownBlock[]>
  /** Where a transaction is, by id or by hash. */
  locate(by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<TransactionLocation | undefined>
  /** Where the transactions with these ids are, in the order asked for. */
  places(ids: readonly string[]): Promise<readonly (TransactionLocation | undefined)[]>
  /** The heights of the first blocks with transactions of these ids, in the order asked for: also where the body was removed here. */
  heightsOfIds(ids: readonly string[]): Promise<readonly (number | undefined)[]>
  /**
   * The height of the first block from `from` on and below this height that came without a body of which nobody here knows the id.
   */
  firstUnknownId(from: number, below: number): Promise<number | undefined>
  /** Where the transactions with these hashes are, in the order asked for. */
  placesByHash(txHashes: readonly Hash[]): Promise<readonly (TransactionLocation | undefined)[]>
  /** The height of the block that sealed this tick. */
  heightOfTick(tickId: string): Promise<number | undefined>
  /** The heights of the blocks that sealed these ticks, in the order asked for. */
  heightsOfTicks(tickIds: readonly string[]): Promise<readonly (number | undefined)[]>
  /** Where the corrections of this trade are, oldest first: also those whose body was removed here. */
  correctionsOf(tradeId: string): Promise<readonly TransactionLocation[]>
  /**
   * Takes the blocks from height `size` on out of the chain and keeps them beside it, in one atomic batch. Nothing of them
   * is found any more but by `besideChain`.
   */
  rewind(size: number): Promise<void>
  /**
   * Keeps a block that is valid and not on the chain, without the bodies that were removed from the chain; the same again changes
   * nothing.
   */
  putBeside(block: ShownBlock, hash: Hash): Promise<void>
  /** A block that is kept beside the chain. */
  besideChain(hash: Hash): Promise<ShownBlock | undefined>
  /** The header of a block that is kept beside the chain. */
  headerBeside(hash: Hash): Promise<SealedHeader | undefined>
  /** Nodes of complete subtrees of the history tree, in the order asked for. Throws `out_of_range`. */
  historyNodes(subtrees: readonly Subtree[]): Promise<readonly Hash[]>
  close(): Promise<void>
}

/** What a block with registry transactions changes. */
export interface StoredChange {
  /** It changes the policy, an authority or a validator. */
  readonly guarded: boolean
  /** Once in a while: the pages of the registry after the block that no checkpoint before it has, and its number of leaves. */
  readonly checkpoint?: { readonly size: number; readonly pages: readonly RegistryPage[] }
}

/** The registry after the block of `height`: the root of its tree is in that header. */
export interface RegistryCheckpoint {
  readonly height: number
  /** Leaves of its tree. */
  readonly size: number
}

/** A part of a registry tree, under the hash of its topmost node: leaves, or hashes of the pages below. */
export interface RegistryPage {
  readonly hash: Hash
  readonly items: readonly (Hash | RegistryLeaf)[]
}

/** A key in a registry transaction. */
export interface Registration {
  readonly height: number
  /** Whose key it became. */
  readonly id: string
}

export interface StoredHeader extends SealedHeader {
  readonly hash: Hash
}

export interface TransactionLocation {
  readonly height: number
  /** Position in the block. */
  readonly index: number
}
