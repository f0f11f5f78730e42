import { createKeyFile, readKeyFile, type KeyMaterial } from '../../keys/key-file.ts'
import { readPassphraseFile } from '../../keys/passphrase.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import type { Hex } from '../../protocol/bytes.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { signingKeyFromSecret, type SigningKey } from '../../protocol/signature.ts'
import { askHidden, newPassphrase } from '../passphrase.ts'

/** Reads a key file; asks for the passphrase of an encrypted one if no file gives it. */
export async function openKeyFile(file: string, passphraseFile: string | undefined): Promise<KeyMaterial> {
  const passphrase = passphraseFile === undefined ? undefined : await readPassphraseFile(passphraseFile)
  try {
    return await readKeyFile(file, passphrase)
  } catch (error) {
    if (!isSolarError(error, 'key_encrypted')) throw error
    return readKeyFile(file, await askHidden(`Passphrase of ${file}`))
  }
}

/** `openKeyFile`, as a function that signs. */
export async function openSigningKey(file: string, passphraseFile: string | undefined): Promise<SigningKey> {
  return signingKeyFromSecret((await openKeyFile(file, passphraseFile)).secret)
}

export interface NewKeyFile {
  readonly file: string
  readonly publicKey: Hex
  /** True if the file was made just now. */
  readonly created: boolean
}

/**
 * The key that is to take over, from its file. Where there is no such file it is made (0600, encrypted if a passphrase file
 * is given) and durable once this returns: so no key is registered that could still be lost.
 */
export async function openOrCreateKeyFile(file: string, passphraseFile: string | undefined): Promise<NewKeyFile> {
  try {
    const { publicKey } = await openKeyFile(file, passphraseFile)
    return { file, publicKey, created: false }
  } catch (error) {
    if (!isSolarError(error, 'key_missing')) throw error
  }
  const passphrase = await newPassphrase(passphraseFile === undefined ? {} : { passphraseFile })
  const { publicKey } = await createKeyFile(file, { randomBytes: systemRandomBytes, passphrase })
  return { file, publicKey, created: true }
}

/** The public key that is typed, or that of a key file. */
export async function publicKeyOf(keyOrFile: string, passphraseFile: string | undefined): Promise<Hex> {
  if (/^[0-9a-f]{64}$/.test(keyOrFile)) return keyOrFile
  return (await openKeyFile(keyOrFile, passphraseFile)).publicKey
}
