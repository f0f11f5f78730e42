import { bytesToHex, hexToBytes } from '../protocol/bytes.ts'
import { PSEUDONYM_SECRET_BYTES } from '../protocol/pseudonym.ts'
import { keyError } from './errors.ts'
import { createSecretFile, readSecretText, type NewKeyOptions } from './key-file.ts'

const SECRET = /^[0-9a-f]{64}$/

/**
 * Makes the secret of a pseudonymous ledger and writes it to `path`, durably: 64 hex digits, mode 0600,
 * encrypted as keys are. Throws `key_exists`, `key_unreadable`.
 */
export async function createPseudonymSecret(path: string, options: NewKeyOptions): Promise<Uint8Array> {
  const secret = options.randomBytes(PSEUDONYM_SECRET_BYTES)
  await createSecretFile(path, `${bytesToHex(secret)}\n`, options)
  return secret
}

/** Reads what `createPseudonymSecret` wrote. Throws as `readKeyFile`. */
export async function readPseudonymSecret(path: string, passphrase?: string): Promise<Uint8Array> {
  const text = (await readSecretText(path, passphrase)).trim()
  if (!SECRET.test(text)) throw keyError('key_malformed', { file: path, reason: 'expected 64 lower-case hex digits' })
  return hexToBytes(text)
}
