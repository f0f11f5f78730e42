import { rm } from 'node:fs/promises'
import { createKeyFile, keyOfPhrase, readKeyFile, SECRET_BYTES, type KeyMaterial } from '../../keys/key-file.ts'
import { readPassphraseFile } from '../../keys/passphrase.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import { makeOutFolder } from '../../node/out-file.ts'
import type { Hex } from '../../protocol/bytes.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { signingKeyFromSecret, type SigningKey } from '../../protocol/signature.ts'
import { askHidden, newPassphrase, processTerminal } from '../passphrase.ts'

/** In place of a key file: the words of a recovery phrase are asked for. */
export const TYPED = '-'

/** Reads a key file, or asks for words; asks for the passphrase of an encrypted file if no other gives it. */
export async function openKeyFile(file: string, passphraseFile: string | undefined): Promise<KeyMaterial> {
  if (file === TYPED) {
    const words = await askHidden('Recovery phrase, 24 words', processTerminal, 'give a file that has them')
    return await keyOfPhrase(words, 'what was typed')
  }
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

/** The key that is to take over. */
export interface NewKeyFile {
  readonly file: string
  readonly publicKey: Hex
  /** True if there was no such file: `save` makes it. */
  readonly created: boolean
  /** Makes the file (0600) where it was not there; durable once it returns. Before that nothing may be sent: no key is registered that could be lost. */
  save(): Promise<void>
  /** Removes the file that `save` has made: only for a key that nobody has registered. */
  discard(): Promise<void>
}

/** The key in a file, or where there is none a new one for it, encrypted if a passphrase file is given. Makes nothing yet. */
export async function planKeyFile(file: string, passphraseFile: string | undefined): Promise<NewKeyFile> {
  const nothing = () => Promise.resolve()
  try {
    const { publicKey } = await openKeyFile(file, passphraseFile)
    return { file, publicKey, created: false, save: nothing, discard: nothing }
  } catch (error) {
    if (!isSolarError(error, 'key_missing')) throw error
  }
  const passphrase = await newPassphrase(passphraseFile === undefined ? {} : { passphraseFile })
  const secret = systemRandomBytes(SECRET_BYTES)
  let isSaved = false
  return {
    file,
    publicKey: signingKeyFromSecret(secret).publicKey,
    created: true,
    async save() {
      await makeOutFolder(file)
      await createKeyFile(file, { randomBytes: () => secret, passphrase })
      isSaved = true
    },
    async discard() {
      if (isSaved) await rm(file)
    },
  }
}

/** The public key that is typed, or that of a key file. */
export async function publicKeyOf(keyOrFile: string, passphraseFile: string | undefined): Promise<Hex> {
  if (/^[0-9a-f]{64}$/.test(keyOrFile)) return keyOrFile
  return (await openKeyFile(keyOrFile, passphraseFile)).publicKey
}
