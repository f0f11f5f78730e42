import { join } from 'node:path'
import { configError } from '../config/errors.ts'
import type { AuthorityConfig, LightConfig, NodeConfig, ValidatorConfig } from '../config/types.ts'
import { authorityKeyFiles, createAuthorityKeys, type AuthorityKeys } from './authority-keys.ts'
import { isThere } from '../keys/durable-file.ts'
import {
  createKeyFile,
  createPhraseFile,
  createSignerKeyFile,
  readKeyFile,
  readSignerKeyFile,
  type NewKeyOptions,
} from '../keys/key-file.ts'
import { readPassphraseFile } from '../keys/passphrase.ts'
import { readSwarmKeyFile } from '../keys/swarm-key-file.ts'
import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Hash, Hex } from '../protocol/bytes.ts'
import type { Genesis } from '../protocol/genesis.ts'
import { signingKeyFromSecret, type SigningKey } from '../protocol/signature.ts'
import { DATA_FILES, type DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import type { NodeSigner } from './node-signer.ts'
import {
  buildGenesis,
  checkAgreement,
  checkCurrency,
  createGenesisFile,
  GENESIS_DEFAULTS,
  readGenesisFile,
  type LoadedGenesis,
} from './genesis-file.ts'
import { ensurePseudonymSecret } from './privacy.ts'
import { ensureTokens, type NodeTokens } from './token-files.ts'

/** What a node needs for libp2p. */
interface NetworkFiles {
  /** Ed25519 seed of the libp2p identity, 32 bytes. */
  readonly peerSeed: Uint8Array
  /** Of the private network that the node is of. */
  readonly swarmKey: Uint8Array | undefined
}

export interface AuthorityFiles extends LoadedGenesis, NetworkFiles {
  readonly authorityKeys: AuthorityKeys
  readonly tokens: NodeTokens
  /** True if this start made the chain. */
  readonly firstStart: boolean
  /** Of a pseudonymous ledger. */
  readonly pseudonymSecret: Uint8Array | undefined
  /** Has the words of the recovery key that this start has made for the authority. */
  readonly recoveryPhraseFile: string | null
}

/** Nothing else is to be seen meanwhile. */
export function sayKeysAreOpened({ passphraseFile }: NodeConfig, logger: Logger): void {
  if (passphraseFile === undefined) return
  logger.info({}, 'opening the keys with their passphrase: it takes some seconds for each, longer on a busy machine')
}

export interface LightFiles extends NetworkFiles {
  readonly voterKey: SigningKey
}

/** The id of the authority in a genesis that the first start makes. */
const AUTHORITY_ID = 'authority'

/** With what keys are made, and where those are that are not in files. */
export interface NewKeyParts extends Omit<NewKeyOptions, 'passphrase'> {
  readonly signer?: NodeSigner | undefined
}

export interface AuthorityFilesParts extends NewKeyParts {
  readonly clock: Clock
  /** Hears what a first start is about to fix for ever. */
  readonly logger?: Logger | undefined
  /** The chain that is in a database which others share: this authority joins it. */
  readonly chainOfDatabase?: Hash | undefined
}

/**
 * Everything that an authority keeps in files, made where it is not there. Each file appears whole or not at all, and
 * genesis.json last: whatever a kill leaves behind, the next start finds its keys and goes on to the same end. Throws
 * errors of keys, `config_unreadable`, `config_conflict`, `data_directory_incomplete`, `file_damaged`.
 */
export async function ensureAuthorityFiles(
  directory: DataDirectory,
  config: AuthorityConfig,
  parts: AuthorityFilesParts,
): Promise<AuthorityFiles> {
  await refuseOtherMode(directory, 'authorityKey')
  const firstStart = !(await directory.has('genesis'))
  const given = config.genesisFile === undefined ? undefined : await readGenesisFile(config.genesisFile)
  if (firstStart) await checkFirstStart(directory, config, given, parts)
  else if (parts.signer === undefined && !(await directory.has('authorityKey'))) {
    throw nodeError('data_directory_incomplete', {
      directory: directory.path,
      file: DATA_FILES.authorityKey,
      advice: 'put it back; if it is lost, put a new key there and recover it (solar-node keys recover)',
    })
  }
  if (firstStart && given === undefined && parts.logger !== undefined) announceChain(config, parts.logger)
  const swarmKey = await swarmKeyOf(config)
  const passphrase = await passphraseOf(config)
  const { signer } = parts
  // Which of its keys is that of the authority the registry says.
  const publicKey =
    signer === undefined
      ? (await ensureKey(directory, 'authorityKey', passphrase, parts)).publicKey
      : await ensureSignerFile(directory, 'authorityKey', () => signer.publicKeys[0] ?? '')
  if (signer !== undefined) {
    for (const name of await authorityKeyFiles(directory.path)) await publicKeyInSigner(join(directory.path, name))
  }
  const peer = await ensureKey(directory, 'peerKey', passphrase, parts)
  const tokens = await ensureTokens(directory, parts.randomBytes)
  const makesChain = firstStart && parts.chainOfDatabase === undefined
  const pseudonymSecret = await ensurePseudonymSecret(directory, config, { ...parts, passphrase, makesChain })
  if (firstStart) {
    const genesis = given?.genesis ?? (await newGenesis(directory, config, publicKey, parts))
    await createGenesisFile(directory.file('genesis'), genesis)
  }
  const stored = await readGenesisFile(directory.file('genesis'))
  if (given !== undefined && given.chainId !== stored.chainId) {
    throw configError('config_conflict', {
      reason:
        `genesis: ${config.genesisFile} is chain ${given.chainId}, ` +
        `but ${directory.path} holds chain ${stored.chainId}; a new chain takes a new data directory`,
    })
  }
  checkAgreement(config.genesis, stored.genesis, directory.file('genesis'))
  checkSignerChain(signer, stored.chainId)
  return {
    ...stored,
    authorityKeys: signer ?? createAuthorityKeys(directory.path, passphrase),
    peerSeed: peer.secret,
    swarmKey,
    tokens,
    pseudonymSecret,
    firstStart,
    recoveryPhraseFile: firstStart && given === undefined ? directory.file('recoveryPhrase') : null,
  }
}

/** The files of a light node, made where they are not there. Throws errors of keys, `data_directory_unusable`. */
export async function ensureLightFiles(
  directory: DataDirectory,
  config: LightConfig,
  parts: NewKeyParts,
): Promise<LightFiles> {
  await refuseOtherMode(directory, 'voterKey')
  const swarmKey = await swarmKeyOf(config)
  const passphrase = await passphraseOf(config)
  const voterKey = await ensureModeKey(directory, 'voterKey', passphrase, parts)
  const peer = await ensureKey(directory, 'peerKey', passphrase, parts)
  return { voterKey, peerSeed: peer.secret, swarmKey }
}

export interface ValidatorFiles extends NetworkFiles {
  readonly validatorKey: SigningKey
  readonly tokens: NodeTokens
}

/** The files of a validator, made where they are not there. Throws errors of keys, `data_directory_unusable`, `file_damaged`. */
export async function ensureValidatorFiles(
  directory: DataDirectory,
  config: ValidatorConfig,
  parts: NewKeyParts,
): Promise<ValidatorFiles> {
  await refuseOtherMode(directory, 'validatorKey')
  const swarmKey = await swarmKeyOf(config)
  const passphrase = await passphraseOf(config)
  const validatorKey = await ensureModeKey(directory, 'validatorKey', passphrase, parts)
  const peer = await ensureKey(directory, 'peerKey', passphrase, parts)
  const tokens = await ensureTokens(directory, parts.randomBytes)
  return { validatorKey, peerSeed: peer.secret, swarmKey, tokens }
}

const swarmKeyOf = async ({ swarmKeyFile }: NodeConfig): Promise<Uint8Array | undefined> =>
  swarmKeyFile === undefined ? undefined : await readSwarmKeyFile(swarmKeyFile)

/** Each mode has a key of its own in its directory. */
const MODE_KEYS = { authorityKey: 'authority', voterKey: 'light', validatorKey: 'validator' } as const

/** Two modes in one directory would share level/ and each take the other's data for damage. */
async function refuseOtherMode(directory: DataDirectory, own: keyof typeof MODE_KEYS): Promise<void> {
  for (const key of ['authorityKey', 'voterKey', 'validatorKey'] as const) {
    if (key === own || !(await directory.has(key))) continue
    const reason = `it belongs to a node of --mode=${MODE_KEYS[key]} (it has ${DATA_FILES[key]})`
    throw nodeError('data_directory_unusable', { directory: directory.path, reason })
  }
}

/** Says everything that would stop the first start, before it has made anything. */
async function checkFirstStart(
  directory: DataDirectory,
  config: AuthorityConfig,
  given: LoadedGenesis | undefined,
  { chainOfDatabase, signer }: AuthorityFilesParts,
) {
  if (chainOfDatabase !== undefined && given?.chainId !== chainOfDatabase) {
    const got = given === undefined ? 'there is none' : `${config.genesisFile} is chain ${given.chainId}`
    throw configError('config_conflict', {
      reason: `genesis: the database holds chain ${chainOfDatabase}, give the genesis of that chain with --genesis; ${got}`,
    })
  }
  await checkChainToMake(directory.path, config, given)
  if (given === undefined) return
  const file = directory.file('authorityKey')
  // On a chain that is there already its registry decides, which may have got the key since.
  if (chainOfDatabase !== undefined) return
  const keys = signer?.publicKeys ?? [(await readKeyFile(file, await passphraseOf(config))).publicKey]
  if (given.genesis.registry.some(({ role, public_key }) => role === 'authority' && keys.includes(public_key))) return
  const whose = signer === undefined ? file : `the signer at ${signer.name}`
  throw configError('config_conflict', {
    reason: `genesis: ${config.genesisFile} has no authority with the public key ${keys.join(' or ')} of ${whose}`,
  })
}

/**
 * What of a first start can be refused before the data directory is made. Throws `config_conflict`.
 *
 * @param path of the data directory
 * @param given the genesis of --genesis; absent: a new one is to be made
 */
export async function checkChainToMake(
  path: string,
  { genesis, genesisFile, signer }: AuthorityConfig,
  given: LoadedGenesis | undefined,
): Promise<void> {
  const { finality, validators } = genesis
  if (given === undefined && signer !== undefined) {
    throw configError('config_conflict', {
      reason:
        'signer: it signs on one chain, so a new chain takes --genesis FILE with the public key of the signer ' +
        '(solar-node genesis new --authority ID=PUBLIC_KEY)',
    })
  }
  if (given !== undefined) {
    checkAgreement(genesis, given.genesis, genesisFile ?? '')
    if (signer !== undefined) return
    const file = join(path, DATA_FILES.authorityKey)
    if (await isThere(file)) return
    throw configError('config_conflict', {
      reason: `genesis: it names its authority's key, so put that key file at ${file} before the first start`,
    })
  }
  checkCurrency(genesis)
  if (finality?.policy !== 'validators' || validators.length >= finality.threshold) return
  throw configError('config_conflict', {
    reason:
      `finality: validators:${finality.threshold} needs --genesis FILE with at least ${finality.threshold} ` +
      `validators on the first start, there are ${validators.length}`,
  })
}

/** The last moment at which it can be otherwise. */
function announceChain({ genesis, dataDirectory }: AuthorityConfig, logger: Logger): void {
  const { name, currency, amountDecimals } = { ...GENESIS_DEFAULTS, ...definedOf(genesis) }
  logger.warn(
    { name, currency, amount_decimals: amountDecimals },
    `this first start makes the chain "${name}" in ${currency} with ${amountDecimals} decimals of money, for ever; ` +
      `for another stop it, empty ${dataDirectory} and give --name, --currency and --amount-decimals`,
  )
}

function definedOf({ name, currency, amountDecimals }: AuthorityConfig['genesis']) {
  return {
    ...(name !== undefined && { name }),
    ...(currency !== undefined && { currency }),
    ...(amountDecimals !== undefined && { amountDecimals }),
  }
}

/** With a recovery key for the authority, of which the words are in a file that its operator takes away. */
async function newGenesis(
  directory: DataDirectory,
  config: AuthorityConfig,
  publicKey: Hex,
  parts: AuthorityFilesParts,
): Promise<Genesis> {
  const file = directory.file('recoveryPhrase')
  const passphrase = await passphraseOf(config)
  const recovery = (await directory.has('recoveryPhrase'))
    ? await readKeyFile(file, passphrase)
    : await createPhraseFile(file, { ...parts, passphrase })
  const keys = { public_key: publicKey, recovery_key: recovery.publicKey }
  return buildGenesis(config.genesis, [{ id: AUTHORITY_ID, role: 'authority', ...keys }], parts.clock.now())
}

async function passphraseOf(config: Pick<AuthorityConfig, 'passphraseFile'>): Promise<string | undefined> {
  return config.passphraseFile === undefined ? undefined : readPassphraseFile(config.passphraseFile)
}

/**
 * The signing key of a mode that has one: in its file, or in the signer. Throws `config_conflict`, and `not_ready` where the signer does
 * not have the key that the file names.
 */
async function ensureModeKey(
  directory: DataDirectory,
  name: keyof typeof MODE_KEYS,
  passphrase: string | undefined,
  parts: NewKeyParts,
): Promise<SigningKey> {
  const { signer } = parts
  if (signer === undefined) return signingKeyFromSecret((await ensureKey(directory, name, passphrase, parts)).secret)
  const publicKey = await ensureSignerFile(directory, name, () => soleKey(signer))
  const key = await signer.keyOf(publicKey)
  if (key !== undefined) return key
  throw ledgerError('not_ready', {
    reason:
      `the signer at ${signer.name} does not have the key ${publicKey}, which ${directory.file(name)} names: start it with ` +
      'its --key-file; where the key was changed on purpose, delete that file',
  })
}

/**
 * The public key in the file that stands in the place of a key file, and says that the key is in a signer; it is made where there is
 * none, with the key that is chosen. Throws `config_conflict` for a file with the key itself.
 */
async function ensureSignerFile(
  directory: DataDirectory,
  name: keyof typeof MODE_KEYS,
  choose: () => Hex,
): Promise<Hex> {
  const file = directory.file(name)
  if (!(await directory.has(name))) await createSignerKeyFile(file, choose())
  return await publicKeyInSigner(file)
}

/** Throws `config_conflict` for a file with the key itself. */
async function publicKeyInSigner(file: string): Promise<Hex> {
  const publicKey = await readSignerKeyFile(file)
  if (publicKey !== undefined) return publicKey
  throw configError('config_conflict', {
    reason:
      `signer: ${file} is there as well, and whoever steals this server has its key: move it to where the signer reads it ` +
      '(--key-file), out of this folder',
  })
}

/** Throws `config_conflict`. */
function soleKey({ name, publicKeys }: NodeSigner): Hex {
  const [publicKey, ...others] = publicKeys
  if (publicKey !== undefined && others.length === 0) return publicKey
  const reason = `signer: that at ${name} has the keys ${publicKeys.join(', ')}: start it with the one --key-file of this node`
  throw configError('config_conflict', { reason })
}

/** Throws `config_conflict`. */
function checkSignerChain(signer: NodeSigner | undefined, chainId: Hash): void {
  if (signer === undefined || signer.chainId === chainId) return
  const reason = `signer: that at ${signer.name} is for chain ${signer.chainId}, this is ${chainId}: see its --chain-id`
  throw configError('config_conflict', { reason })
}

async function ensureKey(
  directory: DataDirectory,
  name: keyof typeof MODE_KEYS | 'peerKey',
  passphrase: string | undefined,
  { randomBytes, workFactor }: NewKeyParts,
) {
  const file = directory.file(name)
  if (await directory.has(name)) return await readKeyFile(file, passphrase)
  return await createKeyFile(file, { randomBytes, passphrase, workFactor })
}
