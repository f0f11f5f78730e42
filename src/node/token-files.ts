import { createFileDurably } from '../keys/durable-file.ts'
import { exposedWords, readSecretFile } from '../keys/secret-file.ts'
import type { RandomBytes } from '../ports/clock.ts'
import { parseJsonFile } from '../ports/json-file.ts'
import { isSolarError } from '../protocol/errors.ts'
import { sha256Hex } from '../protocol/hash.ts'
import { hash32, object, text, type Shape, type TypeOf } from '../protocol/shape.ts'
import type { DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'

/** Bearer tokens by role (docs/protocol.md 9): 256 random bits, base64url. */
const TOKEN_BYTES = 32
/** Far above four tokens. */
const MAX_FILE_BYTES = 64 * 1024
const token = text(/^[A-Za-z0-9_-]{43,}$/, 'at least 256 bits in base64url')
const byRole = <T>(shape: Shape<T>) => ({ operator: shape, platform: shape, auditor: shape, validator: shape })
const tokensShape = object(byRole(token))
const hashesShape = object(byRole(hash32))

/** What the node keeps of its tokens: SHA-256 of each token's text, hex, by role. */
export type TokenHashes = TypeOf<typeof hashesShape>
export type TokenRole = keyof TokenHashes

export interface EnsuredTokens {
  readonly hashes: TokenHashes
  /** True if tokens.json was written just now, for the operator to take away. */
  readonly created: boolean
}

/**
 * The hashes, made with the tokens where there are none. tokens.json comes first: a kill between the two leaves tokens
 * whose hashes the next start makes. Once the hashes are there tokens.json is not read again, and removing
 * token-hashes.json together with tokens.json gives new tokens. Throws `file_damaged`.
 */
export async function ensureTokens(directory: DataDirectory, randomBytes: RandomBytes): Promise<EnsuredTokens> {
  if (await directory.has('tokenHashes')) {
    return { hashes: await readJson(directory.file('tokenHashes'), hashesShape), created: false }
  }
  const created = !(await directory.has('tokens'))
  if (created) {
    const fresh = () => Buffer.from(randomBytes(TOKEN_BYTES)).toString('base64url')
    const made = { operator: fresh(), platform: fresh(), auditor: fresh(), validator: fresh() }
    await createFileDurably(directory.file('tokens'), `${JSON.stringify(made, null, 2)}\n`, 0o600)
  }
  const tokens = await readJson(directory.file('tokens'), tokensShape)
  const hashes: TokenHashes = {
    operator: sha256Hex(tokens.operator),
    platform: sha256Hex(tokens.platform),
    auditor: sha256Hex(tokens.auditor),
    validator: sha256Hex(tokens.validator),
  }
  await createFileDurably(directory.file('tokenHashes'), `${JSON.stringify(hashes, null, 2)}\n`, 0o600)
  return { hashes, created }
}

/** Errors name what was expected, never what was found: that may be a token. */
async function readJson<T>(file: string, shape: Shape<T>): Promise<T> {
  const read = await readSecretFile(file, { maxBytes: MAX_FILE_BYTES })
  if ('fault' in read) {
    const reason = read.fault === 'exposed' ? exposedWords(file, read.mode) : read.reason
    throw nodeError('file_damaged', { file, reason })
  }
  const parsed = parseJsonFile(read.bytes)
  if ('fault' in parsed) throw nodeError('file_damaged', { file, reason: parsed.fault })
  try {
    return shape(parsed.value, 'it')
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    const { path, expected } = error.fields as { path: string; expected: string }
    throw nodeError('file_damaged', { file, reason: `${path}: expected ${expected}` })
  }
}
