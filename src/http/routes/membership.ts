import { ledgerError } from '../../ports/errors.ts'
import type { Ledger } from '../../ports/ledger.ts'
import { membershipOf } from '../access.ts'
import { defineCall, type Call } from '../call.ts'
import { named, objectOf } from '../schema.ts'
import { hash, id, signature, time } from '../schemas.ts'

const membership = named(
  'Membership',
  objectOf({
    chain_id: hash,
    voter_id: id('household-7.phone'),
    user_id: id('household-7'),
    issued_at: time,
    expires_at: time,
    issuer: id('authority'),
    signature,
  }),
)

/** `GET /membership`: for devices that ask nodes which know no users. */
export const membershipCall = (ledger: Pick<Ledger, 'membership'>): Call =>
  defineCall({
    method: 'GET',
    path: '/membership',
    access: { roles: [], others: 'signed-request' },
    summary: 'A certificate of whose device asks',
    description:
      'Signed by the authority (type `member`), for 90 days; it stays off the chain. A device shows it to a validator, which does not know whose device it is, with each signed request: as canonical JSON in the header `Solar-Membership`.',
    answer: objectOf({ membership }),
    statuses: { 200: 'The certificate' },
    handle: async ({ caller, request }) => {
      if (caller.kind !== 'device') throw ledgerError('forbidden', { reason: 'a device asks for its own certificate' })
      return { status: 200, body: { membership: await ledger.membership(caller.voterId, membershipOf(request)) } }
    },
  })
