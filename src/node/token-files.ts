import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { grantOf, hashToken } from '../http/tokens.ts'
import { createFileDurably } from '../keys/durable-file.ts'
import { exposedWords, readSecretFile } from '../keys/secret-file.ts'
import type { RandomBytes } from '../ports/clock.ts'
import { parseJsonFile } from '../ports/json-file.ts'
import { ACCESS_ROLES, type TokenBook, type TokenGrant } from '../ports/tokens.ts'
import { isSolarError } from '../protocol/errors.ts'
import {
  array,
  hash32,
  identifier,
  integer,
  nullable,
  object,
  oneOf,
  text,
  timestampMs,
  type Shape,
} from '../protocol/shape.ts'
import { TOKENS_LOCK, type DataDirectory } from './data-directory.ts'
import { nodeError } from './errors.ts'
import { writeOutFile } from './out-file.ts'
import { takeProcessLock } from './process-lock.ts'

/** tokens.json, which the operator takes away, and token-hashes.json, which the node goes by (docs/operations.md). */

/** 256 random bits, base64url. */
const TOKEN_BYTES = 32
/** Far above four tokens, and room for the hashes of some thousand. */
const MAX_FILE_BYTES = 1024 * 1024
const MAX_TOKENS = 1_000
/** A day's enrolments of one token. */
export const MAX_PER_DAY = 10_000

const token = text(/^[A-Za-z0-9_-]{43,}$/, 'at least 256 bits in base64url')
const FIRST_ROLES = ['operator', 'platform', 'auditor', 'validator'] as const
/** Roles of the tokens that the first start makes: also their names. */
export type TokenRole = (typeof FIRST_ROLES)[number]
const tokensShape = object({ operator: token, platform: token, auditor: token, validator: token })
const grantShape: Shape<TokenGrant> = object(
  { name: identifier, role: oneOf(...ACCESS_ROLES), hash: hash32, expires_at: nullable(timestampMs) },
  { users: identifier, per_day: integer(1, MAX_PER_DAY) },
)
const grantsShape = object({ tokens: array(grantShape, MAX_TOKENS) })

export interface NodeTokens extends TokenBook {
  /** True if tokens.json was written just now, for the operator to take away. */
  readonly created: boolean
}

/**
 * The tokens of a data directory, made where there are none. tokens.json comes first: a kill between the two leaves tokens
 * whose hashes the next start makes. Once the hashes are there tokens.json is not read again, and removing
 * token-hashes.json together with tokens.json gives new tokens. Throws `file_damaged`.
 */
export async function ensureTokens(directory: DataDirectory, randomBytes: RandomBytes): Promise<NodeTokens> {
  const file = directory.file('tokenHashes')
  if (await directory.has('tokenHashes')) return { ...(await openTokenBook(file)), created: false }
  const created = !(await directory.has('tokens'))
  if (created) {
    const made = Object.fromEntries(FIRST_ROLES.map((role) => [role, newToken(randomBytes)]))
    await createFileDurably(directory.file('tokens'), `${JSON.stringify(made, null, 2)}\n`, 0o600)
  }
  const tokens = await readJson(directory.file('tokens'), tokensShape)
  const grants = FIRST_ROLES.map((role) => ({ name: role, role, hash: hashToken(tokens[role]), expires_at: null }))
  await createFileDurably(file, textOf(grants), 0o600)
  return { ...(await openTokenBook(file)), created }
}

/**
 * The tokens that the file says are valid, as of now: it is looked at before each answer, so what a command has written counts with
 * the next request. While the file is damaged or gone no token counts. Throws `file_damaged`, `find` too.
 */
async function openTokenBook(file: string): Promise<TokenBook> {
  let known = await look(file)
  let read = await readTokens(file)
  return {
    async find(presented) {
      const now = await look(file)
      if (now !== known) {
        // In this order: what changes meanwhile is read with the next request.
        read = await readTokens(file)
        known = now
      }
      return grantOf(presented, read)
    },
  }
}

/** What tells one content of a file from the next: each is a file of its own, renamed to its place. */
async function look(file: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(file)
    return `${ino} ${mtimeMs} ${size}`
  } catch (error) {
    throw nodeError('file_damaged', { file, reason: 'it cannot be read: no token counts' }, error)
  }
}

/** The grants in token-hashes.json. Throws `file_damaged`. */
export const readTokens = async (file: string): Promise<readonly TokenGrant[]> =>
  (await readJson(file, grantsShape)).tokens

/**
 * Changes the grants in token-hashes.json, for one process at a time: of two at once the later would undo the other, and a token
 * that was revoked would count again. Throws `file_in_use`, `file_damaged`, and what `change` throws.
 */
export async function changeTokens(
  file: string,
  change: (grants: readonly TokenGrant[]) => readonly TokenGrant[] | Promise<readonly TokenGrant[]>,
): Promise<void> {
  // Where there is none nothing is made.
  await readTokens(file)
  const lock = await takeProcessLock(join(dirname(file), TOKENS_LOCK))
  if ('holder' in lock) throw nodeError('file_in_use', { file, holder: lock.holder })
  try {
    await writeTokens(file, await change(await readTokens(file)))
  } finally {
    lock.release()
  }
}

/** Replaces the grants in token-hashes.json, whole or not at all, durable once it returns; a node that runs takes it up. */
export async function writeTokens(file: string, grants: readonly TokenGrant[]): Promise<void> {
  await writeOutFile({ path: file, force: true }, [textOf(grants)])
}

const textOf = (grants: readonly TokenGrant[]): string => `${JSON.stringify({ tokens: grants }, null, 2)}\n`

export const newToken = (randomBytes: RandomBytes): string =>
  Buffer.from(randomBytes(TOKEN_BYTES)).toString('base64url')

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
