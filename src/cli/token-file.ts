import { readFile } from 'node:fs/promises'
import { fileTrouble } from '../ports/file-trouble.ts'
import { decodeText } from '../protocol/text.ts'
import { UsageError } from './output.ts'

/**
 * The one token in a file. Throws UsageError, which never shows the file: it may be the wrong one and still hold a secret.
 *
 * @param option the option that names the file
 * @param role whose token is meant; absent: more than one role may do it
 */
export async function readTokenFile(file: string, option = '--token-file', role?: string): Promise<string> {
  let token: string
  try {
    token = decodeText(await readFile(file)).trim()
  } catch (error) {
    throw new UsageError(`${option}: expected a readable file (${fileTrouble(error)}), got ${JSON.stringify(file)}`)
  }
  if (/^[\x21-\x7e]+$/.test(token) && !token.startsWith('{')) return token
  const value = role === undefined ? 'a value' : `the value of "${role}"`
  throw new UsageError(
    `${option}: expected a file with one token as plain text, ${value} in tokens.json, got ${JSON.stringify(file)}`,
  )
}
