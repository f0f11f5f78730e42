import type { ChainStore } from '../ports/chain-store.ts'
import { ledgerError } from '../ports/errors.ts'
import { registryTransactionsOf } from '../protocol/block.ts'
import { changesGuard } from '../protocol/finality.ts'
import type { Registry } from '../protocol/registry.ts'
import { loadTree } from './registry-pages.ts'

/** The registry after a block that changed it. */
export interface RegistryChange {
  /** Of the block; -1 for the registry of the genesis. */
  readonly height: number
  readonly registry: Registry
  /** The block changes the policy, an authority or a validator. */
  readonly guarded: boolean
}

/**
 * Changes between two registries that are stored as a whole. What a late question costs, and a start, is reading one of
 * them and making these changes again: some milliseconds.
 */
export const CHANGES_PER_CHECKPOINT = 256

/** Late questions come in bunches, about a few heights of one proof. */
const MAX_REMEMBERED = 4
const CHANGES_AT_ONCE = 100

/**
 * Registries of the past, from the store: the newest one that is stored as a whole, and the changes since. None is kept
 * but the few that were asked for last.
 */
export class RegistryVersions {
  readonly #store: ChainStore
  readonly #genesis: RegistryChange
  /** Oldest question first. */
  readonly #remembered = new Map<number, RegistryChange>()

  constructor(store: ChainStore, genesis: Registry) {
    this.#store = store
    this.#genesis = { height: -1, registry: genesis, guarded: false }
  }

  /** The chain has another end: what was remembered may be of what it has lost. */
  forget(): void {
    this.#remembered.clear()
  }

  /**
   * The last change below a height. Throws `corrupt`.
   *
   * @param near a registry of the same chain that is in memory: what the two have in common is read no more
   */
  async before(height: number, near: Registry): Promise<RegistryChange> {
    const last = (await this.#store.lastRegistryHeight(height)) ?? -1
    let found = this.#remembered.get(last)
    if (found === undefined) {
      const start = await this.#startFor(last, near)
      found = start
      for await (const change of this.after(start, height)) found = change
      await this.#compare(found)
    }
    this.#remembered.delete(last)
    this.#remembered.set(last, found)
    for (const oldest of this.#remembered.keys())
      if (this.#remembered.size > MAX_REMEMBERED) this.#remembered.delete(oldest)
    return found
  }

  /** The newest registry that is stored as a whole, below a height; that of the genesis if there is none. Throws `corrupt`. */
  async checkpoint(below: number, near: Registry): Promise<RegistryChange> {
    const stored = await this.#store.registryCheckpoint(below)
    if (stored === undefined) return this.#genesis
    const { height, size } = stored
    const root = await this.#rootAfter(height)
    const tree = await loadTree(root, size, near.tree, (hashes) => this.#store.registryPages(hashes))
    return {
      height,
      registry: near.version(tree),
      guarded: (await this.#store.guardedHeights(height, height + 1)).length > 0,
    }
  }

  /** Each change above one, ascending, up to a height. */
  async *after(start: RegistryChange, below: number): AsyncGenerator<RegistryChange> {
    let { registry } = start
    for (let from = start.height + 1; ;) {
      const heights = await this.#store.registryHeights(from, CHANGES_AT_ONCE)
      for (const height of heights) {
        if (height >= below) return
        const block = await this.#store.block(height)
        const changes = registryTransactionsOf(block?.transactions ?? [])
        const guarded = changesGuard(changes, registry)
        registry = registry.afterValid(changes, height)
        yield { height, registry, guarded }
      }
      const last = heights.at(-1)
      if (last === undefined) return
      from = last + 1
    }
  }

  /** The nearest registry at or below a change of which there is one: remembered, or stored as a whole. */
  async #startFor(last: number, near: Registry): Promise<RegistryChange> {
    let best = this.#genesis
    for (const known of this.#remembered.values()) if (known.height <= last && known.height > best.height) best = known
    const stored = await this.#store.registryCheckpoint(last + 1)
    return stored === undefined || stored.height <= best.height ? best : await this.checkpoint(last + 1, near)
  }

  async #rootAfter(height: number) {
    const [stored] = await this.#store.headers(height, 1)
    if (stored !== undefined) return stored.header.registry_root
    throw ledgerError('corrupt', { place: `chain store, height ${height}`, expected: 'a header', found: 'nothing' })
  }

  async #compare({ height, registry }: RegistryChange): Promise<void> {
    const expected = height < 0 ? registry.root : await this.#rootAfter(height)
    if (registry.root === expected) return
    const place = `chain store, changes of the registry up to height ${height}`
    throw ledgerError('corrupt', { place, expected: `registry_root ${expected}`, found: registry.root })
  }
}
