import { ledgerError } from '../ports/errors.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import { registryTransactionsOf, type ShownBlock } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import type { SealedHeader } from '../protocol/header.ts'
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
import type { Transaction } from '../protocol/transaction.ts'
import { BlockTrees, type BlockTree } from './block-trees.ts'
import { transactionsAt, transactionsById } from './transaction-reads.ts'
import {
  genesisState,
  isGuarded,
  registryAfter,
  registryBefore,
  registryOf,
  sizeOf,
  stateAfter,
  tipOf,
  verifyBlock,
  verifySealedHeader,
  withRegistryOf,
  type ChainState,
  type Tip,
} from './chain-state.ts'
import { historyOf, type TransactionHistory } from './history-rules.ts'

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
  readonly #trees = new BlockTrees()
  #state: ChainState

  private constructor(genesis: Genesis, store: ChainStore) {
    this.genesis = genesis
    this.chainId = chainIdOf(genesis)
    this.#state = genesisState(genesis)
    this.#store = store
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
    let { registries } = genesisState(this.genesis)
    for (const height of await this.#store.registryHeights()) {
      const { transactions } = await this.blockAt(height)
      registries = withRegistryOf(registries, height, transactions, this.chainId)
    }
    this.#state = await this.#readState(size, registries)
  }

  /** What the block of height `size` is checked against. Throws `out_of_range`. */
  async stateAt(size: number): Promise<ChainState> {
    if (size === this.size) return this.#state
    this.#checkSize(size)
    const [first, ...changes] = this.#state.registries
    return await this.#readState(size, [first, ...changes.filter((change) => change.height < size)])
  }

  async #readState(size: number, registries: ChainState['registries']): Promise<ChainState> {
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
    return { tip: { header, hash, sealed: { header, signature } }, frontier, registries }
  }

  /** Who may seal and vote after the tip. */
  get registry(): Registry {
    return registryOf(this.#state)
  }

  /** Who may seal and vote on the block of this height: the registry after the one before. */
  registryBefore(height: number): Registry {
    return registryBefore(this.#state, height)
  }

  /** True if the block of this height changes the policy, an authority or a validator. */
  isGuarded(height: number): boolean {
    return isGuarded(this.#state, height)
  }

  /** Heights above `height` (and at most `upTo`) whose blocks change the policy, an authority or a validator. */
  guardedHeights(height: number, upTo: number): readonly number[] {
    return this.#state.registries
      .filter((change) => change.guarded && change.height > height && change.height <= upTo)
      .map((change) => change.height)
  }

  /** Heights from `from` on whose blocks change the registry, ascending. */
  registryHeights(from: number): readonly number[] {
    return this.#state.registries.map(({ height }) => height).filter((height) => height >= Math.max(0, from))
  }

  /** The registry after a block with these transactions on the tip. Throws `registry_refused`, `bad_public_key`. */
  registryAfter(transactions: readonly Transaction[]): Registry {
    const earliest = this.tip?.header.timestamp ?? this.genesis.created_at
    for (const change of registryTransactionsOf(transactions)) checkChangeFresh(change, earliest)
    return registryAfter(this.#state, transactions, this.chainId)
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
  verify(block: ShownBlock, txHashes?: readonly Hash[]): Verdict {
    return verifyBlock(this.#state, block, this, txHashes)
  }

  /** Checks a header as that of the next block, before its block is known; see `verifySealedHeader`. */
  verifySealed(sealed: SealedHeader, recovery?: ProvenRecovery): Verdict {
    return verifySealedHeader(this.#state, sealed, this, recovery)
  }

  /** What the transactions of the next block are checked against, beside `verify`. */
  history(): TransactionHistory {
    return historyOf(this.#store, this.size, [])
  }

  /** Stores the next block, of which `verify` is known to hold. */
  async append(block: ShownBlock, txHashes: readonly Hash[]): Promise<Tip> {
    const { header, signature } = block
    const tip = tipOf({ header, signature })
    await this.#store.append(block, tip.hash, txHashes)
    this.#state = stateAfter(this.#state, block, tip.hash, this.chainId)
    return tip
  }

  /** Takes the blocks from height `size` on out of the chain; the store keeps them beside it. Throws `out_of_range`. */
  async rewind(size: number): Promise<void> {
    const state = await this.stateAt(size)
    await this.#store.rewind(size)
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

  /** Throws `unknown_block`. */
  async block(blockHash: Hash): Promise<ShownBlock> {
    const height = await this.#store.heightOf(blockHash)
    const block = height === undefined ? undefined : await this.#store.block(height)
    if (block === undefined) throw ledgerError('unknown_block', { block_hash: blockHash })
    return block
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
   * Ids of the corrections of a trade up to a height, in the order of the chain, but of those whose body was
   * removed here.
   */
  async correctionsOf(tradeId: string, upTo: number): Promise<readonly string[]> {
    const places = (await this.#store.correctionsOf(tradeId)).filter(({ height }) => height <= upTo)
    const found = await transactionsAt(this.#store, places)
    return places.flatMap(({ height, index }, at) => {
      const tx = found[at]
      if (tx?.kind === 'redacted') return []
      if (tx?.kind === 'correction') return [tx.id]
      throw ledgerError('corrupt', {
        place: `chain store, corrections of ${tradeId}`,
        expected: `a correction, transaction ${index} of block ${height}`,
        found: tx?.kind ?? 'nothing',
      })
    })
  }

  /** The Merkle tree of a block of the chain, which `blockAt` gave. */
  treeOf(block: ShownBlock): BlockTree {
    return this.#trees.of(block)
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
    const block = await this.blockAt(place.height)
    const { header, signature } = block
    const { leaves, tree } = this.treeOf(block)
    const tx_hash = leaves[place.index]
    if (tx_hash === undefined || ('tx_hash' in by && tx_hash !== by.tx_hash)) {
      throw ledgerError('corrupt', {
        place: `chain store, block ${place.height}, transaction ${place.index}`,
        expected: 'tx_hash' in by ? by.tx_hash : by.tx_id,
        found: tx_hash ?? 'nothing',
      })
    }
    const history_proof =
      atHeight === null || atHeight === place.height ? null : await this.inclusion(place.height, atHeight)
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
