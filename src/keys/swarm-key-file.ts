import { fileTrouble } from '../ports/file-trouble.ts'
import { isSolarError } from '../protocol/errors.ts'
import { keyError } from './errors.ts'
import { readSecretFile } from './secret-file.ts'

/** As every libp2p has it: two lines that say what follows, then 32 bytes in hex. */
const SWARM_KEY = /^\/key\/swarm\/psk\/1\.0\.0\/\r?\n\/base16\/\r?\n([0-9a-fA-F]{64})\s{0,10}$/
const MAX_BYTES = 1_024

/**
 * The pre-shared key of a private network, in the form that libp2p takes. Throws `key_malformed`, `key_exposed`, `key_unreadable`.
 */
export async function readSwarmKeyFile(file: string): Promise<Uint8Array> {
  try {
    const read = await readSecretFile(file, { maxBytes: MAX_BYTES })
    if ('fault' in read && read.fault === 'exposed') throw keyError('key_exposed', { file, mode: read.mode })
    if ('fault' in read) throw keyError('key_unreadable', { file, reason: read.reason })
    const key = SWARM_KEY.exec(read.bytes.toString('latin1'))?.[1]
    if (key !== undefined) return Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${key.toLowerCase()}`, 'latin1')
  } catch (cause) {
    if (isSolarError(cause)) throw cause
    throw keyError('key_unreadable', { file, reason: fileTrouble(cause) }, cause)
  }
  const expected = 'expected the lines /key/swarm/psk/1.0.0/, /base16/, and 64 hex characters'
  throw keyError('key_malformed', { file, reason: expected })
}
