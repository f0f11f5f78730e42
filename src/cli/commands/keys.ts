import type { Command } from 'commander'
import { createKeyFile } from '../../keys/key-file.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import { makeOutFolder } from '../../node/out-file.ts'
import { openKeyFile } from '../keys/key-files.ts'
import { printResult } from '../output.ts'
import { newPassphrase } from '../passphrase.ts'
import type { GlobalOptions } from '../program.ts'
import { registerKeyChanges } from './keys-changes.ts'
import { registerKeysRecovery } from './keys-recovery.ts'

export { openKeyFile } from '../keys/key-files.ts'

interface NewOptions extends GlobalOptions {
  readonly out: string
  readonly passphraseFile?: string
  readonly encrypt?: true
}

interface ShowOptions extends GlobalOptions {
  readonly passphraseFile?: string
}

/** `solar-node keys new|show` and the changes of the registry. Secrets are never printed and never taken from the command line. */
export function registerKeys(program: Command): void {
  const keys = program
    .command('keys')
    .description('make and look at key files; register, replace and revoke keys')
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
    .description('print the public key of a key file, and the recipient (age) that payloads are encrypted for')
    .argument('<file>', 'a key file')
    .option('--passphrase-file <file>', 'opens an encrypted key file; without it the passphrase is asked for')
    .addHelpText('after', '\nExample:\n  solar-node keys show validator.key')
    .action(async (file: string, _options, command: Command) => showKey(file, command.optsWithGlobals()))
  registerKeysRecovery(keys)
  registerKeyChanges(keys)
}

async function newKey(options: NewOptions): Promise<void> {
  const passphrase = await newPassphrase(options)
  await makeOutFolder(options.out)
  const { publicKey } = await createKeyFile(options.out, { randomBytes: systemRandomBytes, passphrase })
  printResult(options.json === true, [`public key  ${publicKey}`, `key file    ${options.out}`], {
    public_key: publicKey,
    file: options.out,
    encrypted: passphrase !== undefined,
  })
}

async function showKey(file: string, options: ShowOptions): Promise<void> {
  const { publicKey } = await openKeyFile(file, options.passphraseFile)
  const { recipientOf } = await import('../../payload/recipient.ts')
  const recipient = recipientOf(publicKey)
  const lines = [`public key  ${publicKey}`, `recipient   ${recipient}`]
  printResult(options.json === true, lines, { public_key: publicKey, recipient, file })
}
