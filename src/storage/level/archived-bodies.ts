import type { ArchivedFile } from '../../ports/retention.ts'
import { hashHeader } from '../../protocol/header.ts'
import { inTurns } from '../../ports/turns.ts'
import { merkleRootInPieces } from '../../protocol/merkle.ts'
import { mapInPieces } from '../../protocol/pieces.ts'
import { leafOf } from '../../protocol/transaction.ts'
import type { ArchiveFiles, HeightRange } from '../archive/archive-files.ts'
import { corrupt } from '../decode.ts'
import { serialTasks } from '../serial.ts'
import { decodeBodyInPieces, decodeHeader, decodeHeightKey, decodeInteger } from './block-values.ts'
import { joinPages, pageRange } from './body-pages.ts'
import { heightKey, keyOf } from './keyspaces.ts'
import { readText, type TextLevel } from './level.ts'

/** When a file is full. */
export interface ArchiveLimits {
  readonly maxBlocks: number
  /** Characters of its bodies, before they are compressed; a single larger body is a file of its own. */
  readonly maxText: number
}

/** Where the bodies of old blocks go. */
export interface ArchivePlace {
  readonly files: ArchiveFiles
  readonly limits?: ArchiveLimits
}

/** A file of about a megabyte, which is read in some 20 ms: whoever asks for one old trade reads one file. */
const ARCHIVE_LIMITS: ArchiveLimits = { maxBlocks: 1_000, maxText: 4 * 1024 * 1024 }

/** Files kept in memory as they were read: neighbours are asked for together. */
const CACHED_FILES = 2

/**
 * The bodies that were moved out of a chain store into files. Which these are is said in LevelDB, in the batch that takes the
 * bodies out of it: a file that is not said there is a leftover, and its bodies are still in LevelDB. Blocks with registry
 * transactions stay: each start reads them, and must not depend on an old file.
 */
export class ArchivedBodies {
  readonly #db: TextLevel
  readonly #files: ArchiveFiles
  readonly #limits: ArchiveLimits
  readonly #inTurn = serialTasks()
  readonly #cache = new Map<number, Promise<readonly (string | null)[]>>()
  /** Ascending and without gaps, from height 0 on. */
  #ranges: HeightRange[]
  /** How far the bodies of the next file have been measured. */
  #next = { blocks: 0, text: 0 }

  private constructor(db: TextLevel, files: ArchiveFiles, limits: ArchiveLimits, ranges: HeightRange[]) {
    this.#db = db
    this.#files = files
    this.#limits = limits
    this.#ranges = ranges
  }

  /** Throws `corrupt` if the ranges in LevelDB leave a gap. */
  static async open(db: TextLevel, { files, limits = ARCHIVE_LIMITS }: ArchivePlace): Promise<ArchivedBodies> {
    const archived = new ArchivedBodies(db, files, limits, await readRanges(db))
    await archived.#removeLeftovers()
    return archived
  }

  get size(): number {
    return this.#ranges.at(-1)?.to ?? 0
  }

  /** The body of a height, JSON text; `undefined` if it was not moved. Throws `corrupt` naming the file. */
  async body(height: number): Promise<string | undefined> {
    const range = this.#rangeOf(height)
    return range && ((await this.#cached(range))[height - range.from] ?? undefined)
  }

  archive(end: number): Promise<ArchivedFile | undefined> {
    return this.#inTurn(() => this.#archive(end))
  }

  /** Runs a task while no body moves. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    return this.#inTurn(task)
  }

  /** Writes the file of a height anew with another body of it, of the same root; within `alone`. Throws as `archive`. */
  async replace(height: number, body: string): Promise<void> {
    const range = this.#rangeOf(height)
    if (range === undefined) throw corrupt('level archived', `a file with block ${height}`, 'nothing')
    const bodies = [...(await this.#files.read(range))]
    bodies[height - range.from] = body
    await this.#files.write(range, bodies)
    this.#cache.delete(range.from)
    await this.#verify(range, bodies)
  }

  /** Removes files with a body of this height that LevelDB does not speak of. */
  async removeStrays(height: number): Promise<void> {
    const own = this.#rangeOf(height)
    for (const range of await this.#files.ranges()) {
      if (range.from > height || range.to <= height) continue
      if (own === undefined || this.#files.nameOf(own) !== this.#files.nameOf(range)) await this.#files.remove(range)
    }
  }

  #rangeOf(height: number): HeightRange | undefined {
    return this.#ranges.find(({ from, to }) => from <= height && height < to)
  }

  async #archive(end: number): Promise<ArchivedFile | undefined> {
    const from = this.size
    if (!(await this.#isFull(from, end))) return undefined
    const range = { from, to: from + this.#next.blocks }
    const bodies: (string | null)[] = []
    for (let height = from; height < range.to; height++) bodies.push(await this.#movable(height))
    const bytes = await this.#files.write(range, bodies)
    await this.#verify(range, bodies)
    const batch = this.#db.batch()
    batch.put(heightKey('archived', from), String(range.to))
    for (const [index, body] of bodies.entries()) {
      if (body === null) continue
      for (const key of await this.#db.keys(pageRange(heightKey('body', from + index))).all()) batch.del(key)
    }
    // Before the bodies leave LevelDB: who misses one there must be told of the file at once.
    this.#ranges.push(range)
    try {
      await batch.write()
    } catch (error) {
      this.#ranges.pop()
      throw error
    }
    this.#next = { blocks: 0, text: 0 }
    return { ...range, file: this.#files.nameOf(range), bytes }
  }

  /** Goes on measuring where the last call ended. */
  async #isFull(from: number, end: number): Promise<boolean> {
    const { maxBlocks, maxText } = this.#limits
    for (;;) {
      const { blocks, text } = this.#next
      if (blocks >= maxBlocks || text >= maxText) return true
      if (from + blocks >= end) return false
      const body = await this.#movable(from + blocks)
      this.#next = { blocks: blocks + 1, text: text + (body?.length ?? 0) }
    }
  }

  /** The body of a height that is in LevelDB; null if it stays there. */
  async #movable(height: number): Promise<string | null> {
    const registry = await readText(this.#db, heightKey('registryHeight', height))
    if (registry !== undefined) return null
    const pages = await this.#db.values(pageRange(heightKey('body', height))).all()
    if (pages.length > 0) return joinPages(pages)
    throw corrupt(`level body of height ${height}`, 'the transactions of the block', 'nothing')
  }

  /** Holds what the disk gives back against the headers. Throws `corrupt`. */
  async #verify(range: HeightRange, bodies: readonly (string | null)[]): Promise<void> {
    const stored = await this.#files.read(range)
    for (const [index, text] of bodies.entries()) {
      const height = range.from + index
      const place = `archive ${this.#files.nameOf(range)}, block ${height}`
      if (stored[index] !== text) throw corrupt(place, 'the body that was written', 'another')
      const head = await readText(this.#db, heightKey('header', height))
      if (head === undefined) throw corrupt(`level header of height ${height}`, 'a header', 'nothing')
      const { header, hash } = decodeHeader(head, height)
      if (hashHeader(header) !== hash) throw corrupt(`level header of height ${height}`, hash, hashHeader(header))
      if (text === null) continue
      const transactions = await inTurns(decodeBodyInPieces(place, text))
      const root = await inTurns(merkleRootInPieces(await inTurns(mapInPieces(transactions, leafOf))))
      if (root !== header.merkle_root) throw corrupt(place, `merkle_root ${header.merkle_root}`, root)
    }
  }

  async #cached(range: HeightRange): Promise<readonly (string | null)[]> {
    const cached = this.#cache.get(range.from) ?? this.#files.read(range)
    // Last in, last out.
    this.#cache.delete(range.from)
    this.#cache.set(range.from, cached)
    const [oldest] = this.#cache.keys()
    if (this.#cache.size > CACHED_FILES && oldest !== undefined) this.#cache.delete(oldest)
    try {
      return await cached
    } catch (error) {
      // It may be put back while the node runs.
      if (this.#cache.get(range.from) === cached) this.#cache.delete(range.from)
      throw error
    }
  }

  /** A file that LevelDB does not speak of goes, if all that is in it is in LevelDB: else it may be all that is left of a body. */
  async #removeLeftovers(): Promise<void> {
    const known = new Set(this.#ranges.map((range) => this.#files.nameOf(range)))
    for (const range of await this.#files.ranges()) {
      if (!known.has(this.#files.nameOf(range)) && (await this.#isInLevel(range))) await this.#files.remove(range)
    }
  }

  async #isInLevel({ from, to }: HeightRange): Promise<boolean> {
    const heights = { gte: heightKey('body', from), lt: heightKey('body', to) }
    const archived = Math.max(0, Math.min(to, this.size) - from)
    const bodies = (await this.#db.keys(heights).all()).filter((key) => key.length === heights.gte.length)
    return archived + bodies.length >= to - from
  }
}

async function readRanges(db: TextLevel): Promise<HeightRange[]> {
  const ranges: HeightRange[] = []
  for await (const [key, text] of db.iterator({ gte: keyOf('archived'), lte: keyOf('archived', '~') })) {
    const range = { from: decodeHeightKey(key), to: decodeInteger(`level ${key}`, text) }
    const expected = ranges.at(-1)?.to ?? 0
    if (range.from !== expected)
      throw corrupt('level archived', `a file from block ${expected} on`, `one from block ${range.from} on`)
    ranges.push(range)
  }
  return ranges
}
