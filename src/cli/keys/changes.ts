import { FINALITY, finalityPolicy, fromShape } from '../../config/values.ts'
import { roleShape } from '../../protocol/genesis.ts'
import { identifier } from '../../protocol/shape.ts'
import { UsageError } from '../output.ts'
import type { RegistryChange } from './change.ts'
import { planKeyFile, openSigningKey, publicKeyOf } from './key-files.ts'

/** Command lines of `solar-node keys enrol|rotate|revoke|recover|policy`, each read into the change that it asks for. */

interface CommonOptions {
  readonly id: string
  readonly passphraseFile?: string
}

export interface EnrolOptions extends CommonOptions {
  readonly key: string
  readonly role: string
  /** PUBLIC_KEY or FILE. */
  readonly recoveryKey?: string
  readonly userId?: string
  /** FILE of the authority that countersigns. */
  readonly authorityKey?: string
}

export interface RotateOptions extends CommonOptions {
  readonly key: string
  readonly newKey: string
  /** PUBLIC_KEY or FILE. */
  readonly recoveryKey?: string
}

export interface RevokeOptions extends CommonOptions {
  readonly key: string
}

export interface RecoverOptions extends CommonOptions {
  readonly recoveryKey: string
  readonly newKey: string
  /** PUBLIC_KEY or FILE. */
  readonly newRecoveryKey?: string
  /** FILE of the authority that countersigns. */
  readonly authorityKey?: string
}

export interface PolicyOptions extends CommonOptions {
  readonly key: string
  readonly finality: string
}

/** Signed by the key that is enrolled, as proof that it is held; that of an authority or a validator by an authority as well. */
export async function enrolment(options: EnrolOptions): Promise<RegistryChange> {
  const subject_id = idOf('--id', options.id)
  const userId = options.userId === undefined ? undefined : idOf('--user-id', options.userId)
  const role = fromShape(roleShape)(options.role)
  if (role === undefined) {
    throw new UsageError(`--role: expected voter, validator or authority, got ${JSON.stringify(options.role)}`)
  }
  const key = await openSigningKey(options.key, options.passphraseFile)
  const recovery = await recoveryField(options.recoveryKey, options.passphraseFile)
  const authorityKey = await authorityKeyIn(options)
  const fields = { action: 'enrol', subject_id, role, public_key: key.publicKey, ...recovery } as const
  return { fields, key, userId, authorityKey }
}

/** Signed by the key that goes. */
export async function rotation(options: RotateOptions): Promise<RegistryChange> {
  const subject_id = idOf('--id', options.id)
  const key = await openSigningKey(options.key, options.passphraseFile)
  const recovery = await recoveryField(options.recoveryKey, options.passphraseFile)
  const newKey = await planKeyFile(options.newKey, options.passphraseFile)
  return { fields: { action: 'rotate', subject_id, public_key: newKey.publicKey, ...recovery }, key, newKey }
}

/** Signed by the subject's key, or by an authority's. */
export async function revocation(options: RevokeOptions): Promise<RegistryChange> {
  const subject_id = idOf('--id', options.id)
  return { fields: { action: 'revoke', subject_id }, key: await openSigningKey(options.key, options.passphraseFile) }
}

/** Signed by the recovery key, and where an authority has revoked the subject by an authority as well. */
export async function recovery(options: RecoverOptions): Promise<RegistryChange> {
  const subject_id = idOf('--id', options.id)
  const key = await openSigningKey(options.recoveryKey, options.passphraseFile)
  const next = await recoveryField(options.newRecoveryKey, options.passphraseFile)
  const newKey = await planKeyFile(options.newKey, options.passphraseFile)
  const authorityKey = await authorityKeyIn(options)
  const fields = { action: 'recover', subject_id, public_key: newKey.publicKey, ...next } as const
  return { fields, key, newKey, authorityKey }
}

/** Signed by an authority, which the transaction names. */
export async function policyChange(options: PolicyOptions): Promise<RegistryChange> {
  const subject_id = idOf('--id', options.id)
  const finality = finalityPolicy(options.finality)
  if (finality === undefined) {
    const got = JSON.stringify(options.finality)
    throw new UsageError(`--finality: expected ${FINALITY}, got ${got}`)
  }
  const key = await openSigningKey(options.key, options.passphraseFile)
  return { fields: { action: 'policy', subject_id, finality }, key }
}

const authorityKeyIn = async (options: Pick<EnrolOptions, 'authorityKey' | 'passphraseFile'>) =>
  options.authorityKey === undefined ? undefined : await openSigningKey(options.authorityKey, options.passphraseFile)

function idOf(flag: string, text: string): string {
  const id = fromShape(identifier)(text)
  if (id !== undefined) return id
  throw new UsageError(`${flag}: expected an identifier [A-Za-z0-9._:@+-]{1,64}, got ${JSON.stringify(text)}`)
}

/** Left out, a registered recovery key stays. */
async function recoveryField(keyOrFile: string | undefined, passphraseFile: string | undefined) {
  return keyOrFile === undefined ? {} : { recovery_key: await publicKeyOf(keyOrFile, passphraseFile) }
}
