import { readFile } from 'node:fs/promises'
import { decodeText } from '../protocol/text.ts'
import { UsageError } from './output.ts'

/** The token in a --token-file. Throws UsageError. */
export async function readTokenFile(file: string): Promise<string> {
  let token: string
  try {
    token = decodeText(await readFile(file)).trim()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`--token-file: ${file} cannot be read: ${reason}`)
  }
  // The file is never shown: it may be the wrong one and still hold a secret.
  if (/^[\x21-\x7e]+$/.test(token) && !token.startsWith('{')) return token
  throw new UsageError(`--token-file: ${file} must hold one token as plain text, a value of tokens.json`)
}
