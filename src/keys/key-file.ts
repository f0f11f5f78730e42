import type { RandomBytes } from '../ports/clock.ts'
import { codeOf, fileTrouble } from '../ports/file-trouble.ts'
import { parseJsonText } from '../ports/json-file.ts'
import { bytesToHex, hexToBytes, type Hex } from '../protocol/bytes.ts'
import { isSolarError } from '../protocol/errors.ts'
import { isJsonObject, literal, object, text, publicKeyHex, type Shape } from '../protocol/shape.ts'
import { signingKeyFromSecret, type SigningKey } from '../protocol/signature.ts'
import { decodeText } from '../protocol/text.ts'
import { passphraseIdentity, passphraseRecipient } from './age-passphrase.ts'
import { createFileDurably } from './durable-file.ts'
import { keyError } from './errors.ts'
import { isPhrase, phraseOf, secretOfPhrase } from './recovery-phrase.ts'
import { readSecretFile } from './secret-file.ts'

/**
 * A key file is one JSON object, or the 24 words of a recovery phrase, or one of the two encrypted by age (armored, scrypt
 * passphrase), so that `age -d` opens it too. Mode 0600.
 */
export const SECRET_BYTES = 32
const KEY_FILE_MODE = 0o600
const MAX_FILE_BYTES = 16 * 1024
const AGE_HEADER = '-----BEGIN AGE ENCRYPTED FILE-----'

const keyFileShape = object({
  version: literal(1),
  kind: literal('solar-node-key'),
  public_key: publicKeyHex,
  secret_key: text(/^[0-9a-f]{64}$/, '64 lower-case hex characters'),
})

/** In the place of a key file where the key itself is in a signer. */
const signerKeyShape = object({ version: literal(1), kind: literal('solar-node-signer-key'), public_key: publicKeyHex })

/** A key with its secret, for who needs the seed itself (the libp2p identity). Everybody else takes a `SigningKey`. */
export interface KeyMaterial {
  readonly publicKey: Hex
  /** RFC 8032 seed, 32 bytes. */
  readonly secret: Uint8Array
}

export interface NewKeyOptions {
  readonly randomBytes: RandomBytes
  /** Encrypts the file. */
  readonly passphrase?: string | undefined
  /** What each try of a passphrase costs, as the log2 of scrypt's N. Only tests ask for less than age's own. */
  readonly workFactor?: number | undefined
}

/** About a second a try. */
const AGE_WORK_FACTOR = 18

/** Makes a key and writes it to `path`, durably. Throws `key_exists`, `key_unreadable`. */
export async function createKeyFile(path: string, options: NewKeyOptions): Promise<KeyMaterial> {
  const secret = options.randomBytes(SECRET_BYTES)
  const { publicKey } = signingKeyFromSecret(secret)
  const record = { version: 1, kind: 'solar-node-key', public_key: publicKey, secret_key: bytesToHex(secret) }
  await createSecretFile(path, `${JSON.stringify(record, null, 2)}\n`, options)
  return { publicKey, secret }
}

/** Makes a key and writes it to `path` as the words of a recovery phrase, durably. Throws as `createKeyFile`. */
export async function createPhraseFile(path: string, options: NewKeyOptions): Promise<KeyMaterial> {
  const secret = options.randomBytes(SECRET_BYTES)
  await createSecretFile(path, `${await phraseOf(secret)}\n`, options)
  return { publicKey: signingKeyFromSecret(secret).publicKey, secret }
}

/** Writes to `path` that the key is in a signer, durably. Throws `key_exists`, `key_unreadable`. */
export async function createSignerKeyFile(path: string, publicKey: Hex): Promise<void> {
  const record = { version: 1, kind: 'solar-node-signer-key', public_key: publicKey }
  await createSecretFile(path, `${JSON.stringify(record, null, 2)}\n`, {})
}

/** The public key in a file that says where its key is; `undefined` for a file with the key itself. Throws as `readKeyFile`. */
export async function readSignerKeyFile(path: string): Promise<Hex | undefined> {
  const content = await readPrivateFile(path)
  if (content.startsWith(AGE_HEADER) || isPhrase(content)) return undefined
  const parsed = parseJsonText(content)
  const isOne = 'value' in parsed && isJsonObject(parsed.value) && parsed.value.kind === 'solar-node-signer-key'
  return isOne ? checkShape(path, parsed.value, signerKeyShape).public_key : undefined
}

/**
 * Writes a text that is a secret, durably, encrypted where there is a passphrase. Throws `key_exists`,
 * `key_unreadable`.
 */
export async function createSecretFile(
  path: string,
  plain: string,
  options: Pick<NewKeyOptions, 'passphrase' | 'workFactor'>,
): Promise<void> {
  const { passphrase, workFactor } = options
  const content = passphrase === undefined ? plain : await encrypt(plain, passphrase, workFactor)
  try {
    await createFileDurably(path, content, KEY_FILE_MODE)
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') throw keyError('key_exists', { file: path }, cause)
    throw keyError('key_unreadable', { file: path, reason: fileTrouble(cause) }, cause)
  }
}

/**
 * Reads a key file with its secret. Throws `key_missing`, `key_exposed`, `key_malformed`, `key_unreadable`,
 * `key_encrypted` (no passphrase was given), `key_wrong_passphrase`.
 */
export async function readKeyFile(path: string, passphrase?: string): Promise<KeyMaterial> {
  return await parseKey(path, await readSecretText(path, passphrase))
}

/** Reads what `createSecretFile` wrote. Throws as `readKeyFile`. */
export async function readSecretText(path: string, passphrase?: string): Promise<string> {
  const content = await readPrivateFile(path)
  if (!content.startsWith(AGE_HEADER)) return content
  if (passphrase === undefined) throw keyError('key_encrypted', { file: path })
  return await decrypt(path, content, passphrase)
}

/** Reads a key file as a function that signs. Throws as `readKeyFile`. */
export async function loadKeyFile(path: string, passphrase?: string): Promise<SigningKey> {
  return signingKeyFromSecret((await readKeyFile(path, passphrase)).secret)
}

async function readPrivateFile(path: string): Promise<string> {
  const read = await readSecretFile(path, { maxBytes: MAX_FILE_BYTES, isStrict: true }).catch((cause: unknown) => {
    if (codeOf(cause) === 'ENOENT') throw keyError('key_missing', { file: path }, cause)
    throw keyError('key_unreadable', { file: path, reason: fileTrouble(cause) }, cause)
  })
  if ('bytes' in read) return textOf(path, read.bytes)
  if (read.fault === 'exposed') throw keyError('key_exposed', { file: path, mode: read.mode })
  throw keyError(read.fault === 'too_large' ? 'key_malformed' : 'key_unreadable', { file: path, reason: read.reason })
}

function textOf(file: string, bytes: Uint8Array): string {
  try {
    return decodeText(bytes)
  } catch {
    throw keyError('key_malformed', { file, reason: 'it is no text' })
  }
}

async function parseKey(file: string, content: string): Promise<KeyMaterial> {
  if (!isPhrase(content)) return parseRecord(file, content)
  return await keyOfPhrase(content, file)
}

/** The key of a recovery phrase. Throws `key_malformed`, which names the `source` of the words. */
export async function keyOfPhrase(words: string, source: string): Promise<KeyMaterial> {
  const secret = await secretOfPhrase(words, source)
  return { publicKey: signingKeyFromSecret(secret).publicKey, secret }
}

function parseRecord(file: string, content: string): KeyMaterial {
  const parsed = parseJsonText(content)
  // No cause: the parser's message would quote the text, and the text is a secret.
  if ('fault' in parsed) throw keyError('key_malformed', { file, reason: parsed.fault })
  if (isJsonObject(parsed.value) && parsed.value.kind === 'solar-node-signer-key') {
    throw keyError('key_in_signer', { file, public_key: checkShape(file, parsed.value, signerKeyShape).public_key })
  }
  const record = checkShape(file, parsed.value, keyFileShape)
  const secret = hexToBytes(record.secret_key)
  if (signingKeyFromSecret(secret).publicKey !== record.public_key) {
    throw keyError('key_malformed', { file, reason: 'public_key does not belong to secret_key' })
  }
  return { publicKey: record.public_key, secret }
}

function checkShape<T>(file: string, value: unknown, shape: Shape<T>): T {
  try {
    return shape(value, 'key')
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    // What was expected, never what was found: that is a secret, or nearly one.
    const { path, expected } = error.fields as { path: string; expected: string }
    throw keyError('key_malformed', { file, reason: `${path}: expected ${expected}` })
  }
}

/** Only encrypted files need it, and it takes long to load. */
const loadAge = () => import('age-encryption')

async function encrypt(content: string, passphrase: string, workFactor = AGE_WORK_FACTOR): Promise<string> {
  const { armor, Encrypter } = await loadAge()
  const encrypter = new Encrypter()
  encrypter.addRecipient(passphraseRecipient(passphrase, workFactor))
  return `${armor.encode(await encrypter.encrypt(content)).trimEnd()}\n`
}

async function decrypt(file: string, content: string, passphrase: string): Promise<string> {
  const { armor, Decrypter } = await loadAge()
  const decrypter = new Decrypter()
  const identity = passphraseIdentity(passphrase)
  let opened: Uint8Array | null | undefined
  decrypter.addIdentity({
    async unwrapFileKey(stanzas) {
      opened = await identity.unwrapFileKey(stanzas)
      return opened
    },
  })
  try {
    return await decrypter.decrypt(armor.decode(content), 'text')
  } catch (cause) {
    if (opened === null) throw keyError('key_wrong_passphrase', { file }, cause)
    throw keyError('key_malformed', { file, reason: (cause as Error).message }, cause)
  }
}
