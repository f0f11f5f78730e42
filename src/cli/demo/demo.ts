import { systemClock } from '../../node/clock.ts'
import type { Runnable } from '../../node/lifecycle.ts'
import { createModelClock, type ModelClock } from './model-clock.ts'
import { createDemoPrinter } from './printer.ts'
import { openStreet, type Street, type StreetOptions } from './street.ts'

export interface DemoOptions extends StreetOptions {
  /** JSON lines instead of lines for people. */
  readonly json: boolean
  /** A line for each thing that a household or the validator does. */
  readonly verbose: boolean
}

/** What a test may replace. */
export interface DemoParts {
  /** The time of one street, from its beginning to its end. */
  readonly createClock?: () => ModelClock
  readonly write?: (text: string) => void
}

export interface DemoReport {
  readonly chainId: string
  readonly dashboard: string
}

/** A street that trades; when its time has come to an end, another one at the same address. */
export function createDemo(options: DemoOptions, parts: DemoParts = {}): Runnable<DemoReport> {
  const createClock = parts.createClock ?? (() => createModelClock(() => systemClock.now()))
  const printer = createDemoPrinter({
    ...options,
    clock: systemClock,
    write: parts.write ?? ((text) => process.stdout.write(text)),
    columns: () => (process.stdout.isTTY ? process.stdout.columns : Infinity),
  })
  const failed = Promise.withResolvers<never>()
  let street: Promise<Street> | undefined
  let stopping = false
  const isStopping = (): boolean => stopping

  async function goOnFrom(first: Street): Promise<void> {
    for (let current = first; ; current = await street) {
      await current.over
      if (isStopping()) return
      printer.over()
      await current.stop()
      // What was asked to stop meanwhile opens nothing any more.
      if (isStopping()) return
      street = openStreet({ ...options, http: new URL(current.dashboard).host }, createClock(), printer)
    }
  }

  return {
    failed: failed.promise,
    async start() {
      street = openStreet(options, createClock(), printer)
      const opened = await street
      goOnFrom(opened).catch(failed.reject)
      return { chainId: opened.chainId, dashboard: opened.dashboard }
    },
    async stop(onPart) {
      stopping = true
      await (await street)?.stop(onPart)
      printer.stopped()
    },
  }
}
