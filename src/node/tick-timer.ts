import type { TickRunner } from '../engine/tick-runner.ts'
import type { Clock } from '../ports/clock.ts'
import type { Leadership } from '../ports/leadership.ts'
import type { Logger } from '../ports/logger.ts'
import { isSolarError } from '../protocol/errors.ts'

export interface TickTimerParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly leadership: Leadership
}

/**
 * Runs the built-in market at the end of every interval. Intervals are aligned to the epoch and named by their start, so a
 * restart in the middle of one neither skips it nor runs it twice. An authority that stands by runs none, and the last one
 * as soon as it leads: if the leader has run it, nothing happens twice. Gives back what stops the timer.
 */
export function runEvery(
  intervalMs: number,
  run: TickRunner['run'],
  { clock, logger, leadership }: TickTimerParts,
): () => void {
  let stopped = false
  let cancel = (): void => undefined
  /** End of the newest interval that ended while this node stood by. */
  let missed: number | undefined

  function wait(): void {
    const end = (Math.floor(clock.now() / intervalMs) + 1) * intervalMs
    cancel = clock.after(end - clock.now(), () => void tick(end).then(goOn))
  }

  function goOn(): void {
    if (!stopped) wait()
  }

  async function tick(end: number): Promise<void> {
    const tick_id = new Date(end - intervalMs).toISOString()
    try {
      const { height } = await run({ tick_id, timestamp: end })
      if (height === null) logger.info({ tick_id }, `tick ${tick_id}: nothing to trade`)
    } catch (error) {
      if (!leadership.leads()) missed = end
      if (isSolarError(error, 'not_leading')) return
      logger.error({ error, tick_id }, `tick ${tick_id} failed; what it committed is sealed before the next one`)
    }
  }

  const stopListening = leadership.onChange(() => {
    if (missed === undefined || !leadership.leads()) return
    const end = missed
    missed = undefined
    void tick(end)
  })
  wait()
  return () => {
    stopped = true
    stopListening()
    cancel()
  }
}
