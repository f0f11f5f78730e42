import type { Hash, Hex } from './bytes.ts'
import { canonicalText } from './canonical-json.ts'
import { invalid, type Verdict } from './errors.ts'
import { changesGuard, requiredVotes } from './finality.ts'
import {
  chainIdOf,
  finalityProblem,
  finalityShape,
  roleShape,
  type Finality,
  type Genesis,
  type GenesisEntry,
  type Role,
} from './genesis.ts'
import { hashLeaf, verifyInclusion, type InclusionProof } from './history.ts'
import { HashTrie } from './hash-trie.ts'
import { bindingRevoker, checkChange, recoveryKeyAfter } from './registry-rules.ts'
import { refuseRegistry, type RegistryTransaction } from './registry-transaction.ts'
import { NOBODY, RegistryTree, type Tally } from './registry-tree.ts'
import {
  blockHeight,
  identifier,
  integer,
  nullable,
  object,
  oneOf,
  publicKeyHex,
  refuse,
  type TypeOf,
} from './shape.ts'

/** One registered key holder: leaf `slot + 1` of the registry tree (docs/protocol.md 6). */
export const registryEntryShape = object(
  {
    slot: integer(),
    id: identifier,
    role: roleShape,
    public_key: publicKeyHex,
    recovery_key: nullable(publicKeyHex),
    status: oneOf('active', 'revoked'),
    /** Height of the last change; 0 for genesis entries. */
    since_height: blockHeight,
  },
  {
    /** The authority that revoked it, where its recovery takes an authority's signature too; else absent. */
    revoked_by: identifier,
  },
)
export type RegistryEntry = TypeOf<typeof registryEntryShape>

/** Leaf 0 of the registry tree: the finality policy in force. */
export const registryPolicyShape = object({ finality: finalityShape, since_height: blockHeight })
export type RegistryPolicy = TypeOf<typeof registryPolicyShape>

/** A leaf of the registry tree: the policy at index 0, then an entry for each slot. */
export type RegistryLeaf = RegistryEntry | RegistryPolicy

/** Keys by their hex. */
export type KeySet = Pick<ReadonlySet<Hex>, 'has'>

/**
 * Who may seal and vote, and by which policy, after some height. Immutable: a change gives a new registry, which takes
 * O(log n) time and memory beside the one before. It knows the keys of the genesis, not all that were ever registered:
 * those are of the chain, and whoever has that says which of them a block names again.
 */
export class Registry {
  readonly policy: RegistryPolicy
  readonly tree: RegistryTree<RegistryLeaf>
  readonly #places: Places
  readonly #origin: Origin

  private constructor(tree: RegistryTree<RegistryLeaf>, places: Places, origin: Origin) {
    const policy = tree.at(0)
    this.policy = policy === undefined || isEntry(policy) ? refuse('registry leaf 0', 'a policy', policy) : policy
    this.tree = tree
    this.#places = places
    this.#origin = origin
  }

  /** The registry before the first block. */
  static fromGenesis(genesis: Genesis): Registry {
    const policy: RegistryPolicy = { finality: genesis.finality, since_height: 0 }
    const tree = RegistryTree.empty<RegistryLeaf>().with(0, policy, registryLeaf(policy))
    const keys = genesis.registry.flatMap(({ public_key, recovery_key }) => [public_key, recovery_key])
    const nowhere: Places = { byId: HashTrie.empty(), byKey: HashTrie.empty() }
    const origin = { chainId: chainIdOf(genesis), keys: new Set(keys.filter((key) => key !== null)) }
    let registry = new Registry(tree, nowhere, origin)
    for (const entry of genesis.registry) registry = registry.#enrolled(entry, 0)
    return registry
  }

  /** The version of this chain's registry that has this tree: an earlier or a later one, or one of another branch. */
  version(tree: RegistryTree<RegistryLeaf>): Registry {
    let places = this.#places
    for (const leaf of tree.beside(this.tree)) places = placesWith(places, leaf)
    return new Registry(tree, places, this.#origin)
  }

  get finality(): Finality {
    return this.policy.finality
  }

  get root(): Hash {
    return this.tree.root
  }

  /** All entries, in slot order. */
  get entries(): readonly RegistryEntry[] {
    return [...this.tree].filter(isEntry)
  }

  /** Entries from a slot on, at most `limit` of them. Takes O(log n) for each. */
  page(fromSlot: number, limit: number): readonly RegistryEntry[] {
    const length = Math.max(0, Math.min(limit, this.tree.size - 1 - fromSlot))
    return Array.from({ length }, (_, at) => this.tree.at(fromSlot + at + 1)).filter(isEntry)
  }

  entry(id: string): RegistryEntry | undefined {
    const entry = this.#at(this.#places.byId.get(id))
    return entry?.id === id ? entry : undefined
  }

  /** The entry whose key this is now; also one that is revoked. */
  holder(publicKey: Hex): RegistryEntry | undefined {
    const entry = this.#at(this.#places.byKey.get(publicKey))
    return entry?.public_key === publicKey ? entry : undefined
  }

  #at(slot: number | undefined): RegistryEntry | undefined {
    const leaf = slot === undefined ? undefined : this.tree.at(slot + 1)
    return isEntry(leaf) ? leaf : undefined
  }

  /** The entry of `id` if it is active, and has `role` where one is given. */
  active(id: string, role?: Role): RegistryEntry | undefined {
    const entry = this.entry(id)
    return entry?.status === 'active' && (role === undefined || entry.role === role) ? entry : undefined
  }

  /** Active entries of a role, in slot order. */
  activeOf(role: Role): readonly RegistryEntry[] {
    return [...this.tree.holders(role)].filter(isEntry)
  }

  activeCount(role: Role): number {
    return this.tree.tally[role]
  }

  /** Proof that `entry` is a leaf under `root`. */
  proof(entry: RegistryEntry): InclusionProof {
    return this.tree.inclusion(entry.slot + 1)
  }

  /** Proof of the policy, leaf 0. */
  policyProof(): InclusionProof {
    return this.tree.inclusion(0)
  }

  /**
   * The registry after a block of `height` with these transactions, in order. Throws `registry_refused` for one that
   * this registry does not allow (docs/protocol.md 6), `bad_public_key` for a key outside the signature rule.
   *
   * @param earlier which of `keysNamedBy` these transactions an earlier block has registered
   */
  after(transactions: readonly RegistryTransaction[], height: number, earlier: KeySet): Registry {
    const inBlock = new Set<Hex>()
    const { chainId, keys } = this.#origin
    const isUsed = (key: Hex): boolean => keys.has(key) || earlier.has(key) || inBlock.has(key)
    const registry = transactions.reduce<Registry>((before, tx) => {
      checkChange(tx, before, chainId, isUsed)
      for (const key of keysNamedBy([tx])) inBlock.add(key)
      return before.#changed(tx, height)
    }, this)
    const problem = finalityProblem(registry.finality, registry.activeCount('validator'))
    const last = transactions.at(-1)
    if (last === undefined) return registry
    if (problem !== undefined) refuseRegistry(last, problem)
    if (registry.activeCount('authority') === 0) refuseRegistry(last, 'no active authority would be left')
    if (changesGuard(transactions, this)) this.#checkConfirmable(last)
    return registry
  }

  /** The same for a block that is known to be valid: nothing is checked again. */
  afterValid(transactions: readonly RegistryTransaction[], height: number): Registry {
    return transactions.reduce<Registry>((before, tx) => before.#changed(tx, height), this)
  }

  /**
   * What changes who decides takes the quorum in force at it. Where too few users are registered it could never be had,
   * whoever came later, and nothing above would be final any more. (Of validators there are always enough.)
   */
  #checkConfirmable(tx: RegistryTransaction): void {
    const { policy } = this.finality
    const needed = requiredVotes(this.finality)
    const users = this.activeCount('voter')
    if (policy !== 'votes' || users >= needed) return
    const reason = `${needed} users have to confirm it under the policy votes:${needed}, and ${users} are registered`
    refuseRegistry(tx, `${reason}: enrol the others first`)
  }

  /** What a transaction that was checked makes of this registry. */
  #changed(tx: RegistryTransaction, height: number): Registry {
    if (tx.action === 'policy') return this.#with(0, { finality: tx.finality, since_height: height })
    if (tx.action === 'enrol') {
      const { subject_id: id, role, public_key, recovery_key = null } = tx
      return this.#enrolled({ id, role, public_key, recovery_key }, height)
    }
    const entry = this.entry(tx.subject_id)
    if (entry === undefined) return refuseRegistry(tx, `${tx.subject_id} is not registered`)
    const { slot, id, role } = entry
    if (tx.action !== 'revoke') {
      const { public_key } = tx
      const recovery_key = recoveryKeyAfter(tx, entry)
      return this.#with(slot + 1, { slot, id, role, public_key, recovery_key, status: 'active', since_height: height })
    }
    const revoked_by = bindingRevoker(tx, entry, this, this.#origin.chainId)
    const revoked = { ...entry, status: 'revoked', since_height: height } as const
    return this.#with(slot + 1, revoked_by === undefined ? revoked : { ...revoked, revoked_by })
  }

  #enrolled({ id, role, public_key, recovery_key }: GenesisEntry, height: number): Registry {
    const slot = this.tree.size - 1
    return this.#with(slot + 1, { slot, id, role, public_key, recovery_key, status: 'active', since_height: height })
  }

  #with(index: number, leaf: RegistryLeaf): Registry {
    const tree = this.tree.with(index, leaf, registryLeaf(leaf), tallyOf(leaf))
    return new Registry(tree, placesWith(this.#places, leaf, this.tree.at(index)), this.#origin)
  }
}

/** What every version of a registry has: its chain, and the keys of the genesis. */
interface Origin {
  readonly chainId: Hash
  readonly keys: ReadonlySet<Hex>
}

/** Slots by id and by public key. They may name what is in another version alone: the tree decides. */
interface Places {
  readonly byId: HashTrie<number>
  readonly byKey: HashTrie<number>
}

function placesWith({ byId, byKey }: Places, leaf: RegistryLeaf, former?: RegistryLeaf): Places {
  if (!isEntry(leaf)) return { byId, byKey }
  const isGivenUp = isEntry(former) && former.public_key !== leaf.public_key
  const kept = isGivenUp ? byKey.without(former.public_key) : byKey
  return { byId: byId.with(leaf.id, leaf.slot), byKey: kept.with(leaf.public_key, leaf.slot) }
}

const isEntry = (leaf: RegistryLeaf | undefined): leaf is RegistryEntry => leaf !== undefined && 'slot' in leaf

const ONE_ACTIVE: Readonly<Record<Role, Tally>> = {
  authority: { ...NOBODY, authority: 1 },
  validator: { ...NOBODY, validator: 1 },
  voter: { ...NOBODY, voter: 1 },
}

/** What a leaf adds to the active key holders of its tree. */
export const tallyOf = (leaf: RegistryLeaf): Tally =>
  isEntry(leaf) && leaf.status === 'active' ? ONE_ACTIVE[leaf.role] : NOBODY

/** Keys and recovery keys that these transactions name. What is no new key to its entry is among them. */
export function keysNamedBy(transactions: readonly RegistryTransaction[]): readonly Hex[] {
  return transactions.flatMap((tx) => {
    if (!('public_key' in tx)) return []
    return tx.recovery_key === undefined || tx.recovery_key === null
      ? [tx.public_key]
      : [tx.public_key, tx.recovery_key]
  })
}

/** Leaf hash of an entry or of the policy. */
export const registryLeaf = (leaf: RegistryLeaf): Hash => hashLeaf(canonicalText(leaf))

/** Checks that `entry` is in the registry with this root, at the leaf of its slot. */
export function verifyRegistryEntry(
  entry: RegistryEntry,
  proof: InclusionProof,
  registryRoot: Hash,
): Verdict<'bad_inclusion_proof' | 'wrong_slot'> {
  if (proof.leaf_index !== entry.slot + 1) {
    return invalid('wrong_slot', `slot ${entry.slot} is leaf ${entry.slot + 1}, not ${proof.leaf_index}`)
  }
  return verifyInclusion(registryLeaf(entry), proof, registryRoot)
}

/** Checks that `policy` is leaf 0 of the registry with this root. */
export function verifyRegistryPolicy(
  policy: RegistryPolicy,
  proof: InclusionProof,
  registryRoot: Hash,
): Verdict<'bad_inclusion_proof' | 'wrong_slot'> {
  if (proof.leaf_index !== 0) return invalid('wrong_slot', `the policy is leaf 0, not ${proof.leaf_index}`)
  return verifyInclusion(registryLeaf(policy), proof, registryRoot)
}
