import { fileTrouble } from '../ports/file-trouble.ts'
import { isSolarError } from '../protocol/errors.ts'
import { decodeText } from '../protocol/text.ts'
import { keyError } from './errors.ts'
import { exposedWords, readSecretFile } from './secret-file.ts'

/** Far above any passphrase. */
const MAX_BYTES = 64 * 1024
/** All but the tab. */
const CONTROL = /(?!\t)\p{Cc}/u

/** The first line of a file that others cannot read. Passphrases come from files or a terminal, never from the command line, which others see. */
export async function readPassphraseFile(file: string): Promise<string> {
  const unusable = (reason: string, cause?: unknown) => keyError('passphrase_unusable', { source: file, reason }, cause)
  let content: string
  try {
    const read = await readSecretFile(file, { maxBytes: MAX_BYTES })
    if ('fault' in read) {
      throw unusable(read.fault === 'exposed' ? exposedWords(file, read.mode) : read.reason)
    }
    content = decodeText(read.bytes)
  } catch (cause) {
    if (isSolarError(cause, 'passphrase_unusable')) throw cause
    throw unusable(fileTrouble(cause), cause)
  }
  const [line = ''] = content.split(/\r?\n/)
  if (line === '') throw unusable('its first line is empty')
  // What nobody can type was not meant: UTF-16 without its mark has a zero byte in every character, a key file of another program too.
  if (CONTROL.test(line)) throw unusable('its first line has control characters, expected a line of text (UTF-8)')
  return line
}
