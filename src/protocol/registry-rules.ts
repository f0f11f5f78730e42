import type { Hash, Hex } from './bytes.ts'
import type { Role } from './genesis.ts'
import type { RegistryEntry } from './registry.ts'
import {
  isCountersignedBy,
  isSignedBy,
  refuseRegistry,
  type Countersignable,
  type RegistryTransaction,
} from './registry-transaction.ts'
import { cachedPublicKey } from './signature.ts'

/** Who may change what (docs/protocol.md 6): by the signatures on the change and the registry before it alone. */

/** What the rules ask of the registry before a change. */
export interface RegistryBefore {
  entry(id: string): RegistryEntry | undefined
  active(id: string, role?: Role): RegistryEntry | undefined
  activeOf(role: Role): readonly RegistryEntry[]
}

type Action<A extends RegistryTransaction['action']> = Extract<RegistryTransaction, { action: A }>

/**
 * Checks that a change may be made. Throws `registry_refused` with the reason, `bad_public_key` for a key outside the
 * signature rule.
 *
 * @param isUsed true for a key that was registered before
 */
export function checkChange(
  tx: RegistryTransaction,
  before: RegistryBefore,
  chainId: Hash,
  isUsed: (key: Hex) => boolean,
): void {
  const entry = before.entry(tx.subject_id)
  if (tx.action === 'policy') checkPolicy(tx, entry, chainId)
  else if (tx.action === 'enrol') checkEnrolment(tx, entry, before, chainId, isUsed)
  else if (entry === undefined) refuseRegistry(tx, `${tx.subject_id} is not registered`)
  else if (tx.action === 'rotate') checkRotation(tx, entry, before, chainId, isUsed)
  else if (tx.action === 'recover') checkRecovery(tx, entry, before, chainId, isUsed)
  else checkRevocation(tx, entry, before, chainId)
}

function checkEnrolment(
  tx: Action<'enrol'>,
  entry: RegistryEntry | undefined,
  before: RegistryBefore,
  chainId: Hash,
  isUsed: (key: Hex) => boolean,
): void {
  if (entry !== undefined) refuseRegistry(tx, `${tx.subject_id} is registered already`)
  checkNewKeys(tx, [tx.public_key, tx.recovery_key ?? null], isUsed)
  if (!isSignedBy(tx, chainId, tx.public_key)) refuseRegistry(tx, 'not signed by the key that it enrols')
  checkCountersigned(tx, before, chainId, tx.role === 'voter' ? undefined : `enrolling ${article(tx.role)}`)
}

function checkRevocation(tx: Action<'revoke'>, entry: RegistryEntry, before: RegistryBefore, chainId: Hash): void {
  if (revokerOf(tx, entry, before, chainId) === undefined)
    refuseRegistry(tx, `signed neither by ${entry.id} nor by an active authority`)
  if (entry.status !== 'revoked') return
  // Else whoever has stolen a key and its recovery key would revoke it himself first, and come back when he likes.
  if (entry.revoked_by !== undefined || bindingRevoker(tx, entry, before, chainId) === undefined)
    refuseRegistry(tx, `${entry.id} is revoked already`)
}

function checkPolicy(tx: Action<'policy'>, entry: RegistryEntry | undefined, chainId: Hash): void {
  if (entry?.status !== 'active' || entry.role !== 'authority')
    return refuseRegistry(tx, `${tx.subject_id} is no active authority`)
  if (!isSignedBy(tx, chainId, entry.public_key)) refuseRegistry(tx, `not signed by ${entry.id}`)
}

/** Whoever has stolen the present key must not be able to shut out the recovery key. */
function checkRotation(
  tx: Action<'rotate'>,
  entry: RegistryEntry,
  before: RegistryBefore,
  chainId: Hash,
  isUsed: (key: Hex) => boolean,
): void {
  const { id, recovery_key: present } = entry
  if (entry.status !== 'active') refuseRegistry(tx, `${id} is revoked: its recovery key can recover it`)
  if (!isSignedBy(tx, chainId, entry.public_key)) refuseRegistry(tx, `not signed by the present key of ${id}`)
  const next = recoveryKeyAfter(tx, entry)
  if (present !== null && next !== present)
    refuseRegistry(tx, `the recovery key of ${id} changes by its own signature alone: with a recovery, not a rotation`)
  // Else a thief would set one, by which it comes back whatever the other authorities do.
  if (next !== present && entry.role === 'authority' && before.activeOf('authority').length > 1)
    refuseRegistry(tx, `beside another authority ${id} gets no first recovery key: enrol an authority that has one`)
  checkNewKeys(tx, newKeys(tx, entry), isUsed)
}

function checkRecovery(
  tx: Action<'recover'>,
  entry: RegistryEntry,
  before: RegistryBefore,
  chainId: Hash,
  isUsed: (key: Hex) => boolean,
): void {
  const { id, recovery_key, revoked_by } = entry
  if (recovery_key === null) return refuseRegistry(tx, `${id} has no recovery key`)
  if (!isSignedBy(tx, chainId, recovery_key)) refuseRegistry(tx, `not signed by the recovery key of ${id}`)
  checkNewKeys(tx, newKeys(tx, entry), isUsed)
  const what = revoked_by === undefined ? undefined : `recovering ${id}, which ${revoked_by} has revoked,`
  checkCountersigned(tx, before, chainId, what)
}

/**
 * An authority's signature that is there must hold, needed or not: nothing on the chain says what is not so.
 *
 * @param needing what takes one, in words; `undefined`: none is needed
 */
function checkCountersigned(
  tx: Countersignable,
  before: RegistryBefore,
  chainId: Hash,
  needing: string | undefined,
): void {
  const { countersigner_id: id } = tx
  if (id === undefined) {
    if (needing === undefined) return
    return refuseRegistry(tx, `${needing} takes the signature of an active authority as well (countersigner_id)`)
  }
  const authority = before.active(id, 'authority')
  if (authority === undefined) return refuseRegistry(tx, `its countersigner ${id} is no active authority`)
  if (!isCountersignedBy(tx, chainId, authority.public_key)) refuseRegistry(tx, `not countersigned by ${id}`)
}

/** Who has signed a revocation: the subject itself, or else an active authority. */
function revokerOf(
  tx: Action<'revoke'>,
  entry: RegistryEntry,
  before: RegistryBefore,
  chainId: Hash,
): RegistryEntry | undefined {
  return [entry, ...before.activeOf('authority')].find(({ public_key }) => isSignedBy(tx, chainId, public_key))
}

/**
 * The authority whose revocation binds the subject, so that its recovery takes an authority's signature as well. Not the
 * subject itself; and for an authority none that was registered after it: whoever has stolen an authority's key can enrol
 * such a one with it, and the owner's recovery key has to be stronger than that.
 */
export function bindingRevoker(
  tx: Action<'revoke'>,
  entry: RegistryEntry,
  before: RegistryBefore,
  chainId: Hash,
): string | undefined {
  const revoker = revokerOf(tx, entry, before, chainId)
  return revoker !== undefined && bindsBy(revoker, entry) ? revoker.id : undefined
}

/** Whether the revocation of `entry` binds by this revoker, the subject itself or an active authority. */
export const bindsBy = (revoker: RegistryEntry, entry: RegistryEntry): boolean =>
  revoker.id !== entry.id && (entry.role !== 'authority' || revoker.slot < entry.slot)

/** Whether an active authority that is not its subject has signed a revocation, or countersigned an enrolment or a recovery. */
export function isByAuthority(
  tx: RegistryTransaction,
  before: Pick<RegistryBefore, 'active' | 'activeOf'>,
  chainId: Hash,
): boolean {
  if (tx.action === 'revoke') {
    const others = before.activeOf('authority').filter(({ id }) => id !== tx.subject_id)
    return others.some(({ public_key }) => isSignedBy(tx, chainId, public_key))
  }
  if (tx.action !== 'enrol' && tx.action !== 'recover') return false
  const { countersigner_id: id } = tx
  const authority = id === undefined || id === tx.subject_id ? undefined : before.active(id, 'authority')
  return authority !== undefined && isCountersignedBy(tx, chainId, authority.public_key)
}

/** Left out, the recovery key stays. */
export const recoveryKeyAfter = (tx: Action<'rotate' | 'recover'>, entry: RegistryEntry): Hex | null =>
  tx.recovery_key === undefined ? entry.recovery_key : tx.recovery_key

/** Named again, the recovery key is no new key. */
function newKeys(tx: Action<'rotate' | 'recover'>, entry: RegistryEntry): readonly (Hex | null)[] {
  const recovery = recoveryKeyAfter(tx, entry)
  return [tx.public_key, recovery === entry.recovery_key ? null : recovery]
}

function checkNewKeys(tx: RegistryTransaction, keys: readonly (Hex | null)[], isUsed: (key: Hex) => boolean): void {
  const [first, second] = keys
  if (first !== null && first === second) refuseRegistry(tx, 'the recovery key is the key itself')
  for (const key of keys) {
    if (key === null) continue
    cachedPublicKey(key)
    if (isUsed(key)) refuseRegistry(tx, `the key ${key} was registered before`)
  }
}

const article = (role: Role): string => (role === 'authority' ? `an ${role}` : `a ${role}`)
