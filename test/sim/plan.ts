import type { Finality, Genesis, GenesisEntry, Role } from '../../src/protocol/genesis.ts'
import { decodeGenesis } from '../../src/protocol/genesis.ts'
import { sha256 } from '../../src/protocol/hash.ts'
import { signingKeyFromSecret, type TestKey } from '../helpers/sign-now.ts'
import type { Random } from './random.ts'

/** Who takes part in the run of a seed. */
export interface Plan {
  readonly finality: Finality
  readonly genesis: Genesis
  /** The authority seals two chains with one key. */
  readonly isTwoFaced: boolean
  /** Network ids of those who seal; honest ones are on one database. */
  readonly authorities: readonly string[]
  /** Honest validators, each a node. */
  readonly validators: readonly string[]
  /** Honest households, each a light node with a voter's key. */
  readonly lights: readonly string[]
  /** Honest validators that the genesis does not know: each a node, registered once the community can bear one more. */
  readonly joiners: readonly string[]
  /** Registered ids of the role that counts whose keys are the adversary's; it acks everything with them. */
  readonly byzantine: readonly string[]
  /** How the adversary answers when it is asked. */
  readonly hostility: 'refuse' | 'silent' | 'forge'
}

export const MINER = 'miner'
export const START = Date.UTC(2026, 0, 1)

const keys = new Map<string, TestKey>()
const names = new Map<string, string>()

/** The key that follows from a name: the first of an id from the id itself, a later one from `id number`. */
export function keyOf(name: string): TestKey {
  const key = keys.get(name) ?? signingKeyFromSecret(sha256(`simulation ${name}`))
  keys.set(name, key)
  names.set(key.publicKey, name)
  return key
}

/** The key with this public key; `undefined` if no name leads to it. */
export function keyWith(publicKey: string): TestKey | undefined {
  return keys.get(names.get(publicKey) ?? '')
}

/** The same, if it is one of this id. */
export function keyOfHolder(id: string, publicKey: string): TestKey | undefined {
  const isOwn = names.get(publicKey)?.split(' ')[0] === id
  return isOwn ? keyWith(publicKey) : undefined
}

/** What brings the key of an id back that was lost. */
export const recoveryKeyOf = (id: string): TestKey => keyOf(`${id} recovery`)

/** Voters that count, faulty ones among them, and the threshold: safe by 2m > n + f, and live while all honest ones are. */
const QUORUMS = [
  { n: 4, f: 1, m: 3 },
  { n: 3, f: 0, m: 2 },
  { n: 5, f: 1, m: 4 },
  { n: 4, f: 0, m: 3 },
  { n: 4, f: 1, m: 3 },
  { n: 5, f: 0, m: 3 },
] as const

/** One more honest voter leaves it safe, with the same threshold. */
const hasRoom = ({ n, f, m }: { n: number; f: number; m: number }): boolean => 2 * m > n + 1 + f

const numbered = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`)

/** Policies take turns; all else is chance. */
export function planOf(seed: number, random: Random): Plan {
  const policy = (['validators', 'votes', 'validators', 'authority', 'validators', 'votes'] as const)[seed % 6]
  const isTwoFaced = policy === 'validators' ? random.chance(0.7) : random.chance(0.5)
  const joiners = random.chance(0.3) ? ['j0'] : []
  const isFull = policy === 'validators' && joiners.length > 0
  const { n, f, m } = random.pick(isFull ? QUORUMS.filter(hasRoom) : QUORUMS)
  const validators = numbered('v', policy === 'validators' ? n - f : 2)
  const lights = numbered('l', policy === 'votes' ? n - f : 2)
  const byzantine = policy === 'authority' ? [] : numbered('b', f)
  const finality: Finality =
    policy === 'validators' || policy === 'votes' ? { policy, threshold: m } : { policy: 'authority' }
  const byzantineRole = policy === 'votes' ? 'voter' : 'validator'
  const registry = [
    entryOf(MINER, 'authority'),
    ...validators.map((id) => entryOf(id, 'validator')),
    ...lights.map((id) => entryOf(id, 'voter')),
    ...byzantine.map((id) => entryOf(id, byzantineRole)),
  ]
  return {
    finality,
    genesis: genesisOf(registry, finality),
    isTwoFaced,
    authorities: isTwoFaced ? ['face-0', 'face-1'] : random.chance(0.4) ? ['authority', 'standby'] : ['authority'],
    validators,
    lights,
    joiners,
    byzantine,
    hostility: random.pick(['refuse', 'silent', 'forge']),
  }
}

/** Who never signs two things of one height. */
export const honestVoters = ({ validators, lights, joiners }: Plan): readonly string[] => [
  ...validators,
  ...lights,
  ...joiners,
]

function entryOf(id: string, role: Role): GenesisEntry {
  return { id, role, public_key: keyOf(id).publicKey, recovery_key: recoveryKeyOf(id).publicKey }
}

function genesisOf(registry: readonly GenesisEntry[], finality: Finality): Genesis {
  return decodeGenesis({
    version: 1,
    name: 'Simulated Street',
    origin: 'simulation.example',
    created_at: START,
    currency: 'EUR',
    amount_decimals: 6,
    seal: 'authority',
    difficulty: 0,
    finality,
    registry,
  })
}
