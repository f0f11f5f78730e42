import { ledgerError } from '../ports/errors.ts'
import type { ChainStore } from '../ports/chain-store.ts'
import { verifyBlockBody, type Block } from '../protocol/block.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { Verdict } from '../protocol/errors.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyHeaderLink, verifySeal, type Header, type SealedHeader } from '../protocol/header.ts'
import {
  appendToFrontier,
  consistencySubtrees,
  foldSubtrees,
  historyLeaf,
  inclusionSubtrees,
  rootSubtrees,
  type ConsistencyProof,
  type InclusionProof,
  type Subtree,
} from '../protocol/history.ts'
import { merkleProof } from '../protocol/merkle.ts'
import type { AnchorAnswer, ProofAnswer } from '../protocol/messages.ts'
import { Registry } from '../protocol/registry.ts'
import { hashTransaction } from '../protocol/transaction.ts'

/** The block on top, with its hash. */
export interface Tip {
  readonly sealed: SealedHeader
  readonly header: Header
  readonly hash: Hash
}

type TransactionKey = { readonly tx_id: string } | { readonly tx_hash: Hash }

/**
 * The chain as this node holds it: the tip and its roots in memory, everything else in the chain store. Whoever appends
 * does so one at a time.
 */
export class Chain {
  readonly genesis: Genesis
  readonly chainId: Hash
  /** Who may seal and vote; the genesis registry, as no transaction changes it yet. */
  readonly registry: Registry
  readonly #store: ChainStore
  #tip: Tip | null = null
  #frontier: readonly Hash[] = []

  private constructor(genesis: Genesis, store: ChainStore) {
    this.genesis = genesis
    this.chainId = chainIdOf(genesis)
    this.registry = Registry.fromGenesis(genesis)
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
    const [stored] = await this.#store.headers(size - 1, 1)
    if (stored === undefined) {
      throw ledgerError('corrupt', { place: `chain store, height ${size - 1}`, expected: 'a header', found: 'nothing' })
    }
    const { header, signature, hash } = stored
    if (header.chain_id !== this.chainId) {
      throw ledgerError('wrong_chain', { chain_id: header.chain_id, expected: this.chainId })
    }
    this.#frontier = await this.#store.historyNodes(rootSubtrees(size))
    this.#tip = { header, hash, sealed: { header, signature } }
  }

  /** null before height 0. */
  get tip(): Tip | null {
    return this.#tip
  }

  /** Number of blocks. */
  get size(): number {
    return this.#tip === null ? 0 : this.#tip.header.height + 1
  }

  /** Root of the history tree over all headers: history_root of the next block. */
  get historyRoot(): Hash {
    return foldSubtrees(this.#frontier)
  }

  /**
   * Checks a block as the next one, by every rule: link, roots, sealer and seal, transactions. A header that this node
   * has just made and signed itself need not be asked again.
   */
  verify(block: Block): Verdict {
    const { header } = block
    const verdict = verifyHeaderLink(header, this.#tip, this.genesis, this.chainId)
    if (!verdict.ok) return verdict
    if (header.history_root !== this.historyRoot) {
      return {
        ok: false,
        code: 'wrong_history',
        reason: `history_root ${header.history_root}, expected ${this.historyRoot}`,
      }
    }
    if (header.registry_root !== this.registry.root) {
      return {
        ok: false,
        code: 'wrong_registry',
        reason: `registry_root ${header.registry_root}, expected ${this.registry.root}`,
      }
    }
    const sealer = this.registry.active(header.miner_id, 'authority')
    if (sealer === undefined) {
      return { ok: false, code: 'unknown_sealer', reason: `${header.miner_id} is no active authority` }
    }
    const body = verifyBlockBody(header, block.transactions, this.genesis)
    return body.ok ? verifySeal(block, sealer.public_key) : body
  }

  /** Stores the next block, of which `verify` is known to hold. */
  async append(block: Block, txHashes: readonly Hash[]): Promise<Tip> {
    const { header, signature } = block
    const tip = { sealed: { header, signature }, header, hash: hashHeader(header) }
    await this.#store.append(block, tip.hash, txHashes)
    this.#frontier = appendToFrontier(header.height, this.#frontier, historyLeaf(tip.hash))
    this.#tip = tip
    return tip
  }

  /** Sealed headers of [from, from + count), ascending. */
  async headers(from: number, count: number): Promise<readonly (SealedHeader & { readonly hash: Hash })[]> {
    return await this.#store.headers(from, count)
  }

  /** The sealed header of a block hash. Throws `unknown_block`. */
  async headerOf(blockHash: Hash): Promise<SealedHeader> {
    const height = await this.#store.heightOf(blockHash)
    const [stored] = height === undefined ? [] : await this.#store.headers(height, 1)
    if (stored === undefined) throw ledgerError('unknown_block', { block_hash: blockHash })
    return { header: stored.header, signature: stored.signature }
  }

  /** Throws `unknown_block`. */
  async block(blockHash: Hash): Promise<Block> {
    const height = await this.#store.heightOf(blockHash)
    const block = height === undefined ? undefined : await this.#store.block(height)
    if (block === undefined) throw ledgerError('unknown_block', { block_hash: blockHash })
    return block
  }

  async blockAt(height: number): Promise<Block> {
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
    const { header, signature, transactions } = await this.blockAt(place.height)
    const hashes = transactions.map(hashTransaction)
    const tx_hash = hashes[place.index]
    if (tx_hash === undefined || ('tx_hash' in by && tx_hash !== by.tx_hash)) {
      throw ledgerError('corrupt', {
        place: `chain store, block ${place.height}, transaction ${place.index}`,
        expected: 'tx_hash' in by ? by.tx_hash : by.tx_id,
        found: tx_hash ?? 'nothing',
      })
    }
    const history_proof =
      atHeight === null || atHeight === place.height ? null : await this.inclusion(place.height, atHeight)
    return { tx_hash, merkle_proof: merkleProof(hashes, place.index), header, signature, history_proof }
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

  /** What moves a light client from `fromHeight` (null: from the genesis) to the tip. Throws `out_of_range`, `not_ready`. */
  async anchor(fromHeight: number | null): Promise<AnchorAnswer> {
    const tip = this.#tip
    if (tip === null) throw ledgerError('not_ready', { reason: 'the chain has no block yet' })
    const { height } = tip.header
    if (fromHeight !== null && fromHeight >= height) {
      throw ledgerError('out_of_range', { what: 'from_height', value: fromHeight, limit: height })
    }
    const [parent] = height === 0 ? [] : await this.#store.headers(height - 1, 1)
    return {
      header: tip.header,
      signature: tip.sealed.signature,
      parent_header: parent?.header ?? null,
      consistency: fromHeight === null || fromHeight === 0 ? null : await this.consistency(fromHeight, height),
      inclusion: fromHeight === null ? null : await this.inclusion(fromHeight, height),
      frontier: await this.#store.historyNodes(rootSubtrees(height)),
    }
  }

  #checkSize(size: number): void {
    if (size > this.size) throw ledgerError('out_of_range', { what: 'tree size', value: size, limit: this.size })
  }

  async #foldAll(parts: readonly (readonly Subtree[])[]): Promise<Hash[]> {
    return await Promise.all(parts.map(async (part) => foldSubtrees(await this.#store.historyNodes(part))))
  }
}
