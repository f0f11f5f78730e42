import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { tellsUser } from '../protocol/pseudonym.ts'
import { isJsonObject } from '../protocol/shape.ts'
import { configError } from './errors.ts'
import {
  authoritySchema,
  lightSchema,
  MODES,
  modeSchema,
  validatorSchema,
  type AuthoritySettings,
  type Mode,
  type RegisteredKey,
} from './schema.ts'
import { gatherSettings, refuseForeignKeys, type ConfigSources, type Settings } from './sources.ts'
import type {
  AuthorityConfig,
  ConfiguredKey,
  DatabaseConfig,
  LightConfig,
  NodeConfig,
  PriceBand,
  ValidatorConfig,
} from './types.ts'
import { showValue } from './values.ts'

/**
 * The configuration of the mode that the sources name. Paths are relative to the working directory, whichever source
 * they come from. Throws `config_unknown_key`, `config_bad_value`, `config_unreadable`, `config_conflict`.
 */
export function loadNodeConfig(sources: ConfigSources): NodeConfig {
  const settings = gatherSettings(sources)
  const mode = settings.get('mode')
  if (mode === undefined) {
    throw configError('config_conflict', {
      reason:
        `say what this node is: --mode=${MODES.join(' or --mode=')}; ` +
        'or try solar-node demo; solar-node --help lists all commands',
    })
  }
  const result = modeSchema.safeParse(mode.value)
  if (!result.success) throw firstProblem(result.error, settings, 'mode')
  return configOf[result.data](settings)
}

/** `loadNodeConfig` for an authority, whatever `mode` says. */
export const loadAuthorityConfig = (sources: ConfigSources): AuthorityConfig => authorityConfig(gatherSettings(sources))

/** `loadNodeConfig` for a light node, whatever `mode` says. */
export const loadLightConfig = (sources: ConfigSources): LightConfig => lightConfig(gatherSettings(sources))

/** `loadNodeConfig` for a validator, whatever `mode` says. */
export const loadValidatorConfig = (sources: ConfigSources): ValidatorConfig => validatorConfig(gatherSettings(sources))

const configOf: Readonly<Record<Mode, (settings: Settings) => NodeConfig>> = {
  authority: authorityConfig,
  light: lightConfig,
  validator: validatorConfig,
}

function authorityConfig(settings: Settings): AuthorityConfig {
  refuseForeignKeys(settings, 'authority')
  const values = check(authoritySchema, settings)
  refuseTellingVoters(values)
  const dataDirectory = resolve(values.data)
  return {
    mode: 'authority',
    dataDirectory,
    http: values.http,
    publicUrls: values.public_urls,
    listen: listenOf(values, settings),
    peers: values.peer,
    ...edgeConfig(values),
    ...signerConfig(values),
    database: databaseConfig(values.database, dataDirectory),
    tickIntervalMs: values.tick,
    genesisFile: optionalPath(values.genesis),
    genesis: {
      name: values.name,
      origin: values.origin,
      currency: values.currency,
      amountDecimals: values.amount_decimals,
      finality: values.finality,
      seal: values.seal,
      voters: values.voters.map(configuredKey),
      validators: values.validators.map(configuredKey),
    },
    privacy: values.privacy,
    payloadRecipients: values.payload_recipients,
    minTradeMicro: values.min_trade_kwh,
    priceBand: priceBand(values),
    changeLimits: { perHour: values.changes_per_hour, perUserPerHour: values.user_changes_per_hour },
    outboxPollMs: values.outbox_poll,
    witnesses: values.witnesses,
    ...userTokens(values),
    rateLimitPerSecond: values.rate_limit,
    archiveAfterMs: values.archive_after,
    passphraseFile: optionalPath(values.passphrase_file),
    logLevel: values.log_level,
  }
}

function lightConfig(settings: Settings): LightConfig {
  refuseForeignKeys(settings, 'light')
  const values = check(lightSchema, settings)
  refuseNoPeer('light node', values.peer)
  refuseWebSocket(values.swarm_key_file, values.peer)
  return {
    mode: 'light',
    dataDirectory: resolve(values.data),
    http: values.http,
    peers: values.peer,
    ...edgeConfig(values),
    ...signerConfig(values),
    chainId: values.chain,
    headerWindow: values.headers,
    vote: values.vote,
    staleAfterMs: values.stale_after * 1000,
    passphraseFile: optionalPath(values.passphrase_file),
    logLevel: values.log_level,
  }
}

function validatorConfig(settings: Settings): ValidatorConfig {
  refuseForeignKeys(settings, 'validator')
  const values = check(validatorSchema, settings)
  refuseNoPeer('validator', values.peer)
  const { recall_peers = 1 } = values
  if (recall_peers > values.peer.length) {
    const reason = `recall_peers: ${recall_peers} peers must answer, and ${values.peer.length} are named: name more with --peer`
    throw configError('config_conflict', { reason })
  }
  return {
    mode: 'validator',
    dataDirectory: resolve(values.data),
    http: values.http,
    publicUrls: values.public_urls,
    listen: listenOf(values, settings),
    peers: values.peer,
    ...edgeConfig(values),
    ...signerConfig(values),
    chainId: values.chain,
    allowedChanges: values.allow_changes,
    ...(values.recall_peers !== undefined && { recallPeers: values.recall_peers }),
    rateLimitPerSecond: values.rate_limit,
    archiveAfterMs: values.archive_after,
    passphraseFile: optionalPath(values.passphrase_file),
    logLevel: values.log_level,
  }
}

const isWebSocket = (address: string): boolean => /\/wss?(\/|$)/.test(address)

/** A private network is over TCP alone: its encryption does not get through WebSocket, and a page has no file with a key. */
function refuseWebSocket(swarmKeyFile: string | undefined, addresses: readonly string[]): void {
  const found = addresses.find(isWebSocket)
  if (swarmKeyFile === undefined || found === undefined) return
  const reason = `swarm_key_file: a private network is over TCP alone, expected addresses without /ws, got ${found}`
  throw configError('config_conflict', { reason })
}

/** Of the default addresses those that a private network can have. */
function listenOf(
  { listen, peer, swarm_key_file }: Pick<AuthoritySettings, 'listen' | 'peer' | 'swarm_key_file'>,
  settings: Settings,
): readonly string[] {
  refuseWebSocket(swarm_key_file, settings.has('listen') ? [...listen, ...peer] : peer)
  return swarm_key_file === undefined ? listen : listen.filter((address) => !isWebSocket(address))
}

/** What is in the genesis stays on the chain; afterwards SQL knows whose a device is. */
function refuseTellingVoters({ privacy, voters }: AuthoritySettings): void {
  if (privacy !== 'pseudonymous') return
  for (const { id, user_id } of voters) {
    if (user_id !== undefined && !tellsUser(id, user_id)) continue
    const words = user_id === undefined ? `expected a user_id for each, ${id} has none` : tellingWords(id)
    throw configError('config_conflict', { reason: `voters, with privacy pseudonymous: ${words}` })
  }
}

/** Why a pseudonymous ledger does not take a device's id. */
export const tellingWords = (id: string): string =>
  `the id ${id} tells its user, and would be on the chain for ever: expected one that tells nothing`

/** Who is let in from where. */
function edgeConfig(values: Pick<AuthoritySettings, 'trusted_proxies' | 'cors_origins' | 'swarm_key_file'>) {
  return {
    trustedProxies: values.trusted_proxies,
    corsOrigins: values.cors_origins,
    ...(values.swarm_key_file !== undefined && { swarmKeyFile: resolve(values.swarm_key_file) }),
  }
}

/** On a port anybody on this machine can ask: who may is what its token says. */
function signerConfig({
  signer,
  signer_token_file: file,
}: Pick<AuthoritySettings, 'signer' | 'signer_token_file'>): Pick<AuthorityConfig, 'signer'> {
  if (signer === undefined && file === undefined) return {}
  if (signer === undefined || (signer.kind === 'tcp' && file === undefined)) {
    const missing = signer === undefined ? 'signer' : 'signer_token_file'
    const reason = `${missing}: expected with ${signer === undefined ? 'signer_token_file' : 'a signer on a port'}, got nothing`
    throw configError('config_conflict', { reason })
  }
  return { signer: { address: signer, ...(file !== undefined && { tokenFile: resolve(file) }) } }
}

/** All that is needed to check a token, or nothing: half of it would let in whom nobody meant. */
function userTokens(values: AuthoritySettings): Pick<AuthorityConfig, 'userTokens'> {
  const { jwt_jwks_url: url, jwt_secret_file: file, jwt_issuer: issuer, jwt_audience: audience } = values
  const given = [url, file, issuer, audience, values.jwt_user_claim].filter((value) => value !== undefined)
  if (given.length === 0) return {}
  if (issuer === undefined || audience === undefined || (url === undefined) === (file === undefined)) {
    throw configError('config_conflict', {
      reason: 'tokens of users: expected jwt_issuer, jwt_audience, and either jwt_jwks_url or jwt_secret_file',
    })
  }
  const source =
    url !== undefined ? ({ kind: 'jwks', url } as const) : ({ kind: 'secret', file: resolve(file ?? '') } as const)
  return { userTokens: { source, issuer, audience, userClaim: values.jwt_user_claim ?? 'sub' } }
}

function refuseNoPeer(who: string, peers: readonly string[]): void {
  if (peers.length > 0) return
  throw configError('config_conflict', {
    reason: `a ${who} needs somebody to ask: --peer with the multiaddr that the authority shows at its start`,
  })
}

function databaseConfig(database: DatabaseConfig | undefined, dataDirectory: string): DatabaseConfig {
  if (database?.kind === 'postgres') return database
  return { kind: 'sqlite', path: resolve(database?.path ?? join(dataDirectory, 'ledger.db')) }
}

const optionalPath = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(path))

function configuredKey(key: RegisteredKey): ConfiguredKey {
  return { id: key.id, publicKey: key.public_key, recoveryKey: key.recovery_key ?? null, userId: key.user_id }
}

function priceBand({ feed_in_price, retail_price }: AuthoritySettings): PriceBand | undefined {
  if (feed_in_price === undefined && retail_price === undefined) return undefined
  if (feed_in_price === undefined || retail_price === undefined || feed_in_price > retail_price) {
    throw configError('config_conflict', {
      reason: 'feed_in_price and retail_price: expected both, feed_in_price not above retail_price, or neither',
    })
  }
  return { feedInMicro: feed_in_price, retailMicro: retail_price }
}

function check<Schema extends z.ZodType>(schema: Schema, settings: Settings): z.output<Schema> {
  const values = Object.fromEntries([...settings].map(([key, { value }]) => [key, value]))
  delete values.mode
  const result = schema.safeParse(values)
  if (!result.success) throw firstProblem(result.error, settings)
  return result.data
}

/** One line at a time: the first thing that is wrong. */
function firstProblem(error: z.ZodError, settings: Settings, root?: string) {
  const issue = error.issues[0]
  const path = [...(root === undefined ? [] : [root]), ...(issue?.path ?? [])]
  const [name = ''] = path
  const found = settings.get(String(name))
  const origin = found?.origin ?? 'the defaults'
  const key = path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : dotted(text, part)),
    '',
  )
  if (issue?.code === 'unrecognized_keys') {
    const unknown = dotted(key, issue.keys[0] ?? '')
    return configError('config_unknown_key', {
      key: unknown,
      origin,
      expected: name === 'witnesses' ? 'url, name, public_key' : 'id, public_key, recovery_key, user_id',
    })
  }
  const value = path.slice(1).reduce<unknown>((inner, part) => member(inner, part), found?.value)
  return configError('config_bad_value', {
    key,
    expected: issue?.message ?? 'another value',
    // The whole value of `database` may be a credential, whatever it looks like.
    got: name === 'database' ? schemeOf(value) : showValue(value),
    origin,
  })
}

const dotted = (text: string, part: PropertyKey): string => (text === '' ? String(part) : `${text}.${String(part)}`)

function member(value: unknown, part: PropertyKey): unknown {
  if (Array.isArray(value)) return value[Number(part)] as unknown
  return isJsonObject(value) ? value[String(part)] : undefined
}

function schemeOf(value: unknown): string {
  const scheme = typeof value === 'string' ? /^[a-z][a-z0-9+.-]{0,20}:/i.exec(value)?.[0] : undefined
  return scheme === undefined ? 'a value without a scheme' : `"${scheme}..."`
}
