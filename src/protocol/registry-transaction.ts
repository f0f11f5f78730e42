import type { Hash } from './bytes.ts'
import { protocolError } from './errors.ts'
import { finalityShape, roleShape } from './genesis.ts'
import { REGISTRY_VALIDITY_MS } from './limits.ts'
import {
  identifier,
  isJsonObject,
  literal,
  nonceHex,
  nullable,
  object,
  publicKeyHex,
  refuse,
  signatureHex,
  timestampMs,
  type Shape,
  type TypeOf,
} from './shape.ts'
import { signObject, verifyObject, type SigningKey } from './signature.ts'

/** A change of the registry (docs/protocol.md 6). It is signed before its tick is known, so `tick_id` is not signed. */
const common = {
  kind: literal('registry'),
  id: identifier,
  subject_id: identifier,
  timestamp: timestampMs,
  tick_id: identifier,
  nonce: nonceHex,
  signature: signatureHex,
}
const recovery_key = nullable(publicKeyHex)

/** A new id; signed by the new key as proof of possession. */
const enrolShape = object(
  { ...common, action: literal('enrol'), role: roleShape, public_key: publicKeyHex },
  { recovery_key },
)
/** A new key; signed by the old one. */
const rotateShape = object({ ...common, action: literal('rotate'), public_key: publicKeyHex }, { recovery_key })
/** Signed by the subject or by an active authority. */
const revokeShape = object({ ...common, action: literal('revoke') })
/** A new key for a lost one, also after a revocation; signed by the recovery key. */
const recoverShape = object({ ...common, action: literal('recover'), public_key: publicKeyHex }, { recovery_key })
/** A new finality policy from the next height; `subject_id` names the authority that signs. */
const policyShape = object({ ...common, action: literal('policy'), finality: finalityShape })

export type RegistryTransaction =
  | TypeOf<typeof enrolShape>
  | TypeOf<typeof rotateShape>
  | TypeOf<typeof revokeShape>
  | TypeOf<typeof recoverShape>
  | TypeOf<typeof policyShape>
export type RegistryAction = RegistryTransaction['action']

export const registryTransactionShape: Shape<RegistryTransaction> = (value, path) => {
  const action = isJsonObject(value) ? value.action : undefined
  if (action === 'enrol') return enrolShape(value, path)
  if (action === 'rotate') return rotateShape(value, path)
  if (action === 'revoke') return revokeShape(value, path)
  if (action === 'recover') return recoverShape(value, path)
  if (action === 'policy') return policyShape(value, path)
  return refuse(`${path}.action`, 'one of enrol, rotate, revoke, recover, policy', action)
}

type WithoutTick<T> = T extends unknown ? Omit<T, 'tick_id'> : never
type Unsigned<T> = T extends unknown ? Omit<T, 'tick_id' | 'signature'> : never
/** As it is signed and posted: the tick comes later. */
export type PostedRegistryTransaction = WithoutTick<RegistryTransaction>
export type RegistryTransactionBody = Unsigned<RegistryTransaction>

/** The tick of a registry transaction is its own. */
export const registryTickId = (nonce: string): string => `registry:${nonce}`

/** The transaction of a posted one: with the tick that will seal it. Throws `malformed`. */
export function decodePostedRegistryTransaction(value: unknown): RegistryTransaction {
  if (!isJsonObject(value)) refuse('transaction', 'an object', value)
  if (Object.hasOwn(value, 'tick_id')) refuse('transaction.tick_id', 'no such field', value.tick_id)
  const nonce = nonceHex(value.nonce, 'transaction.nonce')
  return registryTransactionShape({ ...value, tick_id: registryTickId(nonce) }, 'transaction')
}

/** Signs a registry transaction as its action demands: with the new, the old, the recovery or an authority's key. */
export function signRegistryTransaction(
  body: RegistryTransactionBody,
  chainId: Hash,
  key: SigningKey,
): PostedRegistryTransaction {
  return { ...body, signature: signObject(body.action, chainId, body, key) }
}

/** True if the transaction is signed with this key. */
export function isSignedBy(tx: RegistryTransaction, chainId: Hash, publicKey: string): boolean {
  const { signature, ...rest } = tx
  const body: Record<string, unknown> = { ...rest }
  delete body.tick_id
  return verifyObject(tx.action, chainId, body, signature, publicKey)
}

/**
 * Checks that a change is sealed in the time in which it may be (docs/protocol.md 6): one that was signed, by a clock
 * that was ahead or not, cannot be brought up years later. Throws `registry_refused`.
 *
 * @param time of its block, Unix milliseconds
 */
export function checkChangeTime(change: Pick<RegistryTransaction, 'id' | 'timestamp'>, time: number): void {
  checkChangeFresh(change, time)
  if (change.timestamp > time)
    refuseRegistry(change, `it was signed at ${change.timestamp}, after ${time}, the time of its block`)
}

/**
 * Checks that a change is not too old already for the next block. Throws `registry_refused`.
 *
 * @param time of the parent, Unix milliseconds: that of the block is not before it
 */
export function checkChangeFresh(change: Pick<RegistryTransaction, 'id' | 'timestamp'>, time: number): void {
  if (change.timestamp >= time - REGISTRY_VALIDITY_MS) return
  refuseRegistry(change, `it was signed at ${change.timestamp}, more than 24 hours before ${time}: sign it anew`)
}

/** Throws `registry_refused`. */
export function refuseRegistry(tx: Pick<RegistryTransaction, 'id'>, reason: string): never {
  throw protocolError('registry_refused', { id: tx.id, reason })
}
