import { createPrivateKey, sign } from 'node:crypto'
import { readKeyFile } from '../../src/keys/key-file.ts'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes, type Hash, type Hex } from '../../src/protocol/bytes.ts'
import { checkpointText, type Checkpoint } from '../../src/protocol/checkpoint.ts'
import type { Header, SealedHeader } from '../../src/protocol/header.ts'
import type { Membership } from '../../src/protocol/membership.ts'
import { noteKeyId, type Note, type NoteSignature } from '../../src/protocol/note.ts'
import type {
  Countersignable,
  PostedRegistryTransaction,
  RegistryTransactionBody,
} from '../../src/protocol/registry-transaction.ts'
import type { Credential, HttpRequest, PeerRequest } from '../../src/protocol/request.ts'
import {
  signingBytes,
  signingKeyFromSecret as signingKeyOf,
  type SignatureType,
  type SigningKey,
} from '../../src/protocol/signature.ts'
import type { Vote, VoteBody } from '../../src/protocol/vote.ts'

/**
 * What the functions of these names in src/protocol sign, signed at once: most data of tests is made by plain functions, and
 * whether a key answers later is of no interest to it. `test/unit/protocol/sign-now.test.ts` holds the two against each other.
 */

/** A key that signs at once as well. */
export interface TestKey extends SigningKey {
  readonly signNow: (message: Uint8Array) => Uint8Array
}

/** RFC 8410: what stands before a seed in the PKCS #8 form of an Ed25519 key. */
const PKCS8_START = '302e020100300506032b657004220420'

export function signingKeyFromSecret(secret: Uint8Array): TestKey {
  const der = Buffer.from(concatBytes(hexToBytes(PKCS8_START), secret))
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return { ...signingKeyOf(secret), signNow: (message) => Uint8Array.from(sign(null, message, key)) }
}

/** The key in a key file that is not encrypted. */
export const readTestKey = async (file: string): Promise<TestKey> =>
  signingKeyFromSecret((await readKeyFile(file)).secret)

export const signObject = (type: SignatureType, chainId: Hash, body: object, key: TestKey): Hex =>
  bytesToHex(key.signNow(signingBytes(type, chainId, body)))

export const sealHeader = (header: Header, key: TestKey): SealedHeader => ({
  header,
  signature: signObject('header', header.chain_id, header, key),
})

export const signVote = (body: VoteBody, key: TestKey): Vote => ({
  ...body,
  signature: signObject('vote', body.chain_id, body, key),
})

export const signMembership = (body: Omit<Membership, 'signature'>, key: TestKey): Membership => ({
  ...body,
  signature: signObject('member', body.chain_id, body, key),
})

export const signRequest = <R extends HttpRequest | PeerRequest>(
  voter_id: string,
  chainId: Hash,
  request: R,
  key: TestKey,
): R & Pick<Credential, 'voter_id' | 'signature'> => ({
  ...request,
  voter_id,
  signature: signObject('request', chainId, request, key),
})

export const signRegistryTransaction = (
  body: RegistryTransactionBody,
  chainId: Hash,
  key: TestKey,
): PostedRegistryTransaction => ({ ...body, signature: signObject(body.action, chainId, body, key) })

export function countersign<T extends Omit<Countersignable, 'tick_id'>>(
  posted: T,
  countersigner_id: string,
  chainId: Hash,
  key: TestKey,
): T {
  const named = { ...posted, countersigner_id }
  const signed: Record<string, unknown> = { ...named }
  delete signed.tick_id
  delete signed.countersignature
  return { ...named, countersignature: signObject('countersign', chainId, signed, key) }
}

export const signNote = (text: string, name: string, key: TestKey): NoteSignature => ({
  name,
  key_id: noteKeyId({ name, public_key: key.publicKey, type: 'ed25519' }),
  signature: key.signNow(utf8ToBytes(text)),
})

export function cosignNote(text: string, name: string, timestamp: number, key: TestKey): NoteSignature {
  const time = new Uint8Array(8)
  new DataView(time.buffer).setBigUint64(0, BigInt(timestamp))
  const signature = key.signNow(utf8ToBytes(`cosignature/v1\ntime ${timestamp}\n${text}`))
  const key_id = noteKeyId({ name, public_key: key.publicKey, type: 'cosignature' })
  return { name, key_id, signature: concatBytes(time, signature) }
}

export function signCheckpoint(checkpoint: Checkpoint, key: TestKey): Note {
  const text = checkpointText(checkpoint)
  return { text, signatures: [signNote(text, checkpoint.origin, key)] }
}
