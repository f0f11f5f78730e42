import { decodeText } from '../protocol/text.ts'
import { UsageError } from './output.ts'
import { readUserFile } from './user-file.ts'

/** Far above any token. */
const MAX_BYTES = 64 * 1024

/**
 * The one token in a file. Throws UsageError, which never shows the file: it may be the wrong one and still hold a secret.
 *
 * @param option the option that names the file
 * @param role whose token is meant; absent: more than one role may do it
 */
export async function readTokenFile(file: string, option = '--token-file', role?: string): Promise<string> {
  const token = tokenIn(await readUserFile(option, file, MAX_BYTES))
  if (token !== undefined) return token
  const value = role === undefined ? 'a value' : `the value of "${role}"`
  throw new UsageError(
    `${option}: expected a file with one token as plain text, ${value} in tokens.json, got ${JSON.stringify(file)}`,
  )
}

function tokenIn(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_BYTES) return undefined
  try {
    const token = decodeText(bytes).trim()
    return /^[\x21-\x7e]+$/.test(token) && !token.startsWith('{') ? token : undefined
  } catch {
    return undefined
  }
}
