import type { TickRunner } from '../engine/tick-runner.ts'
import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'

/**
 * Runs the built-in market at the end of every interval. Intervals are aligned to the epoch and named by their start, so a
 * restart in the middle of one neither skips it nor runs it twice. Gives back what stops the timer.
 */
export function runEvery(
  intervalMs: number,
  run: TickRunner['run'],
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): () => void {
  let stopped = false
  let cancel = (): void => undefined

  function wait(): void {
    const end = (Math.floor(clock.now() / intervalMs) + 1) * intervalMs
    cancel = clock.after(end - clock.now(), () => void tick(end))
  }

  async function tick(end: number): Promise<void> {
    const tick_id = new Date(end - intervalMs).toISOString()
    try {
      const { height } = await run({ tick_id, timestamp: end })
      if (height === null) logger.info({ tick_id }, `tick ${tick_id}: nothing to trade`)
    } catch (error) {
      logger.error({ error, tick_id }, `tick ${tick_id} failed; what it committed is sealed before the next one`)
    }
    if (!stopped) wait()
  }

  wait()
  return () => {
    stopped = true
    cancel()
  }
}
