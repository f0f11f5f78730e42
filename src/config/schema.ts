import { z } from 'zod'
import { recipientShape } from '../payload/recipient.ts'
import { edgeIdentifier } from '../protocol/edge.ts'
import { DEFAULT_HEADER_WINDOW, DEFAULT_MIN_TRADE_MICRO, MAX_HEADERS_PER_REQUEST } from '../protocol/limits.ts'
import { hash32, publicKeyHex } from '../protocol/shape.ts'
import { listenText, multiaddrText } from './multiaddr.ts'
import {
  allowedChanges,
  claimText,
  databaseUrl,
  durationOrOff,
  FINALITY,
  finalityPolicy,
  fromShape,
  httpAddress,
  jwksUrl,
  keyName,
  listOf,
  LOG_LEVELS,
  network,
  nonEmptyText,
  pollSeconds,
  quantityMicro,
  sealRule,
  signerUrl,
  tickSeconds,
  webOrigin,
  webUrl,
  wholeNumber,
  word,
  yesOrNo,
  type Reader,
} from './values.ts'

/** A schema from a reader; a refusal says what was expected. */
function setting<T>(expected: string, read: Reader<T>) {
  return z.unknown().transform((value, context): T => {
    const result = read(value)
    if (result !== undefined) return result
    context.addIssue({ code: 'custom', message: expected })
    return z.NEVER
  })
}

/**
 * Every setting, by mode. One name everywhere: `min_trade_kwh` in YAML is SOLAR_MIN_TRADE_KWH in the environment and,
 * where there is a flag, --min-trade-kwh.
 */
const PUBLIC_KEY = 'an Ed25519 public key, 64 lower-case hex characters'
const IDENTIFIER = 'an identifier [A-Za-z0-9._:@+-]{1,64}'
const HTTP = 'HOST:PORT or off'
const DATABASE =
  'sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE, special characters of user and password percent-encoded ' +
  '(@ is %40, # is %23, / is %2F, ? is %3F, a space %20)'
const PRICE = 'a price per kWh such as 0.08'

const PRIVACY = ['plain', 'pseudonymous'] as const

export const MODES = ['authority', 'light', 'validator'] as const
export type Mode = (typeof MODES)[number]
export const modeSchema = setting(MODES.join(', '), word(...MODES))

const registeredKey = z.strictObject(
  {
    id: setting(IDENTIFIER, fromShape(edgeIdentifier)),
    public_key: setting(PUBLIC_KEY, fromShape(publicKeyHex)),
    recovery_key: setting(PUBLIC_KEY, fromShape(publicKeyHex)).optional(),
    user_id: setting(IDENTIFIER, fromShape(edgeIdentifier)).optional(),
  },
  { error: 'a mapping with id and public_key, and optionally recovery_key and user_id' },
)
export type RegisteredKey = z.output<typeof registeredKey>
const registeredKeys = z.array(registeredKey, { error: 'a list of {id, public_key}' }).max(1_000).default([])

// A peer-to-peer node has to be reachable; HTTP, which takes tokens, stays on loopback until somebody opens it.
const listen = setting(
  'multiaddrs such as /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/tcp/4002/ws',
  listOf(listenText),
).default(['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/ws'])
const chain = setting('a chain_id, 64 lower-case hex characters', fromShape(hash32)).optional()
const rateLimit = setting('requests a second from 1 to 1000000', wholeNumber(1, 1_000_000)).default(200)
const publicUrls = setting('origins such as https://ledger.example.org, without a path', listOf(webOrigin)).default([])
const changeLimit = setting('changes of the registry an hour from 1 to 1000000', wholeNumber(1, 1_000_000))
const archiveAfter = setting('a time such as 90d, 12h, 30m or 10s, or off', durationOrOff).default('off')
const witness = z.strictObject(
  {
    url: setting('an http or https URL', webUrl),
    name: setting('a key name without spaces and plus', keyName),
    public_key: setting(PUBLIC_KEY, fromShape(publicKeyHex)),
  },
  { error: 'a mapping with url, name and public_key' },
)

const common = {
  data: setting('a directory', nonEmptyText).default('./solar-data'),
  peer: setting('multiaddrs such as /ip4/192.0.2.1/tcp/4001/p2p/12D3...', listOf(multiaddrText)).default([]),
  passphrase_file: setting('a file', nonEmptyText).optional(),
  swarm_key_file: setting('a file', nonEmptyText).optional(),
  signer: setting('unix:/PATH, or http://HOST:PORT on this machine', signerUrl).optional(),
  signer_token_file: setting('a file', nonEmptyText).optional(),
  cors_origins: setting('origins such as https://app.example.org, without a path', listOf(webOrigin)).default([]),
  trusted_proxies: setting('IP addresses or networks such as 10.0.0.0/8', listOf(network)).default([]),
  log_level: setting('debug, info, warn or error', word(...LOG_LEVELS)).default('info'),
}

export const authoritySchema = z.strictObject({
  ...common,
  http: setting(HTTP, httpAddress).default({ host: '127.0.0.1', port: 8080 }),
  listen,
  public_urls: publicUrls,
  database: setting(DATABASE, databaseUrl).optional(),
  tick: setting('seconds from 0.1 to 86400, or off', tickSeconds).default(300_000),
  finality: setting(FINALITY, finalityPolicy).optional(),
  seal: setting('authority or work:D with D from 1 to 8', sealRule).optional(),
  genesis: setting('a file', nonEmptyText).optional(),
  name: setting('a name', nonEmptyText).optional(),
  origin: setting('a schema-less URL such as ledger.example.org/street', nonEmptyText).optional(),
  privacy: setting(PRIVACY.join(' or '), word(...PRIVACY)).optional(),
  payload_recipients: setting('recipients of age such as age1...', listOf(fromShape(recipientShape))).default([]),
  currency: setting('a currency code such as EUR', nonEmptyText).optional(),
  amount_decimals: setting('a whole number from 0 to 6', wholeNumber(0, 6)).optional(),
  voters: registeredKeys,
  validators: registeredKeys,
  witnesses: z.array(witness, { error: 'a list of {url, name, public_key}' }).max(100).default([]),
  min_trade_kwh: setting('kWh such as 0.01', quantityMicro).default(DEFAULT_MIN_TRADE_MICRO),
  feed_in_price: setting(PRICE, quantityMicro).optional(),
  retail_price: setting(PRICE, quantityMicro).optional(),
  outbox_poll: setting('seconds from 0.1 to 3600', pollSeconds).default(1_000),
  rate_limit: rateLimit,
  changes_per_hour: changeLimit.default(10_000),
  user_changes_per_hour: changeLimit.default(60),
  archive_after: archiveAfter,
  jwt_jwks_url: setting('an https URL; http on this machine alone', jwksUrl).optional(),
  jwt_secret_file: setting('a file', nonEmptyText).optional(),
  jwt_issuer: setting('the iss of the tokens', claimText).optional(),
  jwt_audience: setting('the aud of the tokens', claimText).optional(),
  jwt_user_claim: setting('the name of a claim', claimText).optional(),
})
export type AuthoritySettings = z.output<typeof authoritySchema>

export const lightSchema = z.strictObject({
  ...common,
  http: setting(HTTP, httpAddress).default('off'),
  chain,
  headers: setting(
    `a whole number from 1 to ${MAX_HEADERS_PER_REQUEST}`,
    wholeNumber(1, MAX_HEADERS_PER_REQUEST),
  ).default(DEFAULT_HEADER_WINDOW),
  vote: setting('true or false', yesOrNo).default(true),
  stale_after: setting('seconds from 1 to 31536000', wholeNumber(1, 31_536_000)).default(900),
})
export type LightSettings = z.output<typeof lightSchema>

export const validatorSchema = z.strictObject({
  ...common,
  http: setting(HTTP, httpAddress).default('off'),
  listen,
  public_urls: publicUrls,
  chain,
  allow_changes: setting(
    'all, or hashes of registry transactions (64 hex digits each, as the log shows them)',
    allowedChanges,
  ).default([]),
  recall_peers: setting('a whole number from 1 to 1000', wholeNumber(1, 1_000)).optional(),
  rate_limit: rateLimit,
  archive_after: archiveAfter,
})
export type ValidatorSettings = z.output<typeof validatorSchema>

export const schemas = { authority: authoritySchema, light: lightSchema, validator: validatorSchema } as const

/** Settings that are lists of mappings: only a YAML file can carry them. */
export const YAML_ONLY: readonly string[] = ['voters', 'validators', 'witnesses']
