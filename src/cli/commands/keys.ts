import type { Command } from 'commander'
import { isSolarError } from '../../protocol/errors.ts'
import { createKeyFile, readKeyFile, type KeyMaterial } from '../../keys/key-file.ts'
import { readPassphraseFile } from '../../keys/passphrase.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import { printResult } from '../output.ts'
import { askHidden, newPassphrase } from '../passphrase.ts'
import type { GlobalOptions } from '../program.ts'

interface NewOptions extends GlobalOptions {
  readonly out: string
  readonly passphraseFile?: string
  readonly encrypt?: true
}

interface ShowOptions extends GlobalOptions {
  readonly passphraseFile?: string
}

/** `solar-node keys new|show`. Secrets are never printed and never taken from the command line. */
export function registerKeys(program: Command): void {
  const keys = program
    .command('keys')
    .description('make and look at key files')
    .addHelpText('after', '\nExample:\n  solar-node keys new --out validator.key')
  keys
    .command('new')
    .description('make an Ed25519 key and keep it in a file of mode 0600')
    .option('--out <file>', 'where to put it; a file that is there is never overwritten', 'solar-node.key')
    .option('--passphrase-file <file>', 'encrypt it (age) with the first line of this file')
    .option('--encrypt', 'encrypt it (age) with a passphrase that is asked for')
    .addHelpText('after', '\nExample:\n  solar-node keys new --out validator.key --encrypt')
    .action(async (_options, command: Command) => newKey(command.optsWithGlobals()))
  keys
    .command('show')
    .description('print the public key of a key file')
    .argument('<file>', 'a key file')
    .option('--passphrase-file <file>', 'opens an encrypted key file; without it the passphrase is asked for')
    .addHelpText('after', '\nExample:\n  solar-node keys show validator.key')
    .action(async (file: string, _options, command: Command) => showKey(file, command.optsWithGlobals()))
}

async function newKey(options: NewOptions): Promise<void> {
  const passphrase = await newPassphrase(options)
  const { publicKey } = await createKeyFile(options.out, { randomBytes: systemRandomBytes, passphrase })
  printResult(options.json === true, [`public key  ${publicKey}`, `key file    ${options.out}`], {
    public_key: publicKey,
    file: options.out,
    encrypted: passphrase !== undefined,
  })
}

async function showKey(file: string, options: ShowOptions): Promise<void> {
  const { publicKey } = await openKeyFile(file, options.passphraseFile)
  printResult(options.json === true, [`public key  ${publicKey}`], { public_key: publicKey, file })
}

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
