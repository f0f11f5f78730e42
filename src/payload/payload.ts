import { base64ToBytes, bytesToBase64 } from '../protocol/base64.ts'
import { protocolError } from '../protocol/errors.ts'
import { payloadShape } from '../protocol/payload.ts'
import { identityOf, recipientShape } from './recipient.ts'

/** Only who opens or makes a payload needs it, and it takes long to load. */
const loadAge = () => import('age-encryption')

/**
 * Encrypts what parties and auditors are to read of a trade, and nobody else: the `payload` of a row of
 * `POST /ticks/`. All recipients get the same file, and none can tell the others apart. Throws `malformed`
 * for a recipient that is none, for no recipient at all, and where the file gets too large (4,096 bytes).
 *
 * @param recipients `age1...`, as `GET /users/{id}/recipients` lists them
 *
 * @example
 * const payload = await encryptPayload(JSON.stringify({ contract: 'A-17' }), [seller, buyer, auditor])
 */
export async function encryptPayload(plain: string | Uint8Array, recipients: readonly string[]): Promise<string> {
  if (recipients.length === 0) throw refusal('recipients', 'at least one recipient', 'none')
  const { Encrypter } = await loadAge()
  const encrypter = new Encrypter()
  for (const [index, recipient] of recipients.entries()) {
    const path = `recipients[${index}]`
    try {
      encrypter.addRecipient(recipientShape(recipient, path))
    } catch (error) {
      throw refusal(path, 'a recipient of age, age1 and 58 characters', recipient.slice(0, 80), error)
    }
  }
  return payloadShape(bytesToBase64(await encrypter.encrypt(plain)), 'payload')
}

/**
 * Opens the payload of a trade with the Ed25519 key of a device that it was encrypted for. Throws
 * `malformed` for what is no payload, or is not for this key.
 *
 * @param secret RFC 8032 seed of the device's key, 32 bytes
 */
export async function decryptPayload(payload: string, secret: Uint8Array): Promise<Uint8Array> {
  const file = base64ToBytes(payloadShape(payload, 'payload'), 'payload')
  const { Decrypter } = await loadAge()
  const decrypter = new Decrypter()
  decrypter.addIdentity(identityOf(secret))
  try {
    return await decrypter.decrypt(file)
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error)
    throw refusal('payload', 'an age file that is encrypted for this key', got, error)
  }
}

const refusal = (path: string, expected: string, got: string, cause?: unknown) =>
  protocolError('malformed', { path, expected, got }, cause)
