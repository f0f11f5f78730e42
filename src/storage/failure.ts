import { ledgerError } from '../ports/errors.ts'
import { isSolarError } from '../protocol/errors.ts'

type Operation<Args extends unknown[], Result> = (...args: Args) => Promise<Result>

/** Gives an operation its name in errors and turns what its driver throws into `store_failed`. */
export type Guard = <Args extends unknown[], Result>(
  operation: string,
  work: Operation<Args, Result>,
) => Operation<Args, Result>

/**
 * The guard of one store. Errors that the store itself throws (`SolarError`) pass through as they are.
 *
 * @param isRetryable whether doing the same again can help after this driver error (a lock), or not (a full or broken disk)
 */
export function storeGuard(store: 'sql' | 'level' | 'archive', isRetryable: (error: unknown) => boolean): Guard {
  return (operation, work) =>
    async (...args) => {
      try {
        return await work(...args)
      } catch (error) {
        if (isSolarError(error)) throw error
        const reason = error instanceof Error ? reasonOf(error) : String(error)
        throw ledgerError('store_failed', { store, operation, retryable: isRetryable(error), reason }, error)
      }
    }
}

/**
 * Drivers put the useful half of the story into the cause ("not open" because of "lock held"), or into the errors of each
 * address that was tried.
 */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError) {
    return error.errors.map((one) => (one instanceof Error ? one.message : String(one))).join('; ')
  }
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

/** The drivers' codes of an error and its causes (`SQLITE_BUSY`, `LEVEL_LOCKED`), outermost first. */
export function driverCodes(error: unknown): readonly string[] {
  const codes: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') codes.push(at.code)
  }
  return codes
}
