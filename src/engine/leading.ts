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

/** Runs what only the leader does while this node leads. Gives back what ends it. */
export function whileLeading(
  leadership: Leadership,
  work: { start(): void; stop(): Promise<void> },
): () => Promise<void> {
  const follow = (): void => {
    if (leadership.leads()) work.start()
    else void work.stop()
  }
  const stopListening = leadership.onChange(follow)
  follow()
  return async () => {
    stopListening()
    await work.stop()
  }
}
