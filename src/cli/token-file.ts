import { exposedWords, readSecretFile } from '../keys/secret-file.ts'
import { decodeText } from '../protocol/text.ts'
import { UsageError } from './output.ts'
import { unreadableFile } from './user-file.ts'

/** Far above any token. */
const MAX_BYTES = 64 * 1024

/**
 * The one token in a file that others cannot read. Throws UsageError, which never shows the file: it may be the wrong one and still hold a secret.
 *
 * @param option the option that names the file
 * @param role whose token is meant; absent: more than one role may do it
 */
export async function readTokenFile(file: string, option = '--token-file', role?: string): Promise<string> {
  const read = await readSecretFile(file, { maxBytes: MAX_BYTES }).catch((error: unknown) => {
    throw unreadableFile(option, file, error)
  })
  if ('fault' in read && read.fault === 'exposed') {
    throw new UsageError(`${option}: ${file}: ${exposedWords(file, read.mode)}, and think of a new token`)
  }
  if ('fault' in read) throw new UsageError(`${option}: ${file}: ${read.reason}`)
  const token = tokenIn(read.bytes)
  if (token !== undefined) return token
  const value = role === undefined ? 'a value' : `the value of "${role}"`
  throw new UsageError(
    `${option}: expected a file with one token as plain text, ${value} in tokens.json, got ${JSON.stringify(file)}`,
  )
}

function tokenIn(bytes: Uint8Array): string | undefined {
  try {
    const token = decodeText(bytes).trim()
    return /^[\x21-\x7e]+$/.test(token) && !token.startsWith('{') ? token : undefined
  } catch {
    return undefined
  }
}
