import { parseJsonFile } from '../../ports/json-file.ts'
import { isSolarError } from '../../protocol/errors.ts'
import { decodePostedRegistryTransaction } from '../../protocol/registry-transaction.ts'
import { identifier, object, refuse, type Shape } from '../../protocol/shape.ts'
import { UsageError } from '../output.ts'
import { readUserFile } from '../user-file.ts'
import type { ChangeFields, Countersigned, RegistryChange } from './change.ts'
import { openSigningKey } from './key-files.ts'

/** What `--out` writes: the body of POST /registry/, for an authority's operator to countersign (docs/protocol.md 6). */

/** Far above any change. */
const MAX_BYTES = 64 * 1024

const waiting: Shape<Countersigned> = (value, path) => {
  const { action, ...tx } = decodePostedRegistryTransaction(value)
  if (action !== 'enrol' && action !== 'recover') return refuse(`${path}.action`, 'enrol or recover', action)
  if ('countersignature' in tx) return refuse(`${path}.countersignature`, 'no such field', tx.countersignature)
  return value as Countersigned
}
const requestShape = object({ transaction: waiting }, { user_id: identifier })

/**
 * The change in a request file, with the key of the authority that is to countersign it. Throws UsageError.
 *
 * @param file named on the command line
 */
export async function countersignedRequest(
  file: string,
  options: { readonly authorityKey: string; readonly passphraseFile?: string },
): Promise<RegistryChange> {
  const parsed = parseJsonFile(await readUserFile('FILE', file, MAX_BYTES))
  if ('fault' in parsed) throw new UsageError(`FILE: ${file}: ${parsed.fault}`)
  try {
    const { transaction, user_id } = requestShape(parsed.value, 'it')
    const authorityKey = await openSigningKey(options.authorityKey, options.passphraseFile)
    return { fields: fieldsOf(transaction), signed: transaction, authorityKey, userId: user_id }
  } catch (error) {
    if (!isSolarError(error, 'malformed')) throw error
    throw new UsageError(`FILE: expected what keys enrol or recover --out has written, ${file}: ${error.message}`)
  }
}

function fieldsOf(tx: Countersigned): ChangeFields {
  const { subject_id, public_key } = tx
  const recovery = tx.recovery_key === undefined ? {} : { recovery_key: tx.recovery_key }
  return tx.action === 'enrol'
    ? { action: tx.action, subject_id, role: tx.role, public_key, ...recovery }
    : { action: tx.action, subject_id, public_key, ...recovery }
}
