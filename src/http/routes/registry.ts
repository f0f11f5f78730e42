import type { FastifyRequest } from 'fastify'
import { decodePostedRegistryTransaction, type RegistryTransaction } from '../../protocol/registry-transaction.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { ChainLedger, Ledger } from '../../ports/ledger.ts'
import { ANYONE, challengeOf, type Access, type Caller } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { httpError } from '../problem.ts'
import type { EnrolQuotas } from '../enrol-quotas.ts'
import type { RateLimits } from '../rate-limits.ts'
import { arrayOf, integerInQuery, integerOf, named, nullableOf, objectOf } from '../schema.ts'
import { finality, hash, header, height, id, registryEntry, signature } from '../schemas.ts'
import { registryBody, shownTransaction } from '../transaction-schemas.ts'

const MAX_CHANGES = 100
/** Of one answer: some 3 MB. */
const MAX_ENTRIES = 10_000

const mayChange: Access = { roles: ['platform', 'operator', 'enroller'], others: 'signer' }

/**
 * An enrolment needs who opens the door to the new key: the platform for a household's device, an enroller for one of its users, the
 * operator for any role. That an
 * authority's key has countersigned another role is the registry's rule: a token alone makes nobody an authority.
 * Throws `missing_credential`, `bad_credential`, `forbidden`.
 */
function checkMayEnrol(
  transaction: Extract<RegistryTransaction, { action: 'enrol' }>,
  user: string,
  caller: Caller,
  { headers: { authorization }, token }: Pick<FastifyRequest, 'headers' | 'token'>,
): void {
  if (caller.kind !== 'role') {
    if (authorization !== undefined)
      throw httpError('bad_credential', { reason: token?.trouble ?? 'this is no token of this node' })
    throw httpError('missing_credential', { accepted: challengeOf(mayChange) })
  }
  const { role, grant } = caller
  if (role === 'operator' || (role === 'platform' && transaction.role === 'voter')) return
  if (role === 'enroller' && transaction.role === 'voter') {
    const { name, users = '' } = grant
    if (user.startsWith(users)) return
    throw ledgerError('forbidden', {
      reason: `the token ${name} enrols devices of users whose id begins with ${users}, not of ${user}`,
    })
  }
  throw ledgerError('forbidden', {
    reason: `the role ${role} may not enrol a key of the role ${transaction.role}`,
  })
}

const mayVouch = (caller: Caller): boolean =>
  caller.kind === 'role' && (caller.role === 'operator' || caller.role === 'platform')

type ChangeLimits = Pick<RateLimits, 'subject' | 'signatures'>

/** What takes a key away from a thief is counted by itself: whatever the thief did with it, its owner can act. */
const limitedAs = ({ action, subject_id }: RegistryTransaction): string =>
  action === 'recover' || action === 'revoke' ? `${action} ${subject_id}` : subject_id

const changeCall = (ledger: Ledger, limits: ChangeLimits, quotas: EnrolQuotas): Call =>
  defineCall({
    method: 'POST',
    path: '/registry/',
    access: mayChange,
    summary: 'Enrols, rotates, revokes or recovers a key, or changes the finality policy',
    description:
      'The signature of the transaction is the credential: `enrol` by the new key, `rotate` by the present one, `revoke` by the subject or an authority, `recover` by the recovery key, `policy` by an authority. `enrol` needs a token as well: platform for the role voter, enroller for that of its own users and so many a day, operator for any; for the roles authority and validator, and after a revocation by an authority also to `recover` one, an active authority countersigns (`countersigner_id`, `countersignature`). With the token of platform or operator the recovery of a voter is countersigned here. The body is `{transaction, user_id?}` or the bare transaction; `user_id` (only with `enrol`) is the platform user that the key belongs to, kept off the chain. Sealed at once as a tick of its own; the same transaction again answers the same. Without a token one id changes at most 10 times a minute and 50 times a day (429), recoveries and revocations counted apart; what another authority has signed as well is not among them.',
    body: registryBody,
    answer: named('RegistryChange', objectOf({ id: id('change-1'), tick_id: id(`registry:${'c'.repeat(32)}`) })),
    statuses: { 202: 'Durable; its block follows at once' },
    handle: async ({ body, caller, request }) => {
      const transaction = decodePostedRegistryTransaction(body.transaction)
      if (transaction.action === 'enrol') {
        const user = body.user_id ?? transaction.subject_id
        checkMayEnrol(transaction, user, caller, request)
      }
      const change = () => ledger.register(transaction, body.user_id, mayVouch(caller))
      const limited = () =>
        limits.signatures.checked(request, async () =>
          (await ledger.isOwnChange(transaction))
            ? await limits.subject.within(request, limitedAs(transaction), change)
            : await change(),
        )
      if (mayVouch(caller)) return { status: 202, body: await change() }
      const isOfQuota = transaction.action === 'enrol' && caller.kind === 'role'
      return { status: 202, body: isOfQuota ? await quotas.within(caller.grant, limited) : await limited() }
    },
  })

/** `GET /registry`. */
export const registryCall = (ledger: Pick<ChainLedger, 'chainId' | 'registry' | 'registryAt'>): Call =>
  defineCall({
    method: 'GET',
    path: '/registry',
    access: ANYONE,
    summary: 'Who may seal and vote, and by which policy',
    description:
      'Leaf 0 of the registry tree is {finality, since_height}, leaf slot + 1 each entry: their RFC 9162 root is `registry_root` in the header of `height`: that of `at_height`, or of the tip. On an empty chain height is null and the registry that of the genesis. A larger registry than one answer holds comes in pages: `next` is the `from_slot` of the next one, to be asked for with the height of the first as `at_height`.',
    query: objectOf(
      {},
      {
        at_height: integerInQuery('after the block of this height; the tip if absent', 17),
        from_slot: integerInQuery('lowest slot, 0 if absent', 0),
        limit: integerInQuery(`how many entries, ${MAX_ENTRIES} if absent`, MAX_ENTRIES, 1, MAX_ENTRIES),
      },
    ),
    answer: named(
      'Registry',
      objectOf(
        {
          chain_id: hash,
          height: nullableOf(height),
          registry_root: hash,
          finality,
          since_height: height,
          entries: arrayOf(registryEntry),
        },
        { next: integerOf('the from_slot to go on with, at the same at_height', MAX_ENTRIES) },
      ),
    ),
    statuses: { 200: 'The registry, entries in slot order; `next` is there where more follow' },
    handle: async ({ query: { at_height, from_slot = 0, limit = MAX_ENTRIES } }) => {
      const answer = at_height === undefined ? ledger.registry() : await ledger.registryAt(at_height)
      const { height: at, registry_root, policy } = answer
      const found = answer.page(from_slot, limit + 1)
      const next = found.length > limit ? { next: from_slot + limit } : {}
      const entries = found.slice(0, limit)
      return { status: 200, body: { chain_id: ledger.chainId, height: at, registry_root, ...policy, entries, ...next } }
    },
  })

/** `GET /registry/changes`. */
export const registryChangesCall = (ledger: Pick<ChainLedger, 'registryChanges'>): Call =>
  defineCall({
    method: 'GET',
    path: '/registry/changes',
    access: ANYONE,
    summary: 'The blocks that changed the registry',
    description:
      'Whoever applies them in order to the registry of the genesis (docs/protocol.md 6) has proven who could seal and vote at each height, and by which policy: each change is signed, and leads to the `registry_root` of its header.',
    query: objectOf(
      {},
      {
        from_height: integerInQuery('lowest height, 0 if absent', 0),
        limit: integerInQuery('how many, 100 if absent', MAX_CHANGES, 1, MAX_CHANGES),
      },
    ),
    answer: objectOf({
      height: nullableOf(height),
      changes: arrayOf(objectOf({ header, signature, transactions: arrayOf(shownTransaction) })),
      next: nullableOf(height),
    }),
    statuses: { 200: 'Ascending, with the height of the tip; `next` is the from_height to go on with, or null' },
    handle: async ({ query: { from_height = 0, limit = MAX_CHANGES } }) => ({
      status: 200,
      body: await ledger.registryChanges(from_height, limit),
    }),
  })

/** Keys and policy of the chain. */
export const registryCalls = (ledger: Ledger, limits: ChangeLimits, quotas: EnrolQuotas): readonly Call[] => [
  registryCall(ledger),
  registryChangesCall(ledger),
  changeCall(ledger, limits, quotas),
]
