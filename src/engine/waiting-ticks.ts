import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { isSolarError } from '../protocol/errors.ts'
import type { LeadRight } from './lead-right.ts'
import type { SealGuard } from './seal-guard.ts'
import type { Standing } from './standing.ts'
import type { TickRunner } from './tick-runner.ts'

export interface WaitingTicksParts {
  readonly runner: Pick<TickRunner, 'recover'>
  readonly guard: Pick<SealGuard, 'reason'>
  readonly standing: Standing
  readonly right: Pick<LeadRight, 'next' | 'look'>
  readonly clock: Clock
  readonly logger: Logger
}

const RETRY_MS = 5_000

/**
 * Seals what a crash has left, at the start of an authority that has its database to itself, and goes on trying while the key
 * is not at hand: a recovery that brings another one can be posted only to a node that runs. Throws as `TickRunner.recover`
 * for all else that is not said already. Gives back what ends it.
 */
export async function sealWhatWaits(parts: WaitingTicksParts): Promise<() => void> {
  const { runner, guard, standing, right, clock, logger } = parts
  let cancel = (): void => undefined
  let said: string | undefined
  let stopped = false

  /** Whoever has something against it goes on once there is nothing any more. A recovery is for one without its key. */
  function mayTry(): boolean {
    const next = right.next()
    return guard.reason(next) === undefined && (next === 'recovery' || standing.reason() === undefined)
  }

  async function attempt(): Promise<void> {
    if (!mayTry()) return
    try {
      await runner.recover()
    } catch (error) {
      // Its key gives no signature now, whatever the reason: another key can be posted to a node that runs.
      if (!isSolarError(error, 'not_ready') && guard.reason() === undefined) throw error
      note(error)
      schedule()
    }
    await right.look()
  }

  function note(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    if (message !== said && guard.reason() === undefined) logger.error({ error }, `NOT SEALING: ${message}`)
    said = message
  }

  function schedule(): void {
    if (stopped) return
    cancel = clock.after(RETRY_MS, () => {
      void attempt().catch((error: unknown) => {
        note(error)
        schedule()
      })
    })
  }

  await attempt()
  return () => {
    stopped = true
    cancel()
  }
}
