import type { Command } from 'commander'
import { createPhraseFile, SECRET_BYTES } from '../../keys/key-file.ts'
import { phraseOf } from '../../keys/recovery-phrase.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import { makeOutFolder } from '../../node/out-file.ts'
import { signingKeyFromSecret } from '../../protocol/signature.ts'
import { openKeyFile, TYPED } from '../keys/key-files.ts'
import { printResult } from '../output.ts'
import { newPassphrase } from '../passphrase.ts'
import type { GlobalOptions } from '../program.ts'

interface NewOptions extends GlobalOptions {
  readonly out?: string
  readonly passphraseFile?: string
  readonly encrypt?: true
}

interface ShowOptions extends GlobalOptions {
  readonly passphraseFile?: string
  readonly words?: true
}

/** Words on a line: as many as are read aloud in one breath. */
const WORDS_A_LINE = 6

/** `solar-node keys recovery new|show`: recovery keys as 24 words (BIP39), to be kept on paper. */
export function registerKeysRecovery(keys: Command): void {
  const recovery = keys
    .command('recovery')
    .description('make and read recovery keys as 24 words, to be kept on paper')
    .addHelpText('after', '\nExample:\n  solar-node keys recovery new')
  recovery
    .command('new')
    .description('make a recovery key: its words are shown once, and kept nowhere')
    .option('--out <file>', 'put the words into a file of mode 0600 in place of showing them')
    .option('--passphrase-file <file>', 'with --out: encrypt it (age) with the first line of this file')
    .option('--encrypt', 'with --out: encrypt it (age) with a passphrase that is asked for')
    .addHelpText('after', '\nExample:\n  solar-node keys recovery new --out safe.words')
    .action(async (_options, command: Command) => newPhrase(command.optsWithGlobals()))
  recovery
    .command('show')
    .description('print the public key of a recovery key')
    .argument('[file]', 'its words, or a key file; without it the words are asked for')
    .option('--words', 'print the words, too, to be written down')
    .option('--passphrase-file <file>', 'opens an encrypted file; without it the passphrase is asked for')
    .addHelpText('after', '\nExample:\n  solar-node keys recovery show safe.words')
    .action(async (file: string | undefined, _options, command: Command) => showPhrase(file, command.optsWithGlobals()))
}

async function newPhrase(options: NewOptions): Promise<void> {
  const { out } = options
  if (out === undefined) {
    const secret = systemRandomBytes(SECRET_BYTES)
    const { publicKey } = signingKeyFromSecret(secret)
    const words = await phraseOf(secret)
    const lines = [...linesOf(words), 'Write the words down: they are shown once.']
    printResult(options.json === true, [`public key  ${publicKey}`, ...lines], { public_key: publicKey, words })
    return
  }
  const passphrase = await newPassphrase(options)
  await makeOutFolder(out)
  const { publicKey } = await createPhraseFile(out, { randomBytes: systemRandomBytes, passphrase })
  const result = { public_key: publicKey, file: out, encrypted: passphrase !== undefined }
  printResult(options.json === true, [`public key  ${publicKey}`, `words       ${out}`], result)
}

async function showPhrase(file: string | undefined, options: ShowOptions): Promise<void> {
  const { publicKey, secret } = await openKeyFile(file ?? TYPED, options.passphraseFile)
  const words = options.words === true ? { words: await phraseOf(secret) } : undefined
  const lines = words === undefined ? [] : linesOf(words.words)
  printResult(options.json === true, [`public key  ${publicKey}`, ...lines], { public_key: publicKey, ...words })
}

/** Numbered, some on a line. */
function linesOf(phrase: string): readonly string[] {
  const words = phrase.split(' ').map((word, index) => `${String(index + 1).padStart(2)} ${word.padEnd(8)}`)
  return Array.from({ length: words.length / WORDS_A_LINE }, (_, line) =>
    words
      .slice(line * WORDS_A_LINE, (line + 1) * WORDS_A_LINE)
      .join('  ')
      .trimEnd(),
  )
}
