import { query } from '../../helpers/postgres.ts'

/** Server processes of the sessions that are there to lead, which hold the lock or do not. */
export async function leaderSessions(databaseUrl: string, which: 'holds' | 'not holds'): Promise<readonly number[]> {
  const rows = await query<{ pid: number }>(
    databaseUrl,
    `with leaders as (
       select pid, exists (select from pg_locks where locktype = 'relation' and mode = 'ShareUpdateExclusiveLock' and granted and pid = a.pid) as holds
       from pg_stat_activity a where application_name = 'solar-node leadership' and datname = current_database())
     select pid from leaders where ${which}`,
  )
  return rows.map(({ pid }) => pid)
}

/**
 * Ends the session of whoever leads, unless it is one of `except`. Only sessions of the lock: the connections that write go
 * on, as those of a process that is continued may.
 */
export async function endLeading(databaseUrl: string, except: readonly number[]): Promise<void> {
  for (const pid of await leaderSessions(databaseUrl, 'holds')) {
    if (!except.includes(pid)) await query(databaseUrl, 'select pg_terminate_backend($1)', [pid])
  }
}
