import type { DatabaseConfig } from '../config/types.ts'
import type { SharedLeadership } from '../ports/leadership.ts'
import type { Logger } from '../ports/logger.ts'

/** Who leads, on a database that several authorities may share; `undefined` for one that is this node's alone. `mayLead`: see there. */
export async function createSharedLeadership(
  database: DatabaseConfig,
  logger: Logger,
  mayLead: () => boolean,
): Promise<SharedLeadership | undefined> {
  if (database.kind === 'sqlite') return undefined
  const { createPostgresLeadership } = await import('../storage/sql/postgres-leadership.ts')
  return createPostgresLeadership(database.url, logger, mayLead)
}
