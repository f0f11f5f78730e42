/**
 * Which of several authorities on one database seals. An answer is what this node knew a moment ago: a process may stand
 * still between the question and the deed. So safety is the fence's, and this only keeps authorities from getting into
 * each other's way.
 */
export interface Leadership {
  /** True while this node leads, as far as it can know. */
  leads(): boolean
  /** Why the database cannot say who leads; `undefined` where it has. */
  trouble(): string | undefined
  /** How often this node has come to lead. What it knew of the stores in an earlier term may have changed since. */
  readonly term: number
  /** Asks the database, and gives what `leads` says then. */
  confirm(): Promise<boolean>
  /** Calls the listener after each change of `leads`; gives back what removes it. */
  onChange(listener: () => void): () => void
}

/** Leadership on a database that several authorities share, from `start` to `stop`. */
export interface SharedLeadership extends Leadership {
  /** Tries for the first time; resolves also if another leads or the database is not there, and goes on trying. */
  start(): Promise<void>
  /** Gives the lead back. Call it when nothing is sealed any more. */
  stop(): Promise<void>
}

/** Of an authority that has its database to itself. */
export const SOLE_LEADERSHIP: Leadership = {
  leads: () => true,
  trouble: () => undefined,
  term: 0,
  confirm: () => Promise.resolve(true),
  onChange: () => () => undefined,
}
