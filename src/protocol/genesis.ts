import type { Hash } from './bytes.ts'
import { protocolError } from './errors.ts'
import { hashObject } from './hash.ts'
import { MAX_THRESHOLD } from './limits.ts'
import {
  array,
  identifier,
  integer,
  isJsonObject,
  literal,
  nullable,
  object,
  oneOf,
  publicKeyHex,
  refuse,
  text,
  timestampMs,
  type Shape,
  type TypeOf,
} from './shape.ts'
import { cachedPublicKey } from './signature.ts'

/** How a block becomes final (docs/protocol.md 5). */
const authorityFinality = object({ policy: literal('authority') })
const threshold = integer(1, MAX_THRESHOLD)
const votesFinality = object({ policy: literal('votes'), threshold })
const validatorsFinality = object({ policy: literal('validators'), threshold })
export type Finality =
  TypeOf<typeof authorityFinality> | TypeOf<typeof votesFinality> | TypeOf<typeof validatorsFinality>

export const finalityShape: Shape<Finality> = (value, path) => {
  const policy = isJsonObject(value) ? value.policy : undefined
  if (policy === 'authority') return authorityFinality(value, path)
  if (policy === 'votes') return votesFinality(value, path)
  if (policy === 'validators') return validatorsFinality(value, path)
  return refuse(`${path}.policy`, 'one of authority, votes, validators', policy)
}

export const roleShape = oneOf('authority', 'validator', 'voter')
export type Role = TypeOf<typeof roleShape>

/** An entry of the genesis registry; `recovery_key` is null if there is none. */
export const genesisEntryShape = object({
  id: identifier,
  role: roleShape,
  public_key: publicKeyHex,
  recovery_key: nullable(publicKeyHex),
})
export type GenesisEntry = TypeOf<typeof genesisEntryShape>

const printable = (min: number, max: number) =>
  text(new RegExp(`^[\\x20-\\x7e]{${min},${max}}$`), `${min} to ${max} printable ASCII characters`)

/** The name of a chain, for people. */
export const chainName = printable(1, 100)

const genesisShape = object({
  version: literal(1),
  name: chainName,
  /** A schema-less URL: the origin of C2SP checkpoints. */
  origin: text(
    /^[a-z0-9.-]+(:[0-9]{1,5})?(\/[A-Za-z0-9._~/-]*)?$/,
    'a schema-less URL such as ledger.example.org/street',
  ),
  created_at: timestampMs,
  /** ISO 4217 code or the community's own unit. */
  currency: text(/^[A-Za-z0-9]{1,12}$/, 'a currency code such as EUR'),
  /** Decimals of money amounts, 0..6. */
  amount_decimals: integer(0, 6),
  seal: oneOf('authority', 'work'),
  /** Leading zero hex digits of each header hash; 0 with seal "authority". */
  difficulty: integer(0, 64),
  finality: finalityShape,
  registry: array(genesisEntryShape, 1_000),
})
export type Genesis = TypeOf<typeof genesisShape>
/** The shape alone, for what holds a genesis: `decodeGenesis` also checks what a shape cannot. */
export const genesisAsIs: Shape<Genesis> = genesisShape

/**
 * Decodes a genesis and checks that a chain can start from it: an authority, ids and keys used once, keys that obey the
 * signature rule, a threshold that its registry can reach. Throws `malformed`, `bad_public_key` or `bad_genesis`.
 */
export function decodeGenesis(value: unknown): Genesis {
  const genesis = genesisShape(value, 'genesis')
  const fail = (reason: string) => protocolError('bad_genesis', { reason })
  const { registry, finality, seal, difficulty } = genesis
  if ((seal === 'authority') !== (difficulty === 0)) {
    throw fail(`difficulty ${difficulty} does not go with seal "${seal}": it is 0 for authority, at least 1 for work`)
  }
  if (!registry.some((entry) => entry.role === 'authority')) throw fail('no entry has the role authority')
  const ids = new Set<string>()
  const keys = new Set<string>()
  for (const entry of registry) {
    if (ids.has(entry.id)) throw fail(`the id ${entry.id} is there twice`)
    ids.add(entry.id)
    for (const key of [entry.public_key, entry.recovery_key]) {
      if (key === null) continue
      if (keys.has(key)) throw fail(`the key ${key} is there twice`)
      keys.add(key)
      cachedPublicKey(key)
    }
  }
  const reason = finalityProblem(finality, registry.filter((entry) => entry.role === 'validator').length)
  if (reason !== undefined) throw fail(reason)
  return genesis
}

/** Why a policy cannot be in force with `validators` active validators, or `undefined` (2m > n and n >= m). */
export function finalityProblem(finality: Finality, validators: number): string | undefined {
  if (finality.policy !== 'validators') return undefined
  const { threshold } = finality
  if (validators < threshold)
    return `validators:${threshold} needs ${threshold} active validators, there are ${validators}`
  if (2 * threshold <= validators) return `validators:${threshold} of ${validators} is no majority`
  return undefined
}

/** chain_id = sha256(canonical(genesis)): the one value that a light client pins. */
export const chainIdOf = (genesis: Genesis): Hash => hashObject(genesis)
