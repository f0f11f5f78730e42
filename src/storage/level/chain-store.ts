import type {
  ChainStore,
  Registration,
  RegistryCheckpoint,
  StoredChange,
  StoredHeader,
  TransactionLocation,
} from '../../ports/chain-store.ts'
import { ledgerError } from '../../ports/errors.ts'
import { inTurns } from '../../ports/turns.ts'
import type { ShownBlock } from '../../protocol/block.ts'
import type { Hash, Hex } from '../../protocol/bytes.ts'
import { hashHeader } from '../../protocol/header.ts'
import { appendedNodes, historyLeaf, rootSubtrees, type Subtree } from '../../protocol/history.ts'
import { mapInPieces } from '../../protocol/pieces.ts'
import { hash32, refuse } from '../../protocol/shape.ts'
import type { ShownTransaction } from '../../protocol/transaction.ts'
import type { BodyArchive, BodyRedaction } from '../../ports/retention.ts'
import { corrupt, decodeValue } from '../decode.ts'
import { serialTasks } from '../serial.ts'
import { ArchivedBodies, type ArchivePlace } from './archived-bodies.ts'
import { deleteBlock, putBlock, removeAhead, writeAhead } from './block-entries.ts'
import { correctionKey, decodeCorrectionKey, decodeHeight, decodePlace } from './block-index.ts'
import { decodeHeader, decodeHeightKey } from './block-values.ts'
import { BlocksBeside } from './blocks-beside.ts'
import { heightKey, keyOf, nodeKey } from './keyspaces.ts'
import { guardLevel, openLevel, readMany, readText, type CheckRoom, type TextLevel } from './level.ts'
import {
  changeEntries,
  checkpointIn,
  heightsIn,
  pageEntry,
  pagesIn,
  refuseWithoutKeys,
  registrationsIn,
} from './registry-index.ts'
import { finishForgetting, firstUnknownId, readRedactions, redactBodies } from './redacted-bodies.ts'
import { StoredBodies } from './stored-bodies.ts'

/** What an append needs of the chain before it: kept in memory, found again in the database whenever in doubt. */
interface Tip {
  readonly size: number
  /** Roots of the complete subtrees that cover the history, by level. */
  readonly peaks: ReadonlyMap<number, Hash>
}

/** The blocks of one chain, the old ones in files if there is a place for them. */
export type LevelChainStore = ChainStore & BodyArchive & BodyRedaction

/**
 * Opens the blocks of one chain at a folder (Node) or under a database name (browsers). A block comes onto the chain in one batch
 * without sync: after a power cut the last blocks may be missing, never half there. Throws `store_failed` or `corrupt`.
 *
 * @param archive without it nothing is archived, and bodies that were are missed
 */
export async function openChainStore(
  location: string,
  archive?: ArchivePlace,
  checkRoom?: CheckRoom,
): Promise<LevelChainStore> {
  const db = await openLevel(location, checkRoom)
  try {
    return await chainStore(db, archive)
  } catch (error) {
    await db.close()
    throw error
  }
}

/** The blocks in a database that is open; the store closes it. */
export async function chainStore(db: TextLevel, archive?: ArchivePlace): Promise<LevelChainStore> {
  const open = guardLevel('open', async () => {
    await refuseWithoutKeys(db)
    await finishForgetting(db)
    return archive && (await ArchivedBodies.open(db, archive))
  })
  const archived = await open()
  const beside = new BlocksBeside(db)
  const chain = new LevelChain(db, archived, beside)
  await guardLevel('open', () => chain.removeAhead())()
  const inTurn = serialTasks()
  return {
    size: guardLevel('size', async () => (await chain.tip()).size),
    append: guardLevel('append', (...block) => inTurn(() => chain.append(...block))),
    headers: guardLevel('headers', (from, count) => chain.headers(from, count)),
    registryHeights: guardLevel('registryHeights', (from, limit) => chain.registryHeights(from, limit)),
    lastRegistryHeight: guardLevel('lastRegistryHeight', (below) => chain.lastRegistryHeight(below)),
    guardedHeights: guardLevel('guardedHeights', (from, below) => chain.guardedHeights(from, below)),
    registrations: guardLevel('registrations', (keys) => chain.registrations(keys)),
    registryCheckpoint: guardLevel('registryCheckpoint', (below) => chain.registryCheckpoint(below)),
    registryPages: guardLevel('registryPages', (hashes) => pagesIn(db, hashes)),
    heightOf: guardLevel('heightOf', (blockHash) => chain.heightOf(blockHash)),
    heightsOf: guardLevel('heightsOf', (blockHashes) => chain.heightsOf(blockHashes)),
    block: guardLevel('block', (height) => chain.block(height)),
    transactions: guardLevel('transactions', (of, from, count) => chain.transactions(of, from, count)),
    blocks: guardLevel('blocks', (from, count) => chain.blocks(from, count)),
    locate: guardLevel('locate', (by) => chain.locate(by)),
    places: guardLevel('places', (ids) => chain.places('placeById', ids)),
    heightsOfIds: guardLevel('heightsOfIds', (ids) => chain.heightsOfIds(ids)),
    firstUnknownId: guardLevel('firstUnknownId', (from, below) => firstUnknownId(db, from, below)),
    placesByHash: guardLevel('placesByHash', (txHashes) => chain.places('placeByHash', txHashes)),
    heightOfTick: guardLevel('heightOfTick', (tickId) => chain.heightOfTick(tickId)),
    heightsOfTicks: guardLevel('heightsOfTicks', (tickIds) => chain.heightsOfTicks(tickIds)),
    correctionsOf: guardLevel('correctionsOf', (tradeId) => chain.correctionsOf(tradeId)),
    rewind: guardLevel('rewind', (size) => inTurn(() => chain.rewind(size))),
    putBeside: guardLevel('putBeside', (block, hash) => inTurn(() => beside.put(block, hash))),
    besideChain: guardLevel('besideChain', (hash) => beside.read(hash)),
    headerBeside: guardLevel('headerBeside', (hash) => beside.header(hash)),
    historyNodes: guardLevel('historyNodes', (subtrees) => chain.historyNodes(subtrees)),
    archivedSize: () => archived?.size ?? 0,
    archive: guardLevel('archive', async (end) => await archived?.archive(end)),
    // Never while bodies move: what is written into a file would be what was just removed.
    redact: guardLevel('redact', (redactions) => {
      const redact = () => inTurn(() => redactBodies(db, archived, redactions)).finally(() => chain.forgetHot())
      return archived === undefined ? redact() : archived.alone(redact)
    }),
    redactions: guardLevel('redactions', (fromHeight) => readRedactions(db, fromHeight)),
    tickAt: guardLevel('tickAt', (height) => chain.tickAt(height)),
    close: guardLevel('close', () => inTurn(() => db.close())),
  }
}

class LevelChain {
  readonly #db: TextLevel
  readonly #bodies: StoredBodies
  readonly #beside: BlocksBeside
  /** `undefined` before the first look and after a failed append, which may have been written all the same. */
  #tip: Promise<Tip> | undefined
  /** Nothing is known of what was written before this start. */
  #mayBeAhead = true

  constructor(db: TextLevel, archived: Pick<ArchivedBodies, 'body'> | undefined, beside: BlocksBeside) {
    this.#db = db
    this.#bodies = new StoredBodies(db, archived)
    this.#beside = beside
  }

  /** Bodies have changed. */
  forgetHot(): void {
    this.#bodies.forgetHot()
  }

  tip(): Promise<Tip> {
    this.#tip ??= this.#findTip().catch((error: unknown) => {
      this.#tip = undefined
      throw error
    })
    return this.#tip
  }

  /** The size is where the keys end, not a counter that could say something else. */
  async #findTip(): Promise<Tip> {
    const range = { gte: keyOf('header'), lte: keyOf('header', '~'), reverse: true, limit: 1 }
    const [last] = await this.#db.keys(range).all()
    const size = last === undefined ? 0 : decodeHeightKey(last) + 1
    const subtrees = rootSubtrees(size)
    const hashes = await this.#readNodes(subtrees)
    return { size, peaks: new Map(subtrees.map(({ level }, index) => [level, hashes[index] ?? ''])) }
  }

  async append(block: ShownBlock, hash: Hash, txHashes: readonly Hash[], change?: StoredChange): Promise<void> {
    const { header, transactions } = block
    const { size, peaks } = await this.tip()
    if (header.height !== size) throw corrupt('level append', `the block of height ${size}`, `height ${header.height}`)
    if (txHashes.length !== transactions.length) refuse('txHashes', `${transactions.length} hashes`, txHashes)
    await this.removeAhead()
    this.#mayBeAhead = true
    await writeAhead(this.#db, block)
    const batch = this.#db.batch()
    await inTurns(putBlock(batch, block, hash, txHashes))
    for (const [key, value] of changeEntries(block, change)) batch.put(key, value)
    for (const [key, value] of (change?.checkpoint?.pages ?? []).map(pageEntry)) batch.put(key, value)
    this.#beside.remove(batch, hash, header.tx_count)
    const nodes = appendedNodes(size, historyLeaf(hash), ({ level }) => readPeak(peaks, level))
    for (const node of nodes) batch.put(nodeKey(node), node.hash)
    try {
      await batch.write()
    } catch (error) {
      this.#tip = undefined
      throw error
    }
    this.#mayBeAhead = false
    const grown = new Map(peaks)
    for (const { level, hash: root } of nodes) {
      grown.delete(level - 1)
      grown.set(level, root)
    }
    this.#tip = Promise.resolve({ size: size + 1, peaks: grown })
  }

  /** Of a block that did not come onto the chain. Not where something is read: while a disk is full, all that is there is read. */
  async removeAhead(): Promise<void> {
    if (!this.#mayBeAhead) return
    await removeAhead(this.#db, (await this.tip()).size)
    this.#mayBeAhead = false
  }

  async headers(from: number, count: number): Promise<readonly StoredHeader[]> {
    if (count <= 0) return []
    const range = { gte: heightKey('header', from), lte: keyOf('header', '~'), limit: count }
    const texts = await this.#db.values(range).all()
    return texts.map((text, offset) => decodeHeader(text, from + offset))
  }

  /** Below the tip only, as all that is kept of the registry: what is above it was cut off and will be appended again. */
  async registryHeights(from = 0, limit?: number): Promise<readonly number[]> {
    const { size: below } = await this.tip()
    return await heightsIn(this.#db, 'registryHeight', { from, below, ...(limit !== undefined && { limit }) })
  }

  async lastRegistryHeight(below: number): Promise<number | undefined> {
    const range = { from: 0, below: await this.#withinTip(below), limit: 1, reverse: true }
    return (await heightsIn(this.#db, 'registryHeight', range))[0]
  }

  async guardedHeights(from: number, below: number): Promise<readonly number[]> {
    return await heightsIn(this.#db, 'guardedHeight', { from, below: await this.#withinTip(below) })
  }

  async registrations(keys: readonly Hex[]): Promise<readonly (Registration | undefined)[]> {
    return await registrationsIn(this.#db, keys, (await this.tip()).size)
  }

  async registryCheckpoint(below: number): Promise<RegistryCheckpoint | undefined> {
    return await checkpointIn(this.#db, await this.#withinTip(below))
  }

  async #withinTip(below: number): Promise<number> {
    return Math.min(below, (await this.tip()).size)
  }

  async heightOf(blockHash: Hash): Promise<number | undefined> {
    return (await this.heightsOf([blockHash]))[0]
  }

  async heightsOf(blockHashes: readonly Hash[]): Promise<readonly (number | undefined)[]> {
    const texts = await readMany(
      this.#db,
      blockHashes.map((hash) => keyOf('heightByHash', hash)),
    )
    return texts.map((text, at) => decodeHeight(`level height of ${blockHashes[at] ?? ''}`, text))
  }

  async block(height: number): Promise<ShownBlock | undefined> {
    return await this.#read(height, async ({ header, signature }) => {
      return { header, signature, transactions: await this.#bodies.all(header) }
    })
  }

  /**
   * Reads something of the block of a height; `undefined` above the tip. It takes several reads, and meanwhile another block may
   * have come in the place of this one: then it is read anew.
   */
  async #read<T>(height: number, read: (stored: StoredHeader) => Promise<T>): Promise<T | undefined> {
    for (;;) {
      const stored = await this.#header(height)
      if (stored === undefined) return undefined
      const [outcome] = await Promise.allSettled([read(stored)])
      const now = await this.#header(height)
      if (now?.hash !== stored.hash) continue
      if (outcome.status === 'fulfilled') return outcome.value
      throw outcome.reason
    }
  }

  async #header(height: number): Promise<StoredHeader | undefined> {
    const text = await readText(this.#db, heightKey('header', height))
    return text === undefined ? undefined : decodeHeader(text, height)
  }

  async blocks(from: number, count: number): Promise<readonly ShownBlock[]> {
    const blocks: ShownBlock[] = []
    for (const { header, signature } of await this.headers(from, count)) {
      blocks.push({ header, signature, transactions: await this.#bodies.all(header) })
    }
    return blocks
  }

  async transactions(of: number | Hash, from: number, count: number): Promise<readonly ShownTransaction[]> {
    if (typeof of === 'string') return await this.#beside.part(of, from, count)
    return (await this.#read(of, ({ header }) => this.#bodies.part(header, from, count))) ?? []
  }

  async locate(by: { readonly tx_id: string } | { readonly tx_hash: Hash }): Promise<TransactionLocation | undefined> {
    const key = 'tx_id' in by ? keyOf('placeById', by.tx_id) : keyOf('placeByHash', by.tx_hash)
    return decodePlace(key, await readText(this.#db, key))
  }

  async places(
    space: 'placeById' | 'placeByHash',
    ids: readonly string[],
  ): Promise<readonly (TransactionLocation | undefined)[]> {
    const keys = ids.map((id) => keyOf(space, id))
    const texts = await readMany(this.#db, keys)
    return await inTurns(mapInPieces(keys, (key, at) => decodePlace(key, texts[at])))
  }

  async heightsOfIds(ids: readonly string[]): Promise<readonly (number | undefined)[]> {
    const places = await this.places('placeById', ids)
    const redacted = await readMany(
      this.#db,
      ids.map((id) => keyOf('redactedId', id)),
    )
    return ids.map((id, at) => decodeHeight(`level height of the redacted ${id}`, redacted[at]) ?? places[at]?.height)
  }

  async heightOfTick(tickId: string): Promise<number | undefined> {
    return (await this.heightsOfTicks([tickId]))[0]
  }

  async heightsOfTicks(tickIds: readonly string[]): Promise<readonly (number | undefined)[]> {
    const texts = await this.#db.getMany(tickIds.map((id) => keyOf('heightByTick', id)))
    return texts.map((text, at) => decodeHeight(`level height of tick ${tickIds[at] ?? ''}`, text))
  }

  /** See `BodyRedaction.tickAt`. */
  async tickAt(height: number): Promise<string | undefined> {
    for await (const [key, text] of this.#db.iterator({
      gte: keyOf('heightByTick'),
      lte: keyOf('heightByTick', '~'),
    })) {
      if (text === String(height)) return key.slice(keyOf('heightByTick').length)
    }
    return undefined
  }

  /** The blocks come out from the top down in one batch: the size is where the keys end, so there is no half of it. */
  async rewind(size: number): Promise<void> {
    const tip = await this.tip()
    if (size > tip.size) throw ledgerError('out_of_range', { what: 'size', value: size, limit: tip.size })
    const batch = this.#db.batch()
    for (let height = size; height < tip.size; height++) {
      const block = await this.block(height)
      if (block === undefined) throw corrupt(`level height ${height}`, 'a block', 'nothing')
      const hash = hashHeader(block.header)
      await inTurns(this.#beside.putInto(batch, block, hash))
      await inTurns(deleteBlock(batch, block, hash))
    }
    // Nodes of the history tree above the new size stay: they are written anew before they are read.
    try {
      await batch.write()
    } finally {
      // Only now: who asks before the write is done would be told of the old tip, and that would be remembered.
      this.#tip = undefined
      this.#bodies.forgetHot()
    }
  }

  /** Below the tip only, as for registryHeights. */
  async correctionsOf(tradeId: string): Promise<readonly TransactionLocation[]> {
    const { size } = await this.tip()
    const range = { gte: correctionKey(tradeId, 0, 0), lt: correctionKey(tradeId, size, 0) }
    return (await this.#db.keys(range).all()).map(decodeCorrectionKey)
  }

  async historyNodes(subtrees: readonly Subtree[]): Promise<readonly Hash[]> {
    const { size } = await this.tip()
    for (const { level, index } of subtrees) {
      const end = (index + 1) * 2 ** level
      if (!(level >= 0 && index >= 0 && end <= size)) {
        throw ledgerError('out_of_range', { what: 'history leaf', value: end - 1, limit: size })
      }
    }
    return await this.#readNodes(subtrees)
  }

  async #readNodes(subtrees: readonly Subtree[]): Promise<readonly Hash[]> {
    const hashes = await this.#db.getMany(subtrees.map(nodeKey))
    return subtrees.map(({ level, index }, at) =>
      decodeValue(`level history node ${level}/${index}`, hashes[at], hash32),
    )
  }
}

function readPeak(peaks: ReadonlyMap<number, Hash>, level: number): Hash {
  const hash = peaks.get(level)
  if (hash === undefined) throw corrupt(`level history peak ${level}`, 'a complete subtree', 'nothing')
  return hash
}
