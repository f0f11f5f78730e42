import type { Ledger } from '../ports/ledger.ts'
import type { Logger } from '../ports/logger.ts'

/**
 * The same ledger, which says so in the log when a user gets another key that votes: `votes:K` counts
 * registered keys, since whose key it is stays off the chain.
 */
export function warnOfSeveralVotes(ledger: Ledger, logger: Logger): Ledger {
  return {
    ...ledger,
    async register(transaction, userId, isVouchedFor) {
      const answer = await ledger.register(transaction, userId, isVouchedFor)
      const { finality } = ledger.registry().policy
      if (transaction.action !== 'enrol' || transaction.role !== 'voter' || finality.policy !== 'votes') return answer
      const user = await ledger.userOf(transaction.subject_id)
      const keys = (await ledger.devicesOf(user)).length
      if (keys > 1) {
        const words = `user ${user} has ${keys} keys now, and each is one of the ${finality.threshold} votes that make a block final`
        logger.warn({ user, keys }, words)
      }
      return answer
    },
  }
}
