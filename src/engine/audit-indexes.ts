import type { ChainStore, TransactionLocation } from '../ports/chain-store.ts'
import { inTurns } from '../ports/turns.ts'
import type { Hash } from '../protocol/bytes.ts'
import type { HistoryNode } from '../protocol/history.ts'
import { tickIdOf } from '../protocol/block.ts'
import { endsPiece, type Pieces } from '../protocol/pieces.ts'
import type { ShownTransaction } from '../protocol/transaction.ts'
import type { Note } from './findings.ts'
import { readOrNote, unlessCorrupt } from './audit-pages.ts'

/** A block that LevelDB has, and what it must be found by. */
export interface IndexedBlock {
  readonly height: number
  readonly hash: Hash
  /** Those that its Merkle root is of, and their hashes; none where no store has them. */
  readonly transactions: readonly ShownTransaction[]
  readonly txHashes: readonly Hash[]
  /** Nodes of the history tree that its header completes. */
  readonly nodes: readonly HistoryNode[]
}

/** Notes where LevelDB does not find blocks, their transactions and their part of history proofs. */
export async function auditIndexes(chainStore: ChainStore, blocks: readonly IndexedBlock[], note: Note): Promise<void> {
  // Of a redacted transaction only its hash is known, and a tick of which no body is left by nothing.
  const ids = blocks.flatMap(({ transactions }) =>
    transactions.flatMap((tx) => (tx.kind === 'redacted' ? [] : [tx.id])),
  )
  const tickIds = blocks.flatMap(({ transactions }) => tickIdOf(transactions) ?? [])
  const [heights, tickHeights, byId, byHash, nodes] = await Promise.all([
    readAll(
      blocks.map(({ hash }) => hash),
      (hashes) => chainStore.heightsOf(hashes),
      note,
    ),
    readAll(tickIds, (keys) => chainStore.heightsOfTicks(keys), note),
    readAll(ids, (keys) => chainStore.places(keys), note),
    readAll(
      blocks.flatMap(({ txHashes }) => txHashes),
      (hashes) => chainStore.placesByHash(hashes),
      note,
    ),
    readAll(
      blocks.flatMap((block) => block.nodes),
      (subtrees) => chainStore.historyNodes(subtrees),
      note,
    ),
  ])
  for (const { height, transactions: own } of blocks) {
    compareHeight(height, 'hash', heights.shift(), note)
    if (tickIdOf(own) !== undefined) compareHeight(height, 'tick', tickHeights.shift(), note)
  }
  await inTurns(comparePlaces(blocks, byId, byHash, note))
  for (const { level, index, hash } of blocks.flatMap((block) => block.nodes)) {
    const found = nodes.shift()
    if (found !== undefined && found !== hash) note(`LevelDB, history node ${level}/${index}`, hash, found)
  }
  for (const block of blocks) await auditCorrections(chainStore, block, note)
}

/** What the store has for each key; one by one where an entry cannot be read, which would hide the others. */
async function readAll<Key, Value>(
  keys: readonly Key[],
  read: (keys: readonly Key[]) => Promise<readonly (Value | undefined)[]>,
  note: Note,
): Promise<(Value | undefined)[]> {
  const all = await unlessCorrupt(() => read(keys))
  if (all !== undefined) return [...all]
  const values: (Value | undefined)[] = []
  for (const key of keys) values.push((await readOrNote(note, () => read([key])))?.[0])
  return values
}

function compareHeight(height: number, by: string, found: number | undefined, note: Note): void {
  if (found !== height) note(`LevelDB, block ${height}, height by ${by}`, String(height), String(found ?? 'nothing'))
}

type Place = TransactionLocation | undefined

/** @param byId of all transactions but those that were redacted */
function* comparePlaces(
  blocks: readonly IndexedBlock[],
  byId: readonly Place[],
  byHash: readonly Place[],
  note: Note,
): Pieces<void> {
  let [atId, atHash] = [0, 0]
  for (const { height, transactions: own } of blocks) {
    for (const [index, tx] of own.entries()) {
      const name = tx.kind === 'redacted' ? tx.tx_hash : tx.id
      if (tx.kind !== 'redacted') comparePlace({ height, index }, name, 'id', byId[atId++], note)
      comparePlace({ height, index }, name, 'hash', byHash[atHash++], note)
      if (endsPiece(index)) yield
    }
  }
}

function comparePlace(expected: TransactionLocation, id: string, by: string, found: Place, note: Note): void {
  if (found?.height === expected.height && found.index === expected.index) return
  const place = `LevelDB, block ${expected.height}, transaction ${id}, place by ${by}`
  note(place, placeText(expected), found === undefined ? 'nothing' : placeText(found))
}

const placeText = ({ height, index }: TransactionLocation): string => `block ${height}, position ${index}`

/** What LevelDB finds the corrections of a trade by. */
async function auditCorrections(
  chainStore: ChainStore,
  { height, transactions }: IndexedBlock,
  note: Note,
): Promise<void> {
  for (const [index, tx] of transactions.entries()) {
    if (tx.kind !== 'correction') continue
    const places = await readOrNote(note, () => chainStore.correctionsOf(tx.corrects))
    if (places === undefined || places.some((at) => at.height === height && at.index === index)) continue
    const place = `LevelDB, block ${height}, transaction ${tx.id}, among the corrections of ${tx.corrects}`
    note(place, placeText({ height, index }), 'nothing')
  }
}

/** Notes blocks that change the registry and that LevelDB does not know as such: the registry would be read without them. */
export async function auditRegistryHeights(
  chainStore: ChainStore,
  expected: readonly number[],
  note: Note,
): Promise<void> {
  const heights = await readOrNote(note, () => chainStore.registryHeights())
  if (heights === undefined) return
  const known = new Set(heights)
  for (const height of expected) {
    if (!known.has(height))
      note(`LevelDB, block ${height}, among the changes of the registry`, `block ${height}`, 'nothing')
  }
}
