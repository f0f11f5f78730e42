import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTVerifyGetKey } from 'jose'
import { configError } from '../config/errors.ts'
import type { UserTokenConfig } from '../config/types.ts'
import type { PlatformUserTokens } from '../http/access.ts'
import { httpError } from '../http/problem.ts'
import { exposedWords, readSecretFile } from '../keys/secret-file.ts'
import { steadyNow, type Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { Ledger } from '../ports/ledger.ts'
import { fileTrouble } from '../ports/file-trouble.ts'
import type { Logger } from '../ports/logger.ts'
import { identifier } from '../protocol/shape.ts'
import { isSolarError } from '../protocol/errors.ts'
import { decodeText } from '../protocol/text.ts'
import { boundedText } from './bounded-text.ts'

/**
 * Tokens of platform users: JSON Web Tokens (RFC 7519) that the platform's identity provider signs. What they are signed with is
 * settled by the settings, never by the token: with keys from a JWKS by public keys alone, with a shared secret by HS256.
 */
const PUBLIC_KEY_ALGORITHMS = [
  'EdDSA',
  'Ed25519',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
]
const SECRET_ALGORITHMS = ['HS256']
/** As long as the hash of HS256 (RFC 7518, 3.2). */
const MIN_SECRET_BYTES = 32
const MAX_SECRET_FILE_BYTES = 64 * 1024
/** Between the clocks of two servers. */
const LEEWAY_SECONDS = 30

const JWKS_TIMEOUT_MS = 5_000
/** A few dozen keys. */
const MAX_JWKS_BYTES = 64 * 1024
/** Keys are fetched again after this, so that one that is taken away ends here. */
const JWKS_MAX_AGE_MS = 10 * 60_000
/** A token that names an unknown key has them fetched again, but no more often, whoever sends how many. */
const JWKS_COOLDOWN_MS = 30_000

interface Keys {
  readonly keys: JWTVerifyGetKey
  readonly algorithms: string[]
}

/** Throws `config_conflict` for a secret that cannot be used; keys from an URL are fetched with the first token. */
export async function createUserTokens(
  config: UserTokenConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<PlatformUserTokens> {
  const { issuer, audience, userClaim, source } = config
  const { keys, algorithms } =
    source.kind === 'jwks' ? keysOfUrl(source.url, { clock, logger }) : await keysOfSecret(source.file)
  return {
    async userOf(token) {
      try {
        const { payload } = await jwtVerify(token, keys, {
          algorithms,
          issuer,
          audience,
          clockTolerance: LEEWAY_SECONDS,
          requiredClaims: ['exp', userClaim],
          currentDate: new Date(clock.now()),
        })
        return identifier(payload[userClaim], userClaim)
      } catch (error) {
        throw refusalOf(error)
      }
    },
  }
}

/**
 * The same, and whose token it is as the chain calls its users. Throws `bad_credential` for one who cannot
 * be a user.
 */
export const usersOnChain = (users: PlatformUserTokens, ledger: Pick<Ledger, 'userOnChain'>): PlatformUserTokens => ({
  async userOf(token) {
    const userId = await users.userOf(token)
    try {
      return ledger.userOnChain(userId)
    } catch (error) {
      if (!isSolarError(error, 'refused_row')) throw error
      throw httpError('bad_credential', { reason: `the user token names no user id: ${error.message}` }, error)
    }
  },
})

/** Where the keys cannot be had that is no fault of who shows a token. */
function refusalOf(error: unknown): Error {
  if (isSolarError(error, 'malformed')) {
    return httpError('bad_credential', { reason: `the user token names no user id: ${error.message}` }, error)
  }
  if (error instanceof errors.JWTExpired) return httpError('bad_credential', { reason: 'the user token has expired' })
  if (error instanceof errors.JWTClaimValidationFailed) {
    return httpError('bad_credential', { reason: `the user token is not for this node: its ${error.claim} is refused` })
  }
  if (isOfToken(error))
    return httpError('bad_credential', { reason: 'the user token is not signed as this node expects' })
  return ledgerError(
    'not_ready',
    { reason: 'the keys of user tokens could not be fetched: try again in a minute' },
    error,
  )
}

const TOKEN_ERRORS = [
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSMultipleMatchingKeys,
  errors.JWKSNoMatchingKey,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWTInvalid,
]
const isOfToken = (error: unknown): boolean => TOKEN_ERRORS.some((kind) => error instanceof kind)

function keysOfUrl(url: string, parts: { readonly clock: Clock; readonly logger: Logger }): Keys {
  const keys = createRemoteJWKSet(new URL(url), {
    timeoutDuration: JWKS_TIMEOUT_MS,
    cacheMaxAge: JWKS_MAX_AGE_MS,
    cooldownDuration: JWKS_COOLDOWN_MS,
    [customFetch]: withCooldown(fetchBounded, parts),
  })
  return { keys, algorithms: PUBLIC_KEY_ALGORITHMS }
}

type Fetch = typeof fetchBounded

/** The library waits after keys that came; what came not, or was no list of keys, is not asked for again either before that time. */
function withCooldown(fetchKeys: Fetch, { clock, logger }: { readonly clock: Clock; readonly logger: Logger }): Fetch {
  let last: { readonly at: number; readonly error: Error } | undefined
  return async (url, options) => {
    if (last !== undefined && steadyNow(clock) - last.at < JWKS_COOLDOWN_MS) throw last.error
    last = { at: steadyNow(clock), error: new Error('they were asked for a moment ago') }
    try {
      const response = await fetchKeys(url, options)
      if (response.status !== 200) throw new Error(`it answers ${response.status}`)
      return response
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      last = { ...last, error }
      logger.warn({ reason: error.message }, 'the keys of user tokens could not be fetched (jwt_jwks_url)')
      throw error
    }
  }
}

/** Goes nowhere else than to the URL that the operator wrote, and reads no more than keys have. */
const fetchBounded = async (url: string, options: RequestInit): Promise<Response> => {
  const response = await fetch(url, { ...options, redirect: 'manual' })
  return new Response(await boundedText(response, MAX_JWKS_BYTES), { status: response.status })
}

async function keysOfSecret(file: string): Promise<Keys> {
  const unusable = (reason: string, cause?: unknown) =>
    configError('config_conflict', { reason: `jwt_secret_file: ${file}: ${reason}` }, cause)
  const read = await readSecretFile(file, { maxBytes: MAX_SECRET_FILE_BYTES }).catch((error: unknown) => {
    throw unusable(fileTrouble(error), error)
  })
  if ('fault' in read) throw unusable(read.fault === 'exposed' ? exposedWords(file, read.mode) : read.reason)
  const secret = Buffer.from(secretIn(read.bytes, unusable), 'utf8')
  if (secret.length < MIN_SECRET_BYTES) {
    throw unusable(`expected a secret of at least ${MIN_SECRET_BYTES} bytes on its first line, got ${secret.length}`)
  }
  return { keys: () => secret, algorithms: SECRET_ALGORITHMS }
}

function secretIn(bytes: Uint8Array, unusable: (reason: string) => Error): string {
  try {
    return decodeText(bytes).split(/\r?\n/, 1)[0] ?? ''
  } catch {
    throw unusable('it is no text')
  }
}
