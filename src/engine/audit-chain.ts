import type { BlockRow } from '../ports/market-store.ts'
import type { Hash } from '../protocol/bytes.ts'
import { chainIdOf, type Genesis } from '../protocol/genesis.ts'
import { hashHeader, verifyHeaderLink, verifySeal, type Header } from '../protocol/header.ts'
import {
  appendedNodes,
  appendToFrontier,
  foldSubtrees,
  historyLeaf,
  rootSubtrees,
  type HistoryNode,
} from '../protocol/history.ts'
import { Registry } from '../protocol/registry.ts'

/** Notes one value that is not what it should be. */
export type Note = (place: string, expected: string, found: string) => void

/** Follows the chain of headers from height 0 on and checks each against those before. */
export interface HeaderWalker {
  /** Checks the next header as SQL has it. */
  check(row: BlockRow): void
  /** Goes on with a header that SQL has not; `undefined`: nobody has it, and what leads through it cannot be checked. */
  skip(header: Header | undefined): void
  /** Nodes of the history tree that the header checked last completed; empty where they cannot be known. */
  newNodes(): readonly HistoryNode[]
}

export function createHeaderWalker(genesis: Genesis, note: Note): HeaderWalker {
  const chainId = chainIdOf(genesis)
  const registry = Registry.fromGenesis(genesis)
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

  return {
    check(row) {
      const { header } = row.sealed
      const place = `SQL, block ${row.height}`
      const hash = hashHeader(header)
      if (hash !== row.block_hash) note(`${place}, block_hash`, hash, row.block_hash)
      const link = parent === undefined ? { ok: true as const } : verifyHeaderLink(header, parent, genesis, chainId)
      if (!link.ok) note(`${place}, header`, 'a header that follows the one before', `${link.code}: ${link.reason}`)
      const historyRoot = frontier && foldSubtrees(frontier)
      if (historyRoot !== undefined && header.history_root !== historyRoot) {
        note(`${place}, history_root`, historyRoot, header.history_root)
      }
      if (header.registry_root !== registry.root) note(`${place}, registry_root`, registry.root, header.registry_root)
      const sealer = registry.active(header.miner_id, 'authority')
      const seal = sealer === undefined ? undefined : verifySeal(row.sealed, sealer.public_key)
      if (seal?.ok !== true)
        note(`${place}, signature`, `the seal of ${header.miner_id}`, seal?.reason ?? 'no active authority of that id')
      advance(header)
    },
    skip(header) {
      if (header !== undefined) {
        advance(header)
        return
      }
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
