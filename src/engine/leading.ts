import { ledgerError } from '../ports/errors.ts'
import type { Leadership } from '../ports/leadership.ts'

/**
 * Throws `not_leading` where another authority does what only the leader may, `store_failed` where the database does not say
 * who that is.
 */
export function checkLeads(leadership: Leadership): void {
  if (leadership.leads()) return
  const trouble = leadership.trouble()
  if (trouble === undefined) throw ledgerError('not_leading', { reason: 'this authority stands by, it does not lead' })
  throw ledgerError('store_failed', { store: 'sql', operation: 'lead', retryable: true, reason: trouble })
}
