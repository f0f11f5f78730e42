import { readFile } from 'node:fs/promises'
import { fileTrouble } from '../ports/file-trouble.ts'
import { decodeText } from '../protocol/text.ts'
import { keyError } from './errors.ts'

/** The first line of a file. Passphrases come from files or a terminal, never from the command line, which others see. */
export async function readPassphraseFile(file: string): Promise<string> {
  let content: string
  try {
    content = decodeText(await readFile(file))
  } catch (cause) {
    throw keyError('passphrase_unusable', { source: file, reason: fileTrouble(cause) }, cause)
  }
  const [line = ''] = content.split(/\r?\n/)
  if (line === '') throw keyError('passphrase_unusable', { source: file, reason: 'its first line is empty' })
  return line
}
