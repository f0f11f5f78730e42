import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { readPassphraseFile } from '../keys/passphrase.ts'
import { UsageError } from './output.ts'

/** A terminal to ask on. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream
}

export const processTerminal: Terminal = { input: process.stdin, output: process.stderr }

/** Asks for a line without showing what is typed. Throws `UsageError` where nobody can answer. */
export async function askHidden(
  question: string,
  terminal: Terminal = processTerminal,
  otherwise = 'give --passphrase-file FILE',
): Promise<string> {
  if (terminal.input.isTTY !== true) {
    throw new UsageError(`${question}: there is no terminal to ask on, ${otherwise}`)
  }
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const reader = createInterface({ input: terminal.input, output: nowhere, terminal: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once('line', resolve)
      reader.once('close', () => reject(new UsageError(`${question}: nothing was typed`)))
      terminal.output.write(`${question}: `)
    })
  } finally {
    reader.close()
    terminal.output.write('\n')
  }
}

/** A new passphrase: from the file, or typed twice if `encrypt` asks for one, or none. */
export async function newPassphrase(
  options: { readonly passphraseFile?: string; readonly encrypt?: true },
  terminal: Terminal = processTerminal,
): Promise<string | undefined> {
  if (options.passphraseFile !== undefined) return readPassphraseFile(options.passphraseFile)
  if (options.encrypt !== true) return undefined
  const first = await askHidden('New passphrase', terminal)
  if (first === '') throw new UsageError('passphrase: expected at least one character')
  if ((await askHidden('The same again', terminal)) !== first) throw new UsageError('the two passphrases differ')
  return first
}
