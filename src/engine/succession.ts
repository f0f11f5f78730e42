import { steadyNow, type Clock } from '../ports/clock.ts'
import type { Leadership } from '../ports/leadership.ts'
import type { Logger } from '../ports/logger.ts'
import type { Chain } from './chain.ts'
import type { LeadRight } from './lead-right.ts'
import type { AuthorityRedactor } from './redactor.ts'
import type { SealGuard } from './seal-guard.ts'
import type { SharedFinality } from './shared-finality.ts'
import type { TickRunner } from './tick-runner.ts'

export interface SuccessionParts {
  readonly chain: Chain
  readonly leadership: Leadership
  readonly guard: SealGuard
  readonly right: Pick<LeadRight, 'look' | 'next'>
  readonly runner: Pick<TickRunner, 'follow' | 'recover'>
  readonly finality: SharedFinality
  /** Reads again what enrolments have said about whose device a voter is. */
  readonly readUsers: () => Promise<void>
  readonly redactor: Pick<AuthorityRedactor, 'keepUp'>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Keeps an authority up with a database that others share: while it stands by it follows the leader's blocks, and when it
 * comes to lead it seals what the one before has left. Votes that others have taken it counts in either role.
 */
export interface Succession {
  start(): void
  /** For people: why this node is not up with the database; `undefined` if it is. */
  trouble(): string | undefined
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>
}

/** How far a standby is behind at most, where gossip has not told it of a block before. */
const PERIOD_MS = 500
/** Counting the acks of many voters takes a while; the database has this much more time for others. */
const REST_FACTOR = 10

export function createSuccession(parts: SuccessionParts): Succession {
  const { chain, leadership, guard, right, runner, finality, clock, logger } = parts
  let stopped = false
  let trouble: string | undefined = 'this node has not looked at its database yet'
  let isTold = false
  let cancel = (): void => undefined
  let turn = Promise.resolve()
  let registryRoot = chain.registry.root
  let saidToLead: boolean | undefined

  async function look(): Promise<void> {
    sayRole()
    await right.look()
    if (!leadership.leads()) await runner.follow()
    // Without leave to seal the restorer goes on once there is.
    else if (guard.reason(right.next()) === undefined) await runner.recover()
    await finality.refresh()
    if (chain.registry.root !== registryRoot) {
      await parts.readUsers()
      registryRoot = chain.registry.root
    }
    await parts.redactor.keepUp()
  }

  async function lookSafely(): Promise<void> {
    try {
      await look()
      trouble = undefined
      if (isTold) logger.info({}, 'this node is up with its database again')
      isTold = false
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (trouble !== message) logger.warn({ error }, `this node cannot keep up with its database: ${message}`)
      trouble = message
      isTold = true
    }
  }

  function sayRole(): void {
    const leads = leadership.leads()
    if (saidToLead === leads) return
    const fields = { role: leads ? 'leader' : 'standby', term: leadership.term, height: chain.size - 1 }
    if (leads) logger.info(fields, 'this authority leads')
    else if (saidToLead === undefined) logger.info(fields, 'this authority stands by, another one leads')
    else logger.warn(fields, 'this authority does not lead any more, it stands by')
    saidToLead = leads
  }

  function next(): void {
    turn = turn.then(async () => {
      if (stopped) return
      const begun = steadyNow(clock)
      await lookSafely()
      cancel()
      if (!isStopped()) cancel = clock.after(Math.max(PERIOD_MS, REST_FACTOR * (steadyNow(clock) - begun)), next)
    })
  }

  // A function, because what is awaited in between may have stopped it.
  const isStopped = (): boolean => stopped

  const stopListening = leadership.onChange(() => {
    cancel()
    next()
  })

  return {
    start: next,
    trouble: () => trouble,
    stop() {
      stopped = true
      stopListening()
      cancel()
      return turn
    },
  }
}
