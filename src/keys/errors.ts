import { errorFactory, type ErrorTable } from '../protocol/errors.ts'

/** What can be wrong with a key file or its passphrase. Never carries key material. */
const keyErrors = {
  key_missing: (f: { file: string }) =>
    `${f.file}: there is no such key file: a node makes its own at its first start, wait for that; another one is made by ` +
    `solar-node keys new --out ${f.file}`,
  key_exists: (f: { file: string }) => `${f.file} exists already: key files are never overwritten`,
  key_exposed: (f: { file: string; mode: string }) =>
    `${f.file}: others on this machine can read it (mode ${f.mode}): chmod 600 ${f.file}, and think of a new key`,
  key_malformed: (f: { file: string; reason: string }) => `${f.file} is not a key file: ${f.reason}`,
  key_unreadable: (f: { file: string; reason: string }) => `${f.file} cannot be read or written: ${f.reason}`,
  /** Its place has the public key alone. */
  key_in_signer: (f: { file: string; public_key: string }) =>
    `${f.file} says that the key ${f.public_key} is in a signer: start with --signer, or put the key file itself here`,
  key_encrypted: (f: { file: string }) => `${f.file} is encrypted: give its passphrase in a file (--passphrase-file)`,
  key_wrong_passphrase: (f: { file: string }) => `${f.file}: the passphrase does not open it`,
  passphrase_unusable: (f: { source: string; reason: string }) => `passphrase from ${f.source}: ${f.reason}`,
} satisfies ErrorTable

export type KeyErrorCode = keyof typeof keyErrors
export const keyError = errorFactory(keyErrors)
