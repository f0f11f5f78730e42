import type { Ledger } from '../ports/ledger.ts'
import { protocolError } from '../protocol/errors.ts'
import { tellsUser } from '../protocol/pseudonym.ts'
import type { RegistryTransaction } from '../protocol/registry-transaction.ts'
import type { Pseudonyms } from './pseudonyms.ts'

/**
 * The ledger as a platform and its users see it: they name users by the platform's ids, and from here on
 * there are pseudonyms alone. This is the one place where that happens; what is within (SQL, chain, peers,
 * logs) never sees another id. Ids that come out are pseudonyms: what is hashed is shown as it is hashed,
 * and `namesOf` says whose they are.
 */
export function pseudonymousLedger(ledger: Ledger, pseudonyms: Pseudonyms, registry: KnowsEntries): Ledger {
  return {
    ...ledger,
    privacy: 'pseudonymous',
    userOnChain: (userId) => pseudonyms.of(userId),
    namesOf: async (ids) =>
      Object.fromEntries((await pseudonyms.usersOf(ids)).map(({ user_id, pseudonym }) => [pseudonym, user_id])),
    devicesOf: (userId) => ledger.devicesOf(pseudonyms.of(userId)),
    acceptTick: async (tick) => ledger.acceptTick(await pseudonyms.takeTick(tick)),
    placeOrder: async (order) => ledger.placeOrder({ ...order, user_id: await pseudonyms.take(order.user_id) }),
    async register(transaction, userId, isVouchedFor) {
      await refuseTelling(transaction, userId, registry, pseudonyms)
      const user = userId === undefined ? undefined : pseudonyms.of(userId)
      const answer = await ledger.register(transaction, user, isVouchedFor)
      // Afterwards: who enrols nobody, again and again, leaves nothing.
      if (userId !== undefined) await pseudonyms.take(userId)
      return answer
    },
  }
}

/** Which ids are registered, active or not. */
export interface KnowsEntries {
  has(id: string): boolean
}

/**
 * What is registered stays on the chain for ever, and its signature covers the id. Throws
 * `registry_refused`.
 */
async function refuseTelling(
  transaction: RegistryTransaction,
  userId: string | undefined,
  registry: KnowsEntries,
  pseudonyms: Pseudonyms,
): Promise<void> {
  const { id, subject_id } = transaction
  const refused = (reason: string) => protocolError('registry_refused', { id, reason })
  if (transaction.action !== 'enrol') {
    if (registry.has(subject_id)) return
    // Anybody may post it: that it is the name of a user is not said.
    throw refused(
      `this ledger is pseudonymous, and has no device ${subject_id}: take the id that it is registered with`,
    )
  }
  if (transaction.role === 'voter' && userId === undefined) {
    throw refused('this ledger is pseudonymous: say in user_id whose device it is, that stays off the chain')
  }
  const isOfOwn = userId !== undefined && tellsUser(subject_id, userId)
  // What is registered tells nothing new, and is answered as before.
  if (registry.has(subject_id) || (!isOfOwn && !(await pseudonyms.isUser(subject_id)))) return
  throw refused(
    `this ledger is pseudonymous, and the subject_id ${subject_id} tells whose key it is: ` +
      'take the pseudonym of GET /users/ID/pseudonym, or an id that tells nothing, and sign again',
  )
}
