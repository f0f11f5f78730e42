import { ledgerError } from '../ports/errors.ts'
import type { Leadership } from '../ports/leadership.ts'

/** Throws `not_leading` where another authority does what only the leader may. */
export function checkLeads(leadership: Leadership): void {
  if (!leadership.leads()) throw ledgerError('not_leading', { reason: 'this authority stands by, it does not lead' })
}
