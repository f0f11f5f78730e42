import { currencyProblem } from '../config/currency.ts'
import { configError } from '../config/errors.ts'
import type { ConfiguredKey, GenesisSettings } from '../config/types.ts'
import { readStart } from '../files/read-start.ts'
import { createFileDurably } from '../keys/durable-file.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import { parseJsonFile } from '../ports/json-file.ts'
import type { Hash } from '../protocol/bytes.ts'
import { canonicalText } from '../protocol/canonical-json.ts'
import { isSolarError } from '../protocol/errors.ts'
import { chainIdOf, decodeGenesis, type Genesis, type GenesisEntry, type Role } from '../protocol/genesis.ts'

export interface LoadedGenesis {
  readonly genesis: Genesis
  readonly chainId: Hash
}

/** A genesis with 2^16 keys stays below. */
const MAX_GENESIS_BYTES = 32 * 1024 * 1024

/** Reads and checks a genesis file. Throws `config_unreadable`. */
export async function readGenesisFile(file: string): Promise<LoadedGenesis> {
  try {
    const bytes = await readStart(file, MAX_GENESIS_BYTES + 1)
    if (bytes.length > MAX_GENESIS_BYTES) throw new Error(`it has more than ${MAX_GENESIS_BYTES} bytes`)
    const parsed = parseJsonFile(bytes)
    if ('fault' in parsed) throw new Error(parsed.fault)
    const genesis = decodeGenesis(parsed.value)
    return { genesis, chainId: chainIdOf(genesis) }
  } catch (cause) {
    throw configError('config_unreadable', { file, reason: fileTrouble(cause) }, cause)
  }
}

/** Writes a genesis for people to read; it hashes to the same chain_id when read again. Rejects with EEXIST. */
export async function createGenesisFile(file: string, genesis: Genesis): Promise<void> {
  await createFileDurably(file, `${JSON.stringify(genesis, null, 2)}\n`, 0o644)
}

/** What a new chain gets where nobody asks for anything else. */
export const GENESIS_DEFAULTS = { name: 'Energy community', currency: 'EUR', amountDecimals: 6 } as const

/** Throws `config_conflict` for the currency of a new chain that is none. One that a genesis has already is left alone. */
export function checkCurrency({ currency }: Pick<GenesisSettings, 'currency'>): void {
  const problem = currency === undefined ? undefined : currencyProblem(currency)
  if (problem !== undefined) throw configError('config_conflict', { reason: `currency: ${problem}` })
}

/**
 * The genesis that these settings ask for: authorities first, then validators, then voters. Throws `config_conflict` if no
 * chain can start from it.
 */
export function buildGenesis(
  settings: GenesisSettings,
  authorities: readonly GenesisEntry[],
  createdAt: number,
): Genesis {
  checkCurrency(settings)
  const first = authorities[0]?.public_key.slice(0, 16) ?? ''
  const seal = settings.seal ?? { kind: 'authority', difficulty: 0 }
  try {
    return decodeGenesis({
      version: 1,
      name: settings.name ?? GENESIS_DEFAULTS.name,
      // Checkpoint origins are to be unique: a community without a domain gets one from its authority's key.
      origin: settings.origin ?? `${first}.solar-node.invalid`,
      created_at: createdAt,
      currency: settings.currency ?? GENESIS_DEFAULTS.currency,
      amount_decimals: settings.amountDecimals ?? GENESIS_DEFAULTS.amountDecimals,
      seal: seal.kind,
      difficulty: seal.difficulty,
      finality: settings.finality ?? { policy: 'authority' },
      registry: [
        ...authorities,
        ...settings.validators.map((key) => entryOf(key, 'validator')),
        ...settings.voters.map((key) => entryOf(key, 'voter')),
      ],
    })
  } catch (cause) {
    if (!isSolarError(cause)) throw cause
    throw configError('config_conflict', { reason: `no chain can start so: ${cause.message}` }, cause)
  }
}

const entryOf = (key: ConfiguredKey, role: Role): GenesisEntry => ({
  id: key.id,
  role,
  public_key: key.publicKey,
  recovery_key: key.recoveryKey,
})

/**
 * Refuses settings that ask for another genesis than the one in `file`: a setting that is silently without effect would
 * let an operator believe in a finality policy that is not there. Throws `config_conflict`.
 */
export function checkAgreement(settings: GenesisSettings, genesis: Genesis, file: string): void {
  const asked: readonly (readonly [string, unknown, unknown])[] = [
    ['name', settings.name, genesis.name],
    ['origin', settings.origin, genesis.origin],
    ['currency', settings.currency, genesis.currency],
    ['amount_decimals', settings.amountDecimals, genesis.amount_decimals],
    ['finality', settings.finality, genesis.finality],
    ['seal', settings.seal, { kind: genesis.seal, difficulty: genesis.difficulty }],
  ]
  for (const [key, want, have] of asked) {
    if (want === undefined || canonicalText(want) === canonicalText(have)) continue
    throw configError('config_conflict', {
      reason: `${key}: ${canonicalText(want)} is asked for, but the chain of ${file} has ${canonicalText(have)}`,
    })
  }
  const registered = new Set(genesis.registry.map((entry) => canonicalText(entry)))
  for (const [role, keys] of [['validator', settings.validators] as const, ['voter', settings.voters] as const]) {
    const missing = keys.find((key) => !registered.has(canonicalText(entryOf(key, role))))
    if (missing === undefined) continue
    throw configError('config_conflict', {
      reason: `${role}s: ${missing.id} with this key is not in ${file}; a chain that exists takes new keys by POST /registry/`,
    })
  }
}
