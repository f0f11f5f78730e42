import type {
  ChainStore,
  RegistryPage,
  StoredChange,
  StoredHeader,
  TransactionLocation,
} from '../../src/ports/chain-store.ts'
import { ledgerError } from '../../src/ports/errors.ts'
import { registryTransactionsOf, tickIdOf, type ShownBlock } from '../../src/protocol/block.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import { keysNamedBy } from '../../src/protocol/registry.ts'
import { leafOf, type ShownTransaction } from '../../src/protocol/transaction.ts'
import { appendedNodes, historyLeaf, type Subtree } from '../../src/protocol/history.ts'

const isRedacted = ({ kind }: ShownTransaction): boolean => kind === 'redacted'
const nameOf = ({ level, index }: Subtree): string => `${level}/${index}`

/** A chain store in memory, for long chains that are made in a moment: it passes the contract but for durability. */
export function createMemoryChainStore(): ChainStore {
  const blocks: { readonly block: ShownBlock; readonly hash: Hash; readonly change: StoredChange | undefined }[] = []
  const pages = new Map<Hash, RegistryPage['items']>()
  const heights = new Map<Hash, number>()
  const byId = new Map<string, TransactionLocation>()
  const byHash = new Map<Hash, TransactionLocation>()
  const corrections = new Map<string, TransactionLocation[]>()
  const nodes = new Map<string, Hash>()
  const ticks = new Map<string, number>()
  const beside = new Map<Hash, ShownBlock>()
  const clear = (): void => {
    blocks.length = 0
    for (const map of [heights, byId, byHash, corrections, nodes, ticks]) map.clear()
  }
  const read = (subtree: Subtree): Hash => nodes.get(nameOf(subtree))!

  function append(block: ShownBlock, hash: Hash, txHashes: readonly Hash[], change?: StoredChange): void {
    const height = blocks.length
    blocks.push({ block, hash, change })
    for (const page of change?.checkpoint?.pages ?? []) pages.set(page.hash, page.items)
    heights.set(hash, height)
    beside.delete(hash)
    const tickId = tickIdOf(block.transactions)
    if (tickId !== undefined) ticks.set(tickId, height)
    block.transactions.forEach((tx, index) => {
      if (tx.kind !== 'redacted') byId.set(tx.id, { height, index })
      byHash.set(txHashes[index]!, { height, index })
      if (tx.kind !== 'correction') return
      corrections.set(tx.corrects, [...(corrections.get(tx.corrects) ?? []), { height, index }])
    })
    for (const node of appendedNodes(height, historyLeaf(hash), read)) nodes.set(nameOf(node), node.hash)
  }

  const changed = (): readonly number[] =>
    blocks.flatMap(({ block }, height) => (registryTransactionsOf(block.transactions).length > 0 ? [height] : []))
  function registrationOf(key: string) {
    for (const height of changed()) {
      const changes = registryTransactionsOf(blocks[height]!.block.transactions)
      const named = changes.find((tx) => keysNamedBy([tx]).includes(key))
      if (named !== undefined) return { height, id: named.subject_id }
    }
    return undefined
  }

  const stored = ({ block: { header, signature }, hash }: (typeof blocks)[number]): StoredHeader => ({
    header,
    signature,
    hash,
  })
  return {
    size: () => Promise.resolve(blocks.length),
    append: (...block) => {
      append(...block)
      return Promise.resolve()
    },
    headers: (from, count) => Promise.resolve(blocks.slice(from, from + count).map(stored)),
    registryHeights: (from = 0, limit) =>
      Promise.resolve(
        changed()
          .filter((at) => at >= from)
          .slice(0, limit),
      ),
    lastRegistryHeight: (below) => Promise.resolve(changed().findLast((at) => at < below)),
    guardedHeights: (from, below) =>
      Promise.resolve(changed().filter((at) => at >= from && at < below && blocks[at]?.change?.guarded === true)),
    registrations: (keys) => Promise.resolve(keys.map(registrationOf)),
    registryCheckpoint: (below) => {
      const height = changed().findLast((at) => at < below && blocks[at]?.change?.checkpoint !== undefined) ?? -1
      const size = blocks[height]?.change?.checkpoint?.size
      return Promise.resolve(size === undefined ? undefined : { height, size })
    },
    registryPages: (hashes) => {
      const missing = hashes.find((hash) => !pages.has(hash))
      return missing === undefined
        ? Promise.resolve(hashes.map((hash) => pages.get(hash)!))
        : Promise.reject(ledgerError('corrupt', { place: missing, expected: 'a page', found: 'nothing' }))
    },
    heightOf: (hash) => Promise.resolve(heights.get(hash)),
    heightsOf: (hashes) => Promise.resolve(hashes.map((hash) => heights.get(hash))),
    block: (height) => Promise.resolve(blocks[height]?.block),
    transactions: (of, from, count) => {
      const block = typeof of === 'number' ? blocks[of]?.block : beside.get(of)
      return Promise.resolve(block?.transactions.slice(from, from + count) ?? [])
    },
    blocks: (from, count) => Promise.resolve(blocks.slice(from, from + count).map(({ block }) => block)),
    locate: (by) => Promise.resolve('tx_id' in by ? byId.get(by.tx_id) : byHash.get(by.tx_hash)),
    places: (ids) => Promise.resolve(ids.map((id) => byId.get(id))),
    heightsOfIds: (ids) => Promise.resolve(ids.map((id) => byId.get(id)?.height)),
    firstUnknownId: (from, below) =>
      Promise.resolve(
        blocks.slice(from, below).find(({ block }) => block.transactions.some(isRedacted))?.block.header.height,
      ),
    placesByHash: (hashes) => Promise.resolve(hashes.map((hash) => byHash.get(hash))),
    heightsOfTicks: (ids) => Promise.resolve(ids.map((id) => ticks.get(id))),
    heightOfTick: (tickId) => Promise.resolve(ticks.get(tickId)),
    rewind: (size) => {
      const removed = blocks.slice(size)
      const kept = blocks.slice(0, size)
      clear()
      for (const { block, hash, change } of kept) append(block, hash, block.transactions.map(leafOf), change)
      for (const { block, hash } of removed) beside.set(hash, block)
      return Promise.resolve()
    },
    putBeside: (block, hash) => {
      beside.set(hash, block)
      return Promise.resolve()
    },
    besideChain: (hash) => Promise.resolve(beside.get(hash)),
    headerBeside: (hash) => Promise.resolve(beside.get(hash)),
    correctionsOf: (tradeId) => Promise.resolve(corrections.get(tradeId) ?? []),
    historyNodes: (subtrees) => Promise.resolve(subtrees.map(read)),
    close: () => Promise.resolve(),
  }
}
