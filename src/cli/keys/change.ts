import { canonicalText } from '../../protocol/canonical-json.ts'
import type { Finality } from '../../protocol/genesis.ts'
import { bindsBy } from '../../protocol/registry-rules.ts'
import type { PostedRegistryTransaction, RegistryTransactionBody } from '../../protocol/registry-transaction.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import type { NewKeyFile } from './key-files.ts'
import type { RegistryAnswer } from './registry-client.ts'

type Own<T> = T extends unknown ? Omit<T, 'kind' | 'id' | 'timestamp' | 'nonce'> : never
/** What a registry transaction says, without what every one of them has. */
export type ChangeFields = Own<RegistryTransactionBody>

/** A change that is wanted, and the keys that may ask for it. */
export interface RegistryChange {
  readonly fields: ChangeFields
  /** The one that its action demands; absent where it is signed already. */
  readonly key?: SigningKey
  /** The platform user of an enrolled key. */
  readonly userId?: string | undefined
  /** The file of the key that takes over. */
  readonly newKey?: NewKeyFile
  /** Of the authority that signs as well. */
  readonly authorityKey?: SigningKey | undefined
  /** The change as its subject has signed it, on another machine perhaps; absent: `key` signs it now. */
  readonly signed?: Countersigned
}

/** What an authority signs as well, without that. */
export type Countersigned = Extract<PostedRegistryTransaction, { action: 'enrol' | 'recover' }>

/**
 * The height since which the registry is as the change wants it, or `undefined`. So a command that was broken off after its
 * transaction was accepted can be run again: there is nothing left to do.
 */
export function inForceSince(
  { fields, key }: Pick<RegistryChange, 'fields' | 'key'>,
  registry: RegistryAnswer,
): number | undefined {
  if (fields.action === 'policy') {
    const same = canonicalText(registry.finality) === canonicalText(fields.finality)
    return same ? registry.since_height : undefined
  }
  const entry = registry.entries.find(({ id }) => id === fields.subject_id)
  if (entry === undefined) return undefined
  if (fields.action === 'revoke') {
    if (entry.status !== 'revoked') return undefined
    // Who is revoked by its own word, or a thief's, is not yet bound by an authority's.
    const revoker = registry.entries.find(
      ({ public_key, status }) => public_key === key?.publicKey && status === 'active',
    )
    const wouldBind = revoker?.role === 'authority' && bindsBy(revoker, entry)
    return entry.revoked_by === undefined && wouldBind ? undefined : entry.since_height
  }
  const same =
    entry.status === 'active' &&
    entry.public_key === fields.public_key &&
    (fields.recovery_key === undefined || entry.recovery_key === fields.recovery_key) &&
    (fields.action !== 'enrol' || entry.role === fields.role)
  return same ? entry.since_height : undefined
}

/** What is so once the change is in force, in words. */
export function describeChange(fields: ChangeFields): string {
  const { subject_id } = fields
  switch (fields.action) {
    case 'enrol':
      return `${subject_id} is a ${fields.role} with the key ${fields.public_key}`
    case 'rotate':
    case 'recover':
      return `${subject_id} has the key ${fields.public_key}`
    case 'revoke':
      return `${subject_id} is revoked`
    case 'policy':
      return `finality is by ${finalityText(fields.finality)}`
  }
}

const finalityText = (finality: Finality): string =>
  finality.policy === 'authority' ? 'authority' : `${finality.policy}:${finality.threshold}`
