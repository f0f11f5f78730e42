import { recipientOf, recipientShape } from '../../payload/recipient.ts'
import { ledgerError } from '../../ports/errors.ts'
import type { Ledger } from '../../ports/ledger.ts'
import { isPseudonym } from '../../protocol/pseudonym.ts'
import { rolesOnly, userOfCaller, type Caller } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { arrayOf, documented, named, nullableOf, objectOf, type Schema } from '../schema.ts'
import { id, idIn } from '../schemas.ts'

const ofUser = objectOf({ user_id: idIn('household-7') })

/** Whether this is what a user is called, by the platform or on the chain. */
export const isOwnId = (asked: string, own: string, ledger: Pick<Ledger, 'userOnChain'>): boolean =>
  asked === own || (!isPseudonym(asked) && ledger.userOnChain(asked) === own)

/** Throws `forbidden` for another user's. */
function pseudonymFor(caller: Caller, asked: string, ledger: Ledger): string | null {
  const own = userOfCaller(caller)
  if (own !== undefined && !isOwnId(asked, own, ledger)) {
    throw ledgerError('forbidden', { reason: 'a user, or a device of one, learns the own pseudonym alone' })
  }
  if (ledger.privacy === 'plain') return null
  return own ?? ledger.userOnChain(asked)
}

const recipient: Schema<string> = documented(
  recipientShape,
  { type: 'string', pattern: '^age1[02-9ac-hj-np-z]{58}$', description: 'an X25519 recipient of age' },
  recipientOf('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'),
)

/** How users are called on the chain, and what payloads are encrypted for. */
export const userCalls = (ledger: Ledger, payloadRecipients: readonly string[] = []): readonly Call[] => [
  defineCall({
    method: 'GET',
    path: '/users/{user_id}/pseudonym',
    access: { roles: ['platform', 'operator'], others: 'signed-request', users: true },
    summary: 'What a user is called on the chain',
    description:
      'Of a user whom the platform names, known here or not; a platform user, and a device, learns the own one. On a plain ledger users are called as the platform calls them: `pseudonym` is null.',
    params: ofUser,
    answer: named(
      'Pseudonym',
      objectOf({ user_id: id('household-7'), pseudonym: nullableOf(id('u-c1b2f40c9d3e4a6f8b7a5c4d3e2f1a0b')) }),
    ),
    statuses: { 200: 'The pseudonym' },
    handle: ({ params, caller }) => ({
      status: 200,
      body: { user_id: params.user_id, pseudonym: pseudonymFor(caller, params.user_id, ledger) },
    }),
  }),
  defineCall({
    method: 'GET',
    path: '/users/{user_id}/recipients',
    access: rolesOnly('platform', 'operator'),
    summary: "Whom a payload is encrypted for that a user is to read: the keys of the user's active devices",
    description:
      'Recipients of age (age-encryption.org/v1), made of the Ed25519 keys of the devices. `payload_recipients` are those of the auditors, as this node is set.',
    params: ofUser,
    answer: named(
      'Recipients',
      objectOf({
        user_id: id('household-7'),
        recipients: arrayOf(objectOf({ voter_id: id('household-7.phone'), recipient })),
        payload_recipients: arrayOf(recipient),
      }),
    ),
    statuses: { 200: 'The recipients; none where the user has no active device' },
    handle: async ({ params }) => {
      const devices = await ledger.devicesOf(params.user_id)
      const recipients = devices.map(({ id: voter_id, public_key }) => ({
        voter_id,
        recipient: recipientOf(public_key),
      }))
      return { status: 200, body: { user_id: params.user_id, recipients, payload_recipients: payloadRecipients } }
    },
  }),
]
