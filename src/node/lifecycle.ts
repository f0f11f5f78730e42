import { constants } from 'node:os'
import type { Logger } from '../ports/logger.ts'

/** Hears the name of each part of a node just before it is stopped. */
export type OnPart = (name: string) => void

/** A node as the command line runs it. */
export interface Runnable<Report extends object> {
  start(): Promise<Report>
  /** Finishes the tick in hand and closes in reverse order. */
  stop(onPart?: OnPart): Promise<void>
  /** Rejects when a node that was started can never do its work. */
  readonly failed?: Promise<never>
}

export interface RunOptions<Report extends object> {
  readonly logger: Logger
  readonly onStarted: (report: Report) => void
  /** Signals that stop it (default: STOP_SIGNALS). */
  readonly signals?: readonly NodeJS.Signals[]
}

export const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']
/** Below the 5 s that an operator is promised, with room for the exit itself. */
export const STOP_LIMIT_MS = 4_500

/**
 * Runs a node until one of its signals and gives the exit code: 0 when it has stopped, 1 if stopping took longer than
 * STOP_LIMIT_MS (the log says which part hung), 128 + signal at a second signal, at once. Rejects if the start or the stop
 * fails, on an error that nobody caught, and, stopped, if the node has failed. The caller exits the process: something that hangs would keep it alive.
 */
export function runUntilSignal<Report extends object>(
  node: Runnable<Report>,
  options: RunOptions<Report>,
): Promise<number> {
  const { logger, onStarted, signals = STOP_SIGNALS } = options
  return new Promise((resolve, reject) => {
    let inHand = 'start'
    let stopping = false
    const stop = async (): Promise<number> => {
      await starting
      await node.stop((part) => (inHand = part))
      return 0
    }
    const onSignal = (signal: NodeJS.Signals): void => {
      if (stopping) {
        resolve(128 + constants.signals[signal])
        return
      }
      stopping = true
      logger.info({ signal }, 'stopping; a second signal exits at once')
      setTimeout(() => {
        logger.error({ part: inHand }, `${inHand} did not stop within ${STOP_LIMIT_MS} ms`)
        resolve(1)
      }, STOP_LIMIT_MS)
      stop().then(resolve, reject)
    }
    const onFailure = async (error: Error): Promise<void> => {
      stopping = true
      await stop().catch(() => undefined)
      reject(error)
    }
    // Before the start: a signal in the middle of it must not leave a half-open node.
    for (const signal of signals) process.on(signal, onSignal)
    process.on('uncaughtException', reject)
    process.on('unhandledRejection', reject)
    const starting = node.start().then(onStarted)
    starting.catch(reject)
    node.failed?.catch(onFailure)
  })
}
