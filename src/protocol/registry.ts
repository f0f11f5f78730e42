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
import { isSignedBy, refuseRegistry, type RegistryTransaction } from './registry-transaction.ts'
import { RegistryTree } from './registry-tree.ts'
import { cachedPublicKey } from './signature.ts'
import { blockHeight, identifier, integer, nullable, object, oneOf, publicKeyHex, type TypeOf } from './shape.ts'

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

/** What every version of a registry shares: slots are given once, and a key is registered once, ever. */
interface Shared {
  readonly slots: ReadonlyMap<string, number>
  readonly usedKeys: ReadonlySet<Hex>
}

type Counts = Readonly<Record<Role, number>>

/** Who may seal and vote, and by which policy, after some height. Immutable: a change gives a new registry. */
export class Registry {
  readonly policy: RegistryPolicy
  readonly #tree: RegistryTree<RegistryEntry | null>
  readonly #shared: Shared
  /** Active entries by role. */
  readonly #active: Counts

  private constructor(
    policy: RegistryPolicy,
    tree: RegistryTree<RegistryEntry | null>,
    shared: Shared,
    active: Counts,
  ) {
    this.policy = policy
    this.#tree = tree
    this.#shared = shared
    this.#active = active
  }

  /** The registry before the first block. */
  static fromGenesis(genesis: Genesis): Registry {
    const policy: RegistryPolicy = { finality: genesis.finality, since_height: 0 }
    const tree = RegistryTree.empty<RegistryEntry | null>().with(0, null, registryLeaf(policy))
    let registry = new Registry(
      policy,
      tree,
      { slots: new Map(), usedKeys: new Set() },
      { authority: 0, validator: 0, voter: 0 },
    )
    for (const entry of genesis.registry) registry = registry.#enrolled(entry, 0)
    return registry
  }

  get finality(): Finality {
    return this.policy.finality
  }

  get root(): Hash {
    return this.#tree.root
  }

  /** All entries, in slot order. */
  get entries(): readonly RegistryEntry[] {
    return [...this.#tree].filter((leaf) => leaf !== null)
  }

  entry(id: string): RegistryEntry | undefined {
    const slot = this.#shared.slots.get(id)
    return slot === undefined ? undefined : (this.#tree.at(slot + 1) ?? undefined)
  }

  /** The entry of `id` if it is active, and has `role` where one is given. */
  active(id: string, role?: Role): RegistryEntry | undefined {
    const entry = this.entry(id)
    return entry?.status === 'active' && (role === undefined || entry.role === role) ? entry : undefined
  }

  /** Active entries of a role, in slot order. */
  activeOf(role: Role): readonly RegistryEntry[] {
    return this.entries.filter((entry) => entry.status === 'active' && entry.role === role)
  }

  activeCount(role: Role): number {
    return this.#active[role]
  }

  /** Proof that `entry` is a leaf under `root`. */
  proof(entry: RegistryEntry): InclusionProof {
    return this.#tree.inclusion(entry.slot + 1)
  }

  /** Proof of the policy, leaf 0. */
  policyProof(): InclusionProof {
    return this.#tree.inclusion(0)
  }

  /**
   * The registry after a block of `height` with these transactions, in order. Throws `registry_refused` for one that
   * this registry does not allow (docs/protocol.md 6), `bad_public_key` for a key outside the signature rule.
   */
  after(transactions: readonly RegistryTransaction[], chainId: Hash, height: number): Registry {
    const registry = transactions.reduce<Registry>((before, tx) => before.#applied(tx, chainId, height), this)
    const problem = finalityProblem(registry.finality, registry.activeCount('validator'))
    const last = transactions.at(-1)
    if (last === undefined) return registry
    if (problem !== undefined) refuseRegistry(last, problem)
    if (registry.activeCount('authority') === 0) refuseRegistry(last, 'no active authority would be left')
    if (changesGuard(transactions, this)) this.#checkConfirmable(last)
    return registry
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

  #applied(tx: RegistryTransaction, chainId: Hash, height: number): Registry {
    if (tx.action === 'policy') return this.#withPolicy(tx, chainId, height)
    if (tx.action === 'enrol') return this.#withEnrolment(tx, chainId, height)
    const entry = this.entry(tx.subject_id)
    if (entry === undefined) return refuseRegistry(tx, `${tx.subject_id} is not registered`)
    switch (tx.action) {
      case 'rotate':
        if (entry.status !== 'active') refuseRegistry(tx, `${entry.id} is revoked: its recovery key can recover it`)
        if (!isSignedBy(tx, chainId, entry.public_key))
          refuseRegistry(tx, `not signed by the present key of ${entry.id}`)
        return this.#withKey(tx, entry, height)
      case 'recover':
        if (entry.recovery_key === null) return refuseRegistry(tx, `${entry.id} has no recovery key`)
        if (!isSignedBy(tx, chainId, entry.recovery_key))
          refuseRegistry(tx, `not signed by the recovery key of ${entry.id}`)
        return this.#withKey(tx, entry, height)
      case 'revoke':
        if (entry.status === 'revoked') refuseRegistry(tx, `${entry.id} is revoked already`)
        if (!isSignedBy(tx, chainId, entry.public_key) && !this.#isSignedByAuthority(tx, chainId)) {
          refuseRegistry(tx, `signed neither by ${entry.id} nor by an active authority`)
        }
        return this.#replaced(entry, { ...entry, status: 'revoked', since_height: height }, [])
    }
  }

  #withPolicy(tx: PolicyTransaction, chainId: Hash, height: number): Registry {
    const signer = this.active(tx.subject_id, 'authority')
    if (signer === undefined) return refuseRegistry(tx, `${tx.subject_id} is no active authority`)
    if (!isSignedBy(tx, chainId, signer.public_key)) refuseRegistry(tx, `not signed by ${signer.id}`)
    const policy: RegistryPolicy = { finality: tx.finality, since_height: height }
    return new Registry(policy, this.#tree.with(0, null, registryLeaf(policy)), this.#shared, this.#active)
  }

  #withEnrolment(tx: EnrolTransaction, chainId: Hash, height: number): Registry {
    if (this.entry(tx.subject_id) !== undefined) refuseRegistry(tx, `${tx.subject_id} is registered already`)
    this.#refuseUsed(tx, [tx.public_key, tx.recovery_key ?? null])
    if (!isSignedBy(tx, chainId, tx.public_key)) refuseRegistry(tx, 'not signed by the key that it enrols')
    const { subject_id: id, role, public_key, recovery_key = null } = tx
    return this.#enrolled({ id, role, public_key, recovery_key }, height)
  }

  #withKey(tx: KeyTransaction, entry: RegistryEntry, height: number): Registry {
    // Left out, the recovery key stays; named again, it is no new key.
    const recovery_key = tx.recovery_key === undefined ? entry.recovery_key : tx.recovery_key
    const fresh = [tx.public_key, recovery_key === entry.recovery_key ? null : recovery_key]
    this.#refuseUsed(tx, fresh)
    const changed: RegistryEntry = {
      ...entry,
      public_key: tx.public_key,
      recovery_key,
      status: 'active',
      since_height: height,
    }
    return this.#replaced(entry, changed, fresh)
  }

  #refuseUsed(tx: RegistryTransaction, keys: readonly (Hex | null)[]): void {
    const [first, second] = keys
    if (first !== null && first === second) refuseRegistry(tx, 'the recovery key is the key itself')
    for (const key of keys) {
      if (key === null) continue
      cachedPublicKey(key)
      if (this.#shared.usedKeys.has(key)) refuseRegistry(tx, `the key ${key} was registered before`)
    }
  }

  #isSignedByAuthority(tx: RegistryTransaction, chainId: Hash): boolean {
    return this.activeOf('authority').some((authority) => isSignedBy(tx, chainId, authority.public_key))
  }

  #enrolled(genesisEntry: GenesisEntry, height: number): Registry {
    const { id, role, public_key, recovery_key } = genesisEntry
    const slot = this.#tree.size - 1
    const entry: RegistryEntry = { slot, id, role, public_key, recovery_key, status: 'active', since_height: height }
    const shared = { ...this.#used([public_key, recovery_key]), slots: new Map(this.#shared.slots).set(id, slot) }
    return new Registry(
      this.policy,
      this.#tree.with(slot + 1, entry, registryLeaf(entry)),
      shared,
      this.#counted(role, 1),
    )
  }

  #replaced(before: RegistryEntry, after: RegistryEntry, keys: readonly (Hex | null)[]): Registry {
    const change = Number(after.status === 'active') - Number(before.status === 'active')
    const tree = this.#tree.with(after.slot + 1, after, registryLeaf(after))
    return new Registry(this.policy, tree, this.#used(keys), this.#counted(after.role, change))
  }

  #used(keys: readonly (Hex | null)[]): Shared {
    return {
      slots: this.#shared.slots,
      usedKeys: new Set([...this.#shared.usedKeys, ...keys.filter((key) => key !== null)]),
    }
  }

  #counted(role: Role, change: number): Counts {
    return { ...this.#active, [role]: this.#active[role] + change }
  }
}

type PolicyTransaction = Extract<RegistryTransaction, { action: 'policy' }>
type EnrolTransaction = Extract<RegistryTransaction, { action: 'enrol' }>
type KeyTransaction = Extract<RegistryTransaction, { action: 'rotate' | 'recover' }>

/** Leaf hash of an entry or of the policy. */
export const registryLeaf = (leaf: RegistryEntry | RegistryPolicy): Hash => hashLeaf(canonicalBytes(leaf))

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
