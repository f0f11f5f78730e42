import { MemoryLevel } from 'memory-level'
import type { TextLevel } from '../../src/storage/level/level.ts'
import type { Loop } from './loop.ts'
import type { Random } from './random.ts'

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

/** What `abstract-level` asks of a database, which its types do not say. */
interface Driver {
  _put(key: string, value: string, options: WriteOptions): Promise<void>
  _del(key: string, options: WriteOptions): Promise<void>
  _batch(operations: readonly Operation[], options: WriteOptions): Promise<void>
  _get(key: string, options: object): Promise<string | undefined>
  _getMany(keys: readonly string[], options: object): Promise<(string | undefined)[]>
}
interface WriteOptions {
  readonly sync?: boolean
}
const Base = MemoryLevel as unknown as new (options: { storeEncoding: 'utf8' }) => MemoryLevel & Driver

/** Takes its time, and tells what it has written. Writes are done one after the other, as in LevelDB. */
class SlowLevel extends Base {
  onWrite: (operations: readonly Operation[], isSynced: boolean) => void = () => undefined
  /** Resolves when the disk has turned, or at once; never once the node is gone. */
  wait: (chance: number) => Promise<void> | undefined = () => undefined
  #writing: Promise<void> | undefined

  override _put(key: string, value: string, options: WriteOptions): Promise<void> {
    return this.#write([{ type: 'put', key, value }], options)
  }

  override _del(key: string, options: WriteOptions): Promise<void> {
    return this.#write([{ type: 'del', key }], options)
  }

  override _batch(operations: readonly Operation[], options: WriteOptions): Promise<void> {
    return this.#write(operations, options)
  }

  override async _get(key: string, options: object): Promise<string | undefined> {
    await this.wait(READS_THAT_WAIT)
    return await super._get(key, options)
  }

  override async _getMany(keys: readonly string[], options: object): Promise<(string | undefined)[]> {
    await this.wait(READS_THAT_WAIT)
    return await super._getMany(keys, options)
  }

  async #write(operations: readonly Operation[], options: WriteOptions): Promise<void> {
    const before = this.#writing
    const written = this.#writeAfter(before, operations, options)
    this.#writing = written
    await written
    if (this.#writing === written) this.#writing = undefined
  }

  /** A crash may come before the write, or after it and before who asked for it hears so. */
  async #writeAfter(
    before: Promise<void> | undefined,
    operations: readonly Operation[],
    options: WriteOptions,
  ): Promise<void> {
    if (before !== undefined) await before
    await this.wait(WRITES_THAT_WAIT)
    await super._batch(operations, options)
    this.onWrite(operations, options.sync === true)
    await this.wait(WRITES_THAT_WAIT)
  }
}

const WRITES_THAT_WAIT = 0.1
const READS_THAT_WAIT = 0.01
const SLOWEST_MS = 30

/**
 * The disk of one node: what LevelDB has on it, which outlives the node. A write without `sync` is lost in a power cut, if no
 * write with `sync` came after it: LevelDB has one log.
 */
export interface Disk {
  /** All keys and values as of now. */
  readonly entries: ReadonlyMap<string, string>
  /** Grows with each write. */
  readonly version: number
  /** A database over this disk; the one before writes to it no more. */
  open(): Promise<TextLevel>
  /** The node's process is gone; in a power cut the last writes that were not synced may be gone too. */
  crash(isPowerCut: boolean): void
  /** Everything of another disk, or of an older copy, instead of what is here. */
  copyFrom(other: Pick<Disk, 'entries'>): void
}

export function createDisk(loop: Loop, random: Random): Disk {
  let entries = new Map<string, string>()
  let version = 0
  let current: SlowLevel | undefined
  /** How to undo each write since the last synced one, the newest last. */
  let undo: ReadonlyMap<string, string | undefined>[] = []

  function record(operations: readonly Operation[], isSynced: boolean): void {
    const before = new Map<string, string | undefined>()
    for (const operation of operations) {
      if (!before.has(operation.key)) before.set(operation.key, entries.get(operation.key))
      if (operation.type === 'put') entries.set(operation.key, operation.value)
      else entries.delete(operation.key)
    }
    undo = isSynced ? [] : [...undo, before]
    version += 1
  }

  function undoLast(): void {
    for (const [key, value] of undo.pop() ?? []) {
      if (value === undefined) entries.delete(key)
      else entries.set(key, value)
    }
    version += 1
  }

  return {
    get entries() {
      return entries
    },
    get version() {
      return version
    },
    async open() {
      const level = new SlowLevel({ storeEncoding: 'utf8' })
      await level.open()
      const operations = [...entries].map(([key, value]) => ({ type: 'put', key, value }) as const)
      await level._batch(operations, {})
      level.onWrite = (written, isSynced) => {
        if (level === current) record(written, isSynced)
      }
      level.wait = (chance) => {
        if (level === current && !random.chance(chance)) return undefined
        return new Promise((resolve) => {
          loop.schedule(random.between(1, SLOWEST_MS), () => {
            if (level === current) resolve()
          })
        })
      }
      current = level
      undo = []
      return level as unknown as TextLevel
    },
    crash(isPowerCut) {
      current = undefined
      for (let lost = isPowerCut ? random.between(0, undo.length) : 0; lost > 0; lost--) undoLast()
      undo = []
    },
    copyFrom(other) {
      current = undefined
      entries = new Map(other.entries)
      undo = []
      version += 1
    },
  }
}
