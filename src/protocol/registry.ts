import type { Hash } from './bytes.ts'
import { canonicalBytes } from './canonical-json.ts'
import { finalityShape, roleShape, type Finality, type Genesis, type Role } from './genesis.ts'
import { hashLeaf, MemoryTree, verifyInclusion, type InclusionProof } from './history.ts'
import { blockHeight, identifier, integer, nullable, object, oneOf, publicKeyHex, type TypeOf } from './shape.ts'
import type { Verdict } from './errors.ts'

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

/** Who may seal and vote, and by which policy, after some height. Immutable. */
export class Registry {
  readonly policy: RegistryPolicy
  readonly entries: readonly RegistryEntry[]
  readonly #byId: ReadonlyMap<string, RegistryEntry>
  #tree: MemoryTree | undefined

  private constructor(policy: RegistryPolicy, entries: readonly RegistryEntry[]) {
    this.policy = policy
    this.entries = entries
    this.#byId = new Map(entries.map((entry) => [entry.id, entry]))
  }

  /** The registry before the first block. */
  static fromGenesis(genesis: Genesis): Registry {
    const entries = genesis.registry.map(({ id, role, public_key, recovery_key }, slot): RegistryEntry => ({
      slot,
      id,
      role,
      public_key,
      recovery_key,
      status: 'active',
      since_height: 0,
    }))
    return new Registry({ finality: genesis.finality, since_height: 0 }, entries)
  }

  get finality(): Finality {
    return this.policy.finality
  }

  get root(): Hash {
    return this.#merkleTree().root()
  }

  entry(id: string): RegistryEntry | undefined {
    return this.#byId.get(id)
  }

  /** The entry of `id` if it is active, and has `role` where one is given. */
  active(id: string, role?: Role): RegistryEntry | undefined {
    const entry = this.#byId.get(id)
    return entry?.status === 'active' && (role === undefined || entry.role === role) ? entry : undefined
  }

  /** Active entries of a role, in slot order. */
  activeOf(role: Role): readonly RegistryEntry[] {
    return this.entries.filter((entry) => entry.status === 'active' && entry.role === role)
  }

  /** Proof that `entry` is a leaf under `root`. */
  proof(entry: RegistryEntry): InclusionProof {
    return this.#merkleTree().inclusion(entry.slot + 1)
  }

  #merkleTree(): MemoryTree {
    this.#tree ??= new MemoryTree([registryLeaf(this.policy), ...this.entries.map(registryLeaf)])
    return this.#tree
  }
}

/** Leaf hash of an entry or of the policy. */
export const registryLeaf = (leaf: RegistryEntry | RegistryPolicy): Hash => hashLeaf(canonicalBytes(leaf))

/** Checks that `entry` is in the registry with this root, at the leaf of its slot. */
export function verifyRegistryEntry(
  entry: RegistryEntry,
  proof: InclusionProof,
  registryRoot: Hash,
): Verdict<'bad_inclusion_proof' | 'wrong_slot'> {
  if (proof.leaf_index !== entry.slot + 1) {
    return {
      ok: false,
      code: 'wrong_slot',
      reason: `slot ${entry.slot} is leaf ${entry.slot + 1}, not ${proof.leaf_index}`,
    }
  }
  return verifyInclusion(registryLeaf(entry), proof, registryRoot)
}
