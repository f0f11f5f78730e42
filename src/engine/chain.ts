import { ledgerError } from '../ports/errors.ts'
import { inTurns } from '../ports/turns.ts'
import type { ChainStore, StoredChange } from '../ports/chain-store.ts'
import { registryTransactionsOf, type ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import type { Header, SealedHeader } from '../protocol/header.ts'
import {
  consistencySubtrees,
  foldSubtrees,
  inclusionSubtrees,
  rootSubtrees,
  type ConsistencyProof,
  type InclusionProof,
  type Subtree,
} from '../protocol/history.ts'
import type { ProofAnswer, ProvenRecovery } from '../protocol/messages.ts'
import type { Registry } from '../protocol/registry.ts'
import { checkChangeFresh } from '../protocol/registry-transaction.ts'
import type { ShownTransaction, Transaction } from '../protocol/transaction.ts'
import { HotTrees, type BlockTree, type PartyIndex } from './hot-trees.ts'
import { partiesOf } from './parties.ts'
import { correctionsOf, firstLacking, transactionsAt, transactionsById } from './transaction-reads.ts'
import {
  genesisState,
  recentRegistry,
  registryAfter,
  registryOf,
  sizeOf,
  stateAfter,
  tipOf,
  verifyBlock,
  verifySealedHeader,
  withChange,
  type ChainState,
  type RecentChanges,
  type Tip,
} from './chain-state.ts'
import { earlierKeys, historyOf, type TransactionHistory } from './history-rules.ts'
import { newPages } from './registry-pages.ts'
import { CHANGES_PER_CHECKPOINT, RegistryVersions } from './registry-versions.ts'

export type { Tip } from './chain-state.ts'

type TransactionKey = { readonly tx_id: string } | { readonly tx_hash: Hash }

/**
 * The chain as this node holds it: the tip and its roots in memory, everything else in the chain store. Whoever appends
 * does so one at a time.
 */
export class Chain {
  readonly genesis: Genesis
  readonly chainId: Hash
  readonly #store: ChainStore
  readonly #trees: HotTrees
  readonly #versions: RegistryVersions
  #state: ChainState
  /** The registry of which the store has every page, and how many changes there were since. */
  #stored: { readonly tree: Registry['tree'] | undefined; readonly changesSince: number } = {
    tree: undefined,
    changesSince: 0,
  }

  private constructor(genesis: Genesis, store: ChainStore) {
    this.genesis = genesis
    this.chainId = chainIdOf(genesis)
    this.#state = genesisState(genesis)
    this.#store = store
    this.#trees = new HotTrees(store)
    this.#versions = new RegistryVersions(store, this.registry)
  }

  /** Opens the chain at the store's tip. Throws `wrong_chain` if the store holds another chain. */
  static async open(genesis: Genesis, store: ChainStore): Promise<Chain> {
    const chain = new Chain(genesis, store)
    await chain.reload()
    return chain
  }

  /** Reads the tip from the store again: after a failed append only the store knows whether it happened. */
  async reload(): Promise<void> {
    const size = await this.#store.size()
    if (size === this.size) return
    this.#versions.forget()
    const start = await this.#versions.checkpoint(size, this.registry)
    let registries: RecentChanges = [start]
    let changes = 0
    for await (const change of this.#versions.after(start, size)) {
      registries = withChange(registries, change)
      changes += 1
    }
    this.#state = await this.#readState(size, registries)
    this.#stored = { tree: start.height < 0 ? undefined : start.registry.tree, changesSince: changes }
  }

  /** What the block of height `size` is checked against. Throws `out_of_range`. */
  async stateAt(size: number): Promise<ChainState> {
    if (size === this.size) return this.#state
    this.#checkSize(size)
    const [first, ...rest] = this.#state.registries.filter((change) => change.height < size)
    return await this.#readState(size, [first ?? (await this.#versions.before(size, this.registry)), ...rest])
  }

  async #readState(size: number, registries: RecentChanges): Promise<ChainState> {
    if (size === 0) return { tip: null, frontier: [], registries }
    const [stored] = await this.#store.headers(size - 1, 1)
    if (stored === undefined) {
      throw ledgerError('corrupt', { place: `chain store, height ${size - 1}`, expected: 'a header', found: 'nothing' })
    }
    const { header, signature, hash } = stored
    if (header.chain_id !== this.chainId) {
      throw ledgerError('wrong_chain', { chain_id: header.chain_id, expected: this.chainId })
    }
    const frontier = await this.#store.historyNodes(rootSubtrees(size))
    const state = { tip: { header, hash, sealed: { header, signature } }, frontier, registries }
    const found = registryOf(state).root
    if (found === header.registry_root) return state
    const place = `chain store, changes of the registry below height ${size}`
    throw ledgerError('corrupt', { place, expected: `registry_root ${header.registry_root}`, found })
  }

  /** Who may seal and vote after the tip. */
  get registry(): Registry {
    return registryOf(this.#state)
  }

  /** Heights above `height` of the changes whose registries are in memory, newest first. */
  recentChanges(height: number): readonly number[] {
    return this.#state.registries
      .map((change) => change.height)
      .filter((changed) => changed > height)
      .toReversed()
  }

  /** The same as `registryBefore` where it is in memory: there for all that is not final but in a long stall. */
  recentRegistry(height: number): Registry | undefined {
    return recentRegistry(this.#state, height)
  }

  /** Who may seal and vote on the block of this height: the registry after the one before. Throws `corrupt`. */
  async registryBefore(height: number): Promise<Registry> {
    return this.recentRegistry(height) ?? (await this.#versions.before(height, this.registry)).registry
  }

  /** True if the block of this height changes the policy, an authority or a validator. */
  async isGuarded(height: number): Promise<boolean> {
    return (await this.guardedHeights(height - 1, height)).length > 0
  }

  /** Heights above `height` (and at most `upTo`) whose blocks change the policy, an authority or a validator, ascending. */
  async guardedHeights(height: number, upTo: number): Promise<readonly number[]> {
    const { registries } = this.#state
    // Asked after each block: what the memory has is not read.
    if (registries[0].height > height) return await this.#store.guardedHeights(height + 1, upTo + 1)
    return registries
      .filter((change) => change.guarded && change.height > height && change.height <= upTo)
      .map((change) => change.height)
  }

  /** Heights of the first `limit` blocks from `from` on that change the registry, ascending. */
  async registryHeights(from: number, limit?: number): Promise<readonly number[]> {
    return await this.#store.registryHeights(from, limit)
  }

  /** The registry after a block with these transactions on the tip. Throws `registry_refused`, `bad_public_key`. */
  async registryAfter(transactions: readonly Transaction[]): Promise<Registry> {
    const earliest = this.tip?.header.timestamp ?? this.genesis.created_at
    for (const change of registryTransactionsOf(transactions)) checkChangeFresh(change, earliest)
    const earlier = await earlierKeys(transactions, this.history())
    return registryAfter(this.#state, transactions, earlier)
  }

  /** null before height 0. */
  get tip(): Tip | null {
    return this.#state.tip
  }

  /** Number of blocks. */
  get size(): number {
    return sizeOf(this.#state)
  }

  /** Root of the history tree over all headers: history_root of the next block. */
  get historyRoot(): Hash {
    return foldSubtrees(this.#state.frontier)
  }

  /** Checks a block as the next one: link, roots, sealer and seal, transactions; see `verifyBlock`. */
  async verify(block: ShownBlock, txHashes?: readonly Hash[]): Promise<Verdict> {
    const earlier = await earlierKeys(block.transactions, this.history())
    return await inTurns(verifyBlock(this.#state, block, this, earlier, txHashes))
  }

  /** Checks a header as that of the next block, before its block is known; see `verifySealedHeader`. */
  verifySealed(sealed: SealedHeader, recovery?: ProvenRecovery): Verdict {
    return verifySealedHeader(this.#state, sealed, this, recovery)
  }

  /** What the transactions of the block of height `size` are checked against, beside `verify`. */
  history(size = this.size): TransactionHistory {
    return historyOf(this.#store, size, [])
  }

  /** Stores the next block, of which `verify` is known to hold. */
  async append(block: ShownBlock, txHashes: readonly Hash[]): Promise<Tip> {
    const { header, signature } = block
    const tip = tipOf({ header, signature })
    const state = stateAfter(this.#state, block, tip.hash)
    const change = this.#changeTo(state)
    await this.#store.append(block, tip.hash, txHashes, change)
    this.#state = state
    if (change?.checkpoint !== undefined) this.#stored = { tree: this.registry.tree, changesSince: 0 }
    else if (change !== undefined) this.#stored = { ...this.#stored, changesSince: this.#stored.changesSince + 1 }
    return tip
  }

  /** What the store is told of a change of the registry; `undefined` if there is none. */
  #changeTo(state: ChainState): StoredChange | undefined {
    if (state.registries === this.#state.registries) return undefined
    const { tree, changesSince } = this.#stored
    const guarded = state.registries.at(-1)?.guarded === true
    if (changesSince + 1 < CHANGES_PER_CHECKPOINT) return { guarded }
    const grown = registryOf(state).tree
    return { guarded, checkpoint: { size: grown.size, pages: newPages(grown, tree) } }
  }

  /** Takes the blocks from height `size` on out of the chain; the store keeps them beside it. Throws `out_of_range`. */
  async rewind(size: number): Promise<void> {
    const state = await this.stateAt(size)
    await this.#store.rewind(size)
    this.#versions.forget()
    this.#state = state
  }

  /** Sealed headers of [from, from + count), ascending. */
  async headers(from: number, count: number): Promise<readonly (SealedHeader & { readonly hash: Hash })[]> {
    return await this.#store.headers(from, count)
  }

  /** The height of a block of the chain. */
  heightOf(blockHash: Hash): Promise<number | undefined> {
    return this.#store.heightOf(blockHash)
  }

  /** The height of the block that has sealed this tick. */
  async heightOfTick(tickId: string): Promise<number | undefined> {
    const height = await this.#store.heightOfTick(tickId)
    return height !== undefined && height < this.size ? height : undefined
  }

  /** The hash of the block at a height; `undefined` above the tip and below 0. */
  async hashAt(height: number): Promise<Hash | undefined> {
    return height < 0 ? undefined : (await this.#store.headers(height, 1))[0]?.hash
  }

  /** The sealed header of a block hash. Throws `unknown_block`. */
  async headerOf(blockHash: Hash): Promise<SealedHeader> {
    const height = await this.#store.heightOf(blockHash)
    const [stored] = height === undefined ? [] : await this.#store.headers(height, 1)
    if (stored === undefined) throw ledgerError('unknown_block', { block_hash: blockHash })
    return { header: stored.header, signature: stored.signature }
  }

  /** The whole block of a hash, on the chain or kept beside it. Throws `unknown_block`. */
  async block(blockHash: Hash): Promise<ShownBlock> {
    const { header, signature } = await this.sealedAnywhere(blockHash)
    return { header, signature, transactions: await this.transactionsOf(blockHash, 0, header.tx_count) }
  }

  /** The sealed header of a block on the chain, or kept beside it. Throws `unknown_block`. */
  async sealedAnywhere(blockHash: Hash): Promise<SealedHeader> {
    if ((await this.heightOf(blockHash)) !== undefined) return await this.headerOf(blockHash)
    const beside = await this.#store.headerBeside(blockHash)
    if (beside === undefined) throw ledgerError('unknown_block', { block_hash: blockHash })
    return beside
  }

  /** Transactions of a block on the chain or beside it, from index `from` on, at most `count`. Throws `unknown_block`. */
  async transactionsOf(blockHash: Hash, from: number, count: number): Promise<readonly ShownTransaction[]> {
    for (;;) {
      const height = await this.heightOf(blockHash)
      const part = await this.#store.transactions(height ?? blockHash, from, count)
      // It may have become another height's, or gone beside the chain, while it was read.
      if ((await this.heightOf(blockHash)) !== height) continue
      if (height === undefined && part.length === 0) await this.sealedAnywhere(blockHash)
      return part
    }
  }

  /** A transaction by its id. Throws `unknown_transaction`, also for one that was redacted. */
  async transaction(id: string): Promise<Transaction> {
    const found = (await this.transactions([id])).get(id)
    if (found === undefined) throw ledgerError('unknown_transaction', { id })
    return found
  }

  /** Those of these ids that the chain has and that were not redacted. */
  async transactions(ids: readonly string[]): Promise<ReadonlyMap<string, Transaction>> {
    return await transactionsById(this.#store, ids, this.size)
  }

  /**
   * The first height, from `from` up to `upTo`, at which this node lacks the body of a correction of this trade, or of a
   * transaction that may be one: it was removed here, or came without it and nobody here knows what it was.
   */
  firstLacking(tradeId: string, from: number, upTo: number): Promise<number | undefined> {
    return firstLacking(this.#store, tradeId, from, upTo)
  }

  /**
   * Ids of the corrections of a trade up to a height, in the order of the chain, but of those whose body was
   * removed here.
   */
  correctionsOf(tradeId: string, upTo: number): Promise<readonly string[]> {
    return correctionsOf(this.#store, tradeId, upTo)
  }

  /** The Merkle tree of a block of the chain; see `HotTrees`. */
  treeOf(header: Header): Promise<BlockTree> {
    return this.#trees.treeOf(header)
  }

  /** Whose the transactions of a block of the chain are; see `HotTrees`. */
  partyIndex(header: Header): Promise<PartyIndex> {
    return this.#trees.partiesOf(header)
  }

  /** The users that each of these transactions concerns; see `partiesOf`. */
  partiesOf(transactions: readonly ShownTransaction[]): Promise<readonly (readonly string[])[]> {
    return partiesOf(this.#store, transactions, this.size)
  }

  /** The transactions of a block of the chain at these indexes; `undefined` where there is none. */
  transactionsAt(height: number, indexes: readonly number[]): Promise<readonly (ShownTransaction | undefined)[]> {
    const places = indexes.map((index) => ({ height, index }))
    return transactionsAt(this.#store, places)
  }

  /** The sealed header of a height. Throws `out_of_range`. */
  async sealedAt(height: number): Promise<SealedHeader> {
    const [stored] = await this.#store.headers(height, 1)
    if (stored === undefined) throw ledgerError('out_of_range', { what: 'height', value: height, limit: this.size })
    return { header: stored.header, signature: stored.signature }
  }

  async blockAt(height: number): Promise<ShownBlock> {
    const block = await this.#store.block(height)
    if (block === undefined) throw ledgerError('out_of_range', { what: 'height', value: height, limit: this.size })
    return block
  }

  /**
   * Proof that a transaction is in its block and, if `atHeight` names a later header, that this block is in its history.
   * Throws `unknown_transaction`, `out_of_range`.
   */
  async transactionProof(by: TransactionKey, atHeight: number | null): Promise<ProofAnswer> {
    const place = await this.#store.locate(by)
    if (place === undefined) throw ledgerError('unknown_transaction', { id: 'tx_id' in by ? by.tx_id : by.tx_hash })
    const { header, signature } = await this.sealedAt(place.height)
    const { leaves, tree } = await this.treeOf(header)
    const tx_hash = leaves[place.index]
    if (tx_hash === undefined || ('tx_hash' in by && tx_hash !== by.tx_hash)) {
      throw ledgerError('corrupt', {
        place: `chain store, block ${place.height}, transaction ${place.index}`,
        expected: 'tx_hash' in by ? by.tx_hash : by.tx_id,
        found: tx_hash ?? 'nothing',
      })
    }
    const isOlder = atHeight !== null && atHeight !== place.height
    const history_proof = isOlder ? await this.inclusion(place.height, atHeight) : null
    return { tx_hash, merkle_proof: tree.proof(place.index), header, signature, history_proof }
  }

  /** Inclusion of the header at `height` in the history of `size` headers. Throws `out_of_range`. */
  async inclusion(height: number, size: number): Promise<InclusionProof> {
    this.#checkSize(size)
    return { leaf_index: height, tree_size: size, path: await this.#foldAll(inclusionSubtrees(height, size)) }
  }

  /** Consistency of the histories of `from` and `to` headers. Throws `out_of_range`. */
  async consistency(from: number, to: number): Promise<ConsistencyProof> {
    this.#checkSize(to)
    return { from, to, path: await this.#foldAll(consistencySubtrees(from, to)) }
  }

  /** Hashes of the complete subtrees of the history of `size` headers, left to right. */
  async frontier(size: number): Promise<readonly Hash[]> {
    this.#checkSize(size)
    return await this.#store.historyNodes(rootSubtrees(size))
  }

  #checkSize(size: number): void {
    if (size > this.size) throw ledgerError('out_of_range', { what: 'tree size', value: size, limit: this.size })
  }

  async #foldAll(parts: readonly (readonly Subtree[])[]): Promise<Hash[]> {
    return await Promise.all(parts.map(async (part) => foldSubtrees(await this.#store.historyNodes(part))))
  }
}
