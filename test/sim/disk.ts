import { MemoryLevel } from 'memory-level'
import type { TextLevel } from '../../src/storage/level/level.ts'
import type { Random } from './random.ts'

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string }

/** What `abstract-level` asks of a database, which its types do not say. */
interface Writes {
  _put(key: string, value: string, options: WriteOptions): Promise<void>
  _del(key: string, options: WriteOptions): Promise<void>
  _batch(operations: readonly Operation[], options: WriteOptions): Promise<void>
}
interface WriteOptions {
  readonly sync?: boolean
}
const Base = MemoryLevel as unknown as new (options: { storeEncoding: 'utf8' }) => MemoryLevel & Writes

class WatchedLevel extends Base {
  onWrite: (operations: readonly Operation[], isSynced: boolean) => void = () => undefined

  override async _put(key: string, value: string, options: WriteOptions): Promise<void> {
    await super._put(key, value, options)
    this.onWrite([{ type: 'put', key, value }], options.sync === true)
  }

  override async _del(key: string, options: WriteOptions): Promise<void> {
    await super._del(key, options)
    this.onWrite([{ type: 'del', key }], options.sync === true)
  }

  override async _batch(operations: readonly Operation[], options: WriteOptions): Promise<void> {
    await super._batch(operations, options)
    this.onWrite(operations, options.sync === true)
  }
}

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
  crash(isPowerCut: boolean, random: Random): void
  /** Everything of another disk instead of what is here. */
  copyFrom(other: Disk): void
}

export function createDisk(): Disk {
  let entries = new Map<string, string>()
  let version = 0
  let current: WatchedLevel | undefined
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
      const level = new WatchedLevel({ storeEncoding: 'utf8' })
      await level.open()
      const operations = [...entries].map(([key, value]) => ({ type: 'put', key, value }) as const)
      await level._batch(operations, {})
      level.onWrite = (written, isSynced) => {
        if (level === current) record(written, isSynced)
      }
      current = level
      undo = []
      return level as unknown as TextLevel
    },
    crash(isPowerCut, random) {
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
