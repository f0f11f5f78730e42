import type { ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { SealedHeader } from '../protocol/header.ts'
import type { Subtree } from '../protocol/history.ts'

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
   */
  append(block: ShownBlock, hash: Hash, txHashes: readonly Hash[]): Promise<void>
  /** Sealed headers of [from, from + count), ascending; fewer at the end. */
  headers(from: number, count: number): Promise<readonly StoredHeader[]>
  /** Heights of the blocks that hold registry transactions, ascending. */
  registryHeights(): Promise<readonly number[]>
  heightOf(blockHash: Hash): Promise<number | undefined>
  /** The heights of the blocks with these hashes, in the order asked for. */
  heightsOf(blockHashes: readonly Hash[]): Promise<readonly (number | undefined)[]>
  block(height: number): Promise<ShownBlock | undefined>
  /** Blocks of [from, from + count), ascending; fewer at the end. Who asks keeps the range to what fits into memory. */
  blocks(from: number, count: number): Promise<readonly ShownBlock[]>
  /** Where a transaction is, by id or by hash. */
  locate(by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<TransactionLocation | undefined>
  /** Where the transactions with these ids are, in the order asked for. */
  places(ids: readonly string[]): Promise<readonly (TransactionLocation | undefined)[]>
  /** The heights of the blocks with transactions of these ids, in the order asked for: also where the body was removed here. */
  heightsOfIds(ids: readonly string[]): Promise<readonly (number | undefined)[]>
  /**
   * True if a block below this height came without a body, and nobody here knows the id of what is missing.
   */
  hasUnknownIds(height: number): Promise<boolean>
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
  /** Keeps a block that is valid and not on the chain; the same again changes nothing. */
  putBeside(block: ShownBlock, hash: Hash): Promise<void>
  /** A block that is kept beside the chain. */
  besideChain(hash: Hash): Promise<ShownBlock | undefined>
  /** Nodes of complete subtrees of the history tree, in the order asked for. Throws `out_of_range`. */
  historyNodes(subtrees: readonly Subtree[]): Promise<readonly Hash[]>
  close(): Promise<void>
}

export interface StoredHeader extends SealedHeader {
  readonly hash: Hash
}

export interface TransactionLocation {
  readonly height: number
  /** Position in the block. */
  readonly index: number
}
