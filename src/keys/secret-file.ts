import { constants } from 'node:fs'
import { open, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readUpTo } from '../files/read-start.ts'
import { codeOf } from '../ports/file-trouble.ts'

/** A file with a secret in it, or why it is not taken. `mode`: octal, of a file that others can read. */
export type SecretFile =
  | { readonly bytes: Buffer }
  | { readonly fault: 'exposed'; readonly mode: string }
  | { readonly fault: 'unusable' | 'too_large'; readonly reason: string }

export interface SecretFileRules {
  /** More is not read. */
  readonly maxBytes: number
  /** Whether a mode of more than 0600 is a fault wherever the file lies; otherwise where others can reach it. */
  readonly isStrict?: boolean
}

const OTHERS = 0o077
const OTHERS_MAY_PASS = 0o011
/** Windows has neither links of this kind nor modes. */
const READ = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NOFOLLOW)
/** What a shell makes of `<(command)` and `< file`: a link, to something that this process has open already. */
const OWN_DESCRIPTOR = /^\/(?:dev\/(?:stdin|fd\/[0-9]{1,9})|proc\/self\/fd\/[0-9]{1,9})$/
const IS_LINK = 'it is a link, expected a file: name what it points to'

/**
 * Reads a file with a secret. What is checked is what is read: links are not followed, the mode and the owner are those of the open file.
 * A pipe has no mode that says anything. Rejects with the system's error.
 */
export async function readSecretFile(
  path: string,
  { maxBytes, isStrict = false }: SecretFileRules,
): Promise<SecretFile> {
  const flags = OWN_DESCRIPTOR.test(path) ? constants.O_RDONLY : READ
  const file = await open(path, flags).catch((error: unknown) => {
    if (codeOf(error) === 'ELOOP') return undefined
    throw error
  })
  if (file === undefined) return { fault: 'unusable', reason: IS_LINK }
  try {
    const status = await file.stat()
    if (status.isFile() && process.platform !== 'win32') {
      const stranger = strangerOf(status.uid)
      if (stranger !== undefined) return { fault: 'unusable', reason: stranger }
      if ((status.mode & OTHERS) !== 0 && (isStrict || (await canBeReached(path)))) {
        return { fault: 'exposed', mode: (status.mode & 0o777).toString(8).padStart(4, '0') }
      }
    }
    const bytes = await readUpTo(file, maxBytes + 1)
    if (bytes.length <= maxBytes) return { bytes }
    return { fault: 'too_large', reason: `it has more than ${maxBytes} bytes` }
  } finally {
    await file.close()
  }
}

/** What is wrong with the mode of a file that others can read. */
export const exposedWords = (file: string, mode: string): string =>
  `others on this machine can read it (mode ${mode}): chmod 600 ${file}`

/** What is wrong with an owner: whoever it is can change the file. `undefined` for this user, and for root, who can anyway. */
export function strangerOf(owner: number): string | undefined {
  const user = process.getuid?.()
  if (user === undefined || owner === user || owner === 0) return undefined
  return `it belongs to user ${owner}, this is user ${user}: run as its owner, or chown it`
}

/** Whether other users can get through the folders above. */
async function canBeReached(path: string): Promise<boolean> {
  let folder = dirname(await realpath(path))
  while (((await stat(folder)).mode & OTHERS_MAY_PASS) !== 0) {
    if (folder === dirname(folder)) return true
    folder = dirname(folder)
  }
  return false
}
