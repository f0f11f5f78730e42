import type { Hash } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { MemoryTree } from '../protocol/history.ts'
import { Registry, registryLeaf, type RegistryEntry } from '../protocol/registry.ts'

/** Key holders by id, after some height. */
export type Members = ReadonlyMap<string, RegistryEntry>

/**
 * Finds out who was registered when. The page starts from the genesis registry; members that enrolled later come as the
 * node's word (with their votes). They are believed once the whole list hashes to the `registry_root` of a sealed header,
 * so a made-up entry never counts.
 */
export interface RegistryBook {
  /** Root of the genesis registry. */
  readonly genesisRoot: Hash
  readonly genesisMembers: Members
  /**
   * The registry with this root after `height`, or `undefined` if what is known does not lead to it.
   *
   * @param told entries that the node named, in any order
   */
  find(root: Hash, height: number, told: readonly RegistryEntry[]): Members | undefined
}

export function createRegistryBook(genesis: Genesis): RegistryBook {
  const registry = Registry.fromGenesis(genesis)
  const genesisEntries = registry.entries
  const policy = registryLeaf(registry.policy)
  const genesisMembers = membersOf(genesisEntries)
  const proven = new Map<Hash, Members>([[registry.root, genesisMembers]])
  /** Lists tried in vain, by root and length: a longer list is worth another try. */
  const failed = new Map<Hash, number>()

  return {
    genesisRoot: registry.root,
    genesisMembers,
    find(root, height, told) {
      const known = proven.get(root)
      if (known !== undefined || failed.get(root) === told.length) return known
      const entries = entriesAt(height, [...genesisEntries, ...told])
      if (new MemoryTree([policy, ...entries.map(registryLeaf)]).root() !== root) {
        failed.set(root, told.length)
        return undefined
      }
      const members = membersOf(entries)
      proven.set(root, members)
      return members
    },
  }
}

const membersOf = (entries: readonly RegistryEntry[]): Members => new Map(entries.map((entry) => [entry.id, entry]))

/** For each slot the newest version that is not younger than `height`, in slot order. */
function entriesAt(height: number, versions: readonly RegistryEntry[]): readonly RegistryEntry[] {
  const bySlot = new Map<number, RegistryEntry>()
  for (const entry of versions) {
    const earlier = bySlot.get(entry.slot)
    if (entry.since_height > height || (earlier !== undefined && earlier.since_height > entry.since_height)) continue
    bySlot.set(entry.slot, entry)
  }
  return [...bySlot.values()].sort((a, b) => a.slot - b.slot)
}
