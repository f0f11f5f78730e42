import { decodePostedRegistryTransaction, type RegistryTransaction } from '../../protocol/registry-transaction.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { ChainLedger, Ledger } from '../../ports/ledger.ts'
import { ANYONE, challengeOf, type Access, type Caller } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { httpError } from '../problem.ts'
import type { KeyLimit } from '../rate-limits.ts'
import { arrayOf, named, nullableOf, objectOf } from '../schema.ts'
import { finality, hash, height, id, registryEntry } from '../schemas.ts'
import { registryBody } from '../transaction-schemas.ts'

const mayChange: Access = { roles: ['platform', 'operator'], others: 'signer' }

/**
 * An enrolment needs who vouches for the new key: the platform for a household's device, the operator for any role.
 * Throws `missing_credential`, `bad_credential`, `forbidden`.
 */
function checkMayEnrol(
  transaction: Extract<RegistryTransaction, { action: 'enrol' }>,
  caller: Caller,
  authorization: string | undefined,
): void {
  if (caller.kind !== 'role') {
    if (authorization !== undefined) throw httpError('bad_credential', { reason: 'this is no token of this node' })
    throw httpError('missing_credential', { accepted: challengeOf(mayChange) })
  }
  if (caller.role === 'operator' || (caller.role === 'platform' && transaction.role === 'voter')) return
  throw ledgerError('forbidden', {
    reason: `the role ${caller.role} may not enrol a key of the role ${transaction.role}`,
  })
}

const changeCall = (ledger: Ledger, subjectLimit: KeyLimit): Call =>
  defineCall({
    method: 'POST',
    path: '/registry/',
    access: mayChange,
    summary: 'Enrols, rotates, revokes or recovers a key, or changes the finality policy',
    description:
      'The signature of the transaction is the credential: `enrol` by the new key, `rotate` by the present one, `revoke` by the subject or an authority, `recover` by the recovery key, `policy` by an authority. `enrol` needs a token as well: platform for the role voter, operator for any. The body is `{transaction, user_id?}` or the bare transaction; `user_id` (only with `enrol`) is the platform user that the key belongs to, kept off the chain. Sealed at once as a tick of its own; the same transaction again answers the same.',
    body: registryBody,
    answer: named('RegistryChange', objectOf({ id: id('change-1'), tick_id: id(`registry:${'c'.repeat(32)}`) })),
    statuses: { 202: 'Durable; its block follows at once' },
    handle: async ({ body, caller, request }) => {
      const transaction = decodePostedRegistryTransaction(body.transaction)
      if (transaction.action === 'enrol') checkMayEnrol(transaction, caller, request.headers.authorization)
      const change = () => ledger.register(transaction, body.user_id)
      const changed =
        caller.kind === 'role' ? await change() : await subjectLimit.within(request, transaction.subject_id, change)
      return { status: 202, body: changed }
    },
  })

/** `GET /registry`. */
export const registryCall = (ledger: Pick<ChainLedger, 'chainId' | 'registry'>): Call =>
  defineCall({
    method: 'GET',
    path: '/registry',
    access: ANYONE,
    summary: 'Who may seal and vote as of the tip, and by which policy',
    description:
      'Leaf 0 of the registry tree is {finality, since_height}, leaf slot + 1 each entry: their RFC 9162 root is `registry_root` in the header of `height`. On an empty chain height is null and the registry that of the genesis.',
    answer: named(
      'Registry',
      objectOf({
        chain_id: hash,
        height: nullableOf(height),
        registry_root: hash,
        finality,
        since_height: height,
        entries: arrayOf(registryEntry),
      }),
    ),
    statuses: { 200: 'The registry, entries in slot order' },
    handle: () => {
      const { height: tip, registry_root, policy, entries } = ledger.registry()
      return { status: 200, body: { chain_id: ledger.chainId, height: tip, registry_root, ...policy, entries } }
    },
  })

/** Keys and policy of the chain. */
export const registryCalls = (ledger: Ledger, subjectLimit: KeyLimit): readonly Call[] => [
  registryCall(ledger),
  changeCall(ledger, subjectLimit),
]
