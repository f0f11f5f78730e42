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
/** An active authority that signs as well: both fields, or none. */
const countersigned = { countersigner_id: identifier, countersignature: signatureHex }

/** A new id; signed by the new key as proof of possession, and by an authority where the role is not voter. */
const enrolShape = object(
  { ...common, action: literal('enrol'), role: roleShape, public_key: publicKeyHex },
  { recovery_key, ...countersigned },
)
/** A new key; signed by the old one. It leaves a recovery key that there is as it is. */
const rotateShape = object({ ...common, action: literal('rotate'), public_key: publicKeyHex }, { recovery_key })
/** Signed by the subject or by an active authority. */
const revokeShape = object({ ...common, action: literal('revoke') })
/** A new key for a lost one, also after a revocation; signed by the recovery key, after one by an authority by an authority too. */
const recoverShape = object(
  { ...common, action: literal('recover'), public_key: publicKeyHex },
  { recovery_key, ...countersigned },
)
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
  if (action === 'enrol') return bothOrNone(enrolShape(value, path), path)
  if (action === 'rotate') return rotateShape(value, path)
  if (action === 'revoke') return revokeShape(value, path)
  if (action === 'recover') return bothOrNone(recoverShape(value, path), path)
  if (action === 'policy') return policyShape(value, path)
  return refuse(`${path}.action`, 'one of enrol, rotate, revoke, recover, policy', action)
}

/** Throws `malformed` for a countersigner without its signature, or the other way round. */
function bothOrNone<T extends { readonly countersigner_id?: string; readonly countersignature?: string }>(
  tx: T,
  path: string,
): T {
  const [missing] = (['countersigner_id', 'countersignature'] as const).filter((name) => tx[name] === undefined)
  if (missing === undefined || (tx.countersigner_id === undefined && tx.countersignature === undefined)) return tx
  return refuse(`${path}.${missing}`, 'countersigner_id and countersignature, or neither', undefined)
}

type WithoutTick<T> = T extends unknown ? Omit<T, 'tick_id'> : never
type Unsigned<T> = T extends unknown
  ? Omit<T, 'tick_id' | 'signature' | 'countersigner_id' | 'countersignature'>
  : never
/** What an authority can sign as well. */
export type Countersignable = Extract<RegistryTransaction, { action: 'enrol' | 'recover' }>
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
export async function signRegistryTransaction(
  body: RegistryTransactionBody,
  chainId: Hash,
  key: SigningKey,
): Promise<PostedRegistryTransaction> {
  return { ...body, signature: await signObject(body.action, chainId, body, key) }
}

/**
 * Adds an authority's signature to what its subject has signed. It covers all that the subject has said, and its signature.
 *
 * @param countersignerId registered id of an active authority, whose present key signs
 */
export async function countersign<T extends WithoutTick<Countersignable>>(
  posted: T,
  countersignerId: string,
  chainId: Hash,
  key: SigningKey,
): Promise<T> {
  const named = { ...posted, countersigner_id: countersignerId }
  return { ...named, countersignature: await signObject('countersign', chainId, countersignedPart(named), key) }
}

/** True if the transaction is signed with this key. */
export function isSignedBy(tx: RegistryTransaction, chainId: Hash, publicKey: string): boolean {
  const { signature, ...rest } = tx
  const body: Record<string, unknown> = { ...rest }
  delete body.tick_id
  delete body.countersigner_id
  delete body.countersignature
  return verifyObject(tx.action, chainId, body, signature, publicKey)
}

/** True if the transaction is countersigned with this key. */
export function isCountersignedBy(tx: Countersignable, chainId: Hash, publicKey: string): boolean {
  const { countersignature } = tx
  return (
    countersignature !== undefined &&
    verifyObject('countersign', chainId, countersignedPart(tx), countersignature, publicKey)
  )
}

/** Whoever countersigns does not know the tick either. */
function countersignedPart(tx: WithoutTick<Countersignable>): object {
  const body: Record<string, unknown> = { ...tx }
  delete body.tick_id
  delete body.countersignature
  return body
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
