import { constants } from 'node:os'
import type { OnProgress } from '../node/progress.ts'
import { sayIfLong } from '../node/waiting.ts'
import { createProgressReport } from './progress.ts'

export const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** Work that a signal has ended. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  /** 128 + signal, as shells have it. */
  readonly exitCode: number

  /** @param left what is there now, and what to do; the default is that of work whose beginning is undone */
  constructor(doing: string, signal: (typeof SIGNALS)[number], left = 'nothing was changed, run it again') {
    super(`${doing} was broken off by ${signal}: ${left}`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

/**
 * Runs work through a whole chain with a progress bar. A signal ends it where it reports its progress, so that it closes what it has
 * opened; a second one ends the process at once. Throws `Interrupted`.
 *
 * @param doing such as `auditing`
 */
export async function longWork<T>(
  doing: string,
  json: boolean,
  work: (onProgress: OnProgress) => Promise<T>,
): Promise<T> {
  const progress = createProgressReport(doing, process.stderr, json)
  const callOff = sayIfLong('the database and LevelDB', (line) => process.stderr.write(`solar-node: ${line}\n`))
  let signalled: (typeof SIGNALS)[number] | undefined
  const onSignal = (signal: (typeof SIGNALS)[number]): void => {
    if (signalled !== undefined) process.exit(new Interrupted(doing, signal).exitCode)
    signalled = signal
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  try {
    return await work((state) => {
      callOff()
      if (signalled !== undefined) throw new Interrupted(doing, signalled)
      progress.onProgress(state)
    })
  } finally {
    callOff()
    progress.close()
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}
