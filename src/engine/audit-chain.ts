import { inTurns } from '../ports/turns.ts'
import { registryTransactionsOf, sealingKey, verifyBlockBodyInPieces } from '../protocol/block.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyHeaderLink, verifySeal, type Header, type SealedHeader } from '../protocol/header.ts'
import {
  appendedNodes,
  appendToFrontier,
  foldSubtrees,
  historyLeaf,
  rootSubtrees,
  type HistoryNode,
} from '../protocol/history.ts'
import { keysNamedBy, Registry } from '../protocol/registry.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Note } from './findings.ts'

/** Follows the chain of headers from height 0 on and checks each against those before. */
export interface HeaderWalker {
  /** The registry before the next block. */
  readonly registry: Registry
  /**
   * Checks the next header.
   *
   * @param place what holds it, for findings
   * @param transactions those that its Merkle root is of, for what they change of the registry; `undefined` if nobody has them
   */
  check(sealed: SealedHeader, place: string, transactions: readonly ShownTransaction[] | undefined): void
  /**
   * Goes on with a header that could not be checked; `undefined`: nobody has it, and what leads through it cannot be checked.
   *
   * @param transactions those of its block, where another store has them
   */
  skip(header: Header | undefined, transactions?: readonly ShownTransaction[]): Promise<void>
  /** Nodes of the history tree that the header checked last completed; empty where they cannot be known. */
  newNodes(): readonly HistoryNode[]
}

export function createHeaderWalker(genesis: Genesis, note: Note): HeaderWalker {
  const chainId = chainIdOf(genesis)
  let registry = Registry.fromGenesis(genesis)
  /** Keys that blocks have registered. */
  const used = new Set<Hex>()
  // False after a block that changed the registry in a way that nobody can tell: no seal can be judged from there on.
  let knowsRegistry = true
  // `undefined` after a header that nobody has; the history cannot be known from there on.
  let parent: { readonly header: Header; readonly hash: Hash } | null | undefined = null
  let frontier: readonly Hash[] | undefined = []
  let nodes: readonly HistoryNode[] = []

  function advance(header: Header): void {
    const hash = hashHeader(header)
    const leaf = historyLeaf(hash)
    const { height } = header
    nodes = frontier === undefined ? [] : appendedNodes(height, leaf, subtreesOf(height, frontier))
    frontier &&= appendToFrontier(height, frontier, leaf)
    parent = { header, hash }
  }

  /** The registry after a block; as it was, if it does not allow what the block asks for. */
  function registryAfter(place: string, height: number, transactions: readonly ShownTransaction[]): Registry {
    const changes = registryTransactionsOf(transactions)
    if (changes.length === 0) return registry
    try {
      const after = registry.after(changes, height, used)
      for (const key of keysNamedBy(changes)) used.add(key)
      return after
    } catch (error) {
      if (!isSolarError(error)) throw error
      note(`${place}, registry change`, 'one that the registry allows', error.message)
      return registry
    }
  }

  /** The registry after a block, as far as anybody can tell, and the seal under it. */
  function checkSeal(sealed: SealedHeader, place: string, transactions: readonly ShownTransaction[] | undefined): void {
    const { header } = sealed
    knowsRegistry &&= transactions !== undefined || header.registry_root === registry.root
    if (!knowsRegistry) return
    const before = registry
    registry = registryAfter(place, header.height, transactions ?? [])
    if (header.registry_root !== registry.root) note(`${place}, registry_root`, registry.root, header.registry_root)
    const sealer = sealingKey({ header, transactions: transactions ?? [] }, before)
    const seal = sealer === undefined ? undefined : verifySeal(sealed, sealer)
    if (seal?.ok === true) return
    note(`${place}, signature`, `the seal of ${header.miner_id}`, seal?.reason ?? 'no active authority of that id')
  }

  return {
    get registry() {
      return registry
    },
    check(sealed, place, transactions) {
      const { header } = sealed
      const link = parent === undefined ? { ok: true as const } : verifyHeaderLink(header, parent, genesis, chainId)
      if (!link.ok) note(`${place}, header`, 'a header that follows the one before', `${link.code}: ${link.reason}`)
      const historyRoot = frontier && foldSubtrees(frontier)
      if (historyRoot !== undefined && header.history_root !== historyRoot) {
        note(`${place}, history_root`, historyRoot, header.history_root)
      }
      checkSeal(sealed, place, transactions)
      advance(header)
    },
    async skip(header, transactions = []) {
      if (header !== undefined) {
        const { ok: isWhole } = await inTurns(verifyBlockBodyInPieces(header, transactions, genesis))
        knowsRegistry &&= isWhole || header.registry_root === registry.root
        if (isWhole) registry = registryAfter(`block ${header.height}`, header.height, transactions)
        advance(header)
        return
      }
      knowsRegistry = false
      parent = undefined
      frontier = undefined
      nodes = []
    },
    newNodes: () => nodes,
  }
}

/** Reads the complete subtrees of a history of `size` headers from its frontier. */
function subtreesOf(size: number, frontier: readonly Hash[]): Parameters<typeof appendedNodes>[2] {
  const roots = rootSubtrees(size)
  return ({ level }) => frontier[roots.findIndex((root) => root.level === level)] ?? ''
}
