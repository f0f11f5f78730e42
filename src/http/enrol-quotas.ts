import type { Clock } from '../ports/clock.ts'
import { ledgerError } from '../ports/errors.ts'
import type { TokenGrant } from '../ports/tokens.ts'
import { isSolarError } from '../protocol/errors.ts'

const DAY_MS = 86_400_000

/** How many devices each enroller has enrolled within 24 hours, as this process has seen it. */
export interface EnrolQuotas {
  /**
   * Enrols one more, which counts if it succeeds, and also where the device is enrolled already, for another user
   * (`tick_conflict`): nobody asks so about devices of others as often as they like. Throws `too_many_enrolments` before
   * that where it is one too many.
   */
  within<T>(grant: TokenGrant, enrol: () => Promise<T>): Promise<T>
}

export function createEnrolQuotas(clock: Pick<Clock, 'now'>): EnrolQuotas {
  /** Times by token name: at most `per_day` of each, and as many names as there are tokens. */
  const enrolled = new Map<string, number[]>()
  return {
    async within({ name, per_day: limit = 0 }, enrol) {
      const now = clock.now()
      const times = (enrolled.get(name) ?? []).filter((time) => time > now - DAY_MS)
      enrolled.set(name, times)
      if (times.length >= limit) {
        const retry_after_s = Math.max(1, Math.ceil(((times[0] ?? now) + DAY_MS - now) / 1_000))
        throw ledgerError('too_many_enrolments', { token_name: name, limit, retry_after_s })
      }
      times.push(now)
      try {
        return await enrol()
      } catch (error) {
        if (isSolarError(error, 'tick_conflict')) throw error
        const kept = enrolled.get(name) ?? []
        const at = kept.indexOf(now)
        if (at >= 0) kept.splice(at, 1)
        throw error
      }
    },
  }
}
