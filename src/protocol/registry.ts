import type { Hash, Hex } from './bytes.ts'
import { canonicalBytes } from './canonical-json.ts'
import { invalid, type Verdict } from './errors.ts'
import { changesGuard, requiredVotes } from './finality.ts'
import {
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
import { isSignedBy, refuseRegistry, type RegistryTransaction } from './registry-transaction.ts'
import { NOBODY, RegistryTree, type Tally } from './registry-tree.ts'
import { cachedPublicKey } from './signature.ts'
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
export const registryEntryShape = object({
  slot: integer(),
  id: identifier,
  role: roleShape,
  public_key: publicKeyHex,
  recovery_key: nullable(publicKeyHex),
  status: oneOf('active', 'revoked'),
  /** Height of the last change; 0 for genesis entries. */
  since_height: blockHeight,
})
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
  readonly #genesisKeys: ReadonlySet<Hex>

  private constructor(tree: RegistryTree<RegistryLeaf>, places: Places, genesisKeys: ReadonlySet<Hex>) {
    const policy = tree.at(0)
    this.policy = policy === undefined || isEntry(policy) ? refuse('registry leaf 0', 'a policy', policy) : policy
    this.tree = tree
    this.#places = places
    this.#genesisKeys = genesisKeys
  }

  /** The registry before the first block. */
  static fromGenesis(genesis: Genesis): Registry {
    const policy: RegistryPolicy = { finality: genesis.finality, since_height: 0 }
    const tree = RegistryTree.empty<RegistryLeaf>().with(0, policy, registryLeaf(policy))
    const keys = genesis.registry.flatMap(({ public_key, recovery_key }) => [public_key, recovery_key])
    const nowhere: Places = { byId: HashTrie.empty(), byKey: HashTrie.empty() }
    let registry = new Registry(tree, nowhere, new Set(keys.filter((key) => key !== null)))
    for (const entry of genesis.registry) registry = registry.#enrolled(entry, 0)
    return registry
  }

  /** The version of this chain's registry that has this tree: an earlier or a later one, or one of another branch. */
  version(tree: RegistryTree<RegistryLeaf>): Registry {
    let places = this.#places
    for (const leaf of tree.beside(this.tree)) places = placesWith(places, leaf)
    return new Registry(tree, places, this.#genesisKeys)
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
  after(transactions: readonly RegistryTransaction[], chainId: Hash, height: number, earlier: KeySet): Registry {
    const inBlock = new Set<Hex>()
    const isUsed = (key: Hex): boolean => this.#genesisKeys.has(key) || earlier.has(key) || inBlock.has(key)
    const registry = transactions.reduce<Registry>((before, tx) => {
      before.#check(tx, chainId, isUsed)
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

  #check(tx: RegistryTransaction, chainId: Hash, isUsed: (key: Hex) => boolean): void {
    const entry = this.entry(tx.subject_id)
    if (tx.action === 'policy') {
      if (entry?.status !== 'active' || entry.role !== 'authority')
        return refuseRegistry(tx, `${tx.subject_id} is no active authority`)
      if (!isSignedBy(tx, chainId, entry.public_key)) refuseRegistry(tx, `not signed by ${entry.id}`)
      return
    }
    if (tx.action === 'enrol') {
      if (entry !== undefined) refuseRegistry(tx, `${tx.subject_id} is registered already`)
      checkNewKeys(tx, [tx.public_key, tx.recovery_key ?? null], isUsed)
      if (!isSignedBy(tx, chainId, tx.public_key)) refuseRegistry(tx, 'not signed by the key that it enrols')
      return
    }
    if (entry === undefined) return refuseRegistry(tx, `${tx.subject_id} is not registered`)
    switch (tx.action) {
      case 'rotate':
        if (entry.status !== 'active') refuseRegistry(tx, `${entry.id} is revoked: its recovery key can recover it`)
        if (!isSignedBy(tx, chainId, entry.public_key))
          refuseRegistry(tx, `not signed by the present key of ${entry.id}`)
        {
          checkNewKeys(tx, newKeys(tx, entry), isUsed)
          return
        }
      case 'recover':
        if (entry.recovery_key === null) return refuseRegistry(tx, `${entry.id} has no recovery key`)
        if (!isSignedBy(tx, chainId, entry.recovery_key))
          refuseRegistry(tx, `not signed by the recovery key of ${entry.id}`)
        {
          checkNewKeys(tx, newKeys(tx, entry), isUsed)
          return
        }
      case 'revoke':
        if (entry.status === 'revoked') refuseRegistry(tx, `${entry.id} is revoked already`)
        if (!isSignedBy(tx, chainId, entry.public_key) && !this.#isSignedByAuthority(tx, chainId)) {
          refuseRegistry(tx, `signed neither by ${entry.id} nor by an active authority`)
        }
    }
  }

  #isSignedByAuthority(tx: RegistryTransaction, chainId: Hash): boolean {
    return this.activeOf('authority').some((authority) => isSignedBy(tx, chainId, authority.public_key))
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
    const changed: RegistryEntry =
      tx.action === 'revoke'
        ? { ...entry, status: 'revoked', since_height: height }
        : {
            ...entry,
            public_key: tx.public_key,
            recovery_key: recoveryKeyAfter(tx, entry),
            status: 'active',
            since_height: height,
          }
    return this.#with(entry.slot + 1, changed)
  }

  #enrolled({ id, role, public_key, recovery_key }: GenesisEntry, height: number): Registry {
    const slot = this.tree.size - 1
    return this.#with(slot + 1, { slot, id, role, public_key, recovery_key, status: 'active', since_height: height })
  }

  #with(index: number, leaf: RegistryLeaf): Registry {
    const tree = this.tree.with(index, leaf, registryLeaf(leaf), tallyOf(leaf))
    return new Registry(tree, placesWith(this.#places, leaf, this.tree.at(index)), this.#genesisKeys)
  }
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

type KeyTransaction = Extract<RegistryTransaction, { action: 'rotate' | 'recover' }>

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

/** Left out, the recovery key stays. */
const recoveryKeyAfter = (tx: KeyTransaction, entry: RegistryEntry): Hex | null =>
  tx.recovery_key === undefined ? entry.recovery_key : tx.recovery_key

/** Named again, the recovery key is no new key. */
function newKeys(tx: KeyTransaction, entry: RegistryEntry): readonly (Hex | null)[] {
  const recovery = recoveryKeyAfter(tx, entry)
  return [tx.public_key, recovery === entry.recovery_key ? null : recovery]
}

function checkNewKeys(tx: RegistryTransaction, keys: readonly (Hex | null)[], isUsed: (key: Hex) => boolean): void {
  const [first, second] = keys
  if (first !== null && first === second) refuseRegistry(tx, 'the recovery key is the key itself')
  for (const key of keys) {
    if (key === null) continue
    cachedPublicKey(key)
    if (isUsed(key)) refuseRegistry(tx, `the key ${key} was registered before`)
  }
}

/** Leaf hash of an entry or of the policy. */
export const registryLeaf = (leaf: RegistryLeaf): Hash => hashLeaf(canonicalBytes(leaf))

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
