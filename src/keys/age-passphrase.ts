import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import type { Identity, Recipient, Stanza } from 'age-encryption'

/**
 * A passphrase as a recipient and an identity of age (C2SP age.md, "The scrypt recipient type"). The same bytes as
 * age's own, but derived by Node.js beside the event loop: in JavaScript a key takes seconds in which a node answers nobody.
 */
const LABEL = 'age-encryption.org/v1/scrypt'
const SALT_BYTES = 16
const TAG_BYTES = 16
const WRAPPED_BYTES = 32
const BLOCK_SIZE = 8
/** A gigabyte of memory a try. A file may ask for more than anybody has. */
const MAX_WORK_FACTOR = 20
const WORK_FACTOR = /^[1-9][0-9]?$/
const CIPHER = 'chacha20-poly1305'
const NONCE = new Uint8Array(12)

/** What encrypts a file for whoever knows `passphrase`; `workFactor` is the log2 of scrypt's N. */
export function passphraseRecipient(passphrase: string, workFactor: number): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const salt = randomBytes(SALT_BYTES)
      const cipher = createCipheriv(CIPHER, await derive(passphrase, salt, workFactor), NONCE, {
        authTagLength: TAG_BYTES,
      })
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()])
      const { Stanza } = await import('age-encryption')
      return [new Stanza(['scrypt', unpadded(salt), String(workFactor)], body)]
    },
  }
}

/** What opens a file that is encrypted for `passphrase` alone. Throws a plain `Error` that says why a header is none. */
export function passphraseIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const { salt, workFactor, body } = scryptStanza(stanzas)
      const key = await derive(passphrase, salt, workFactor)
      const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
      decipher.setAuthTag(body.subarray(-TAG_BYTES))
      const opened = decipher.update(body.subarray(0, -TAG_BYTES))
      try {
        decipher.final()
      } catch {
        return null
      }
      return new Uint8Array(opened)
    },
  }
}

function scryptStanza([stanza, ...others]: readonly Stanza[]) {
  const [type, salt = '', workFactor = '', ...more] = stanza?.args ?? []
  if (stanza === undefined || others.length > 0 || type !== 'scrypt') throw new Error('it is not for one passphrase')
  const bytes = Buffer.from(salt, 'base64')
  if (
    bytes.length !== SALT_BYTES ||
    unpadded(bytes) !== salt ||
    more.length > 0 ||
    stanza.body.length !== WRAPPED_BYTES
  ) {
    throw new Error('damaged age header')
  }
  if (!WORK_FACTOR.test(workFactor) || Number(workFactor) > MAX_WORK_FACTOR) {
    throw new Error(`its work factor is not one of 1 to ${MAX_WORK_FACTOR}`)
  }
  return { salt: bytes, workFactor: Number(workFactor), body: stanza.body }
}

function derive(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const cost = 2 ** workFactor
  const options = { cost, blockSize: BLOCK_SIZE, parallelization: 1, maxmem: 128 * BLOCK_SIZE * (cost + 4) }
  return new Promise((resolve, reject) => {
    const salted = Buffer.concat([Buffer.from(LABEL), salt])
    scrypt(passphrase, salted, 32, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')
