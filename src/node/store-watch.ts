import type { Clock } from '../ports/clock.ts'
import type { Logger } from '../ports/logger.ts'
import { isSolarError } from '../protocol/errors.ts'

/** How often the stores are asked whether they work: a store that is gone is told, and one that is back is used, within it. */
const LOOK_EVERY_MS = 1_000

/** What it takes to see whether the stores work. */
export interface StoreChecks {
  /** A small read. */
  read(): Promise<unknown>
  /** A small write that is durable when it returns: reading from a full disk tells nothing. */
  write(): Promise<void>
  /** Makes good what a failed write has left. */
  recover(): Promise<void>
}

/**
 * Knows whether the stores work: from every call to them that fails, and by asking while nobody calls. While one does not,
 * each call to it goes on to be tried and refused; here it is asked until it works, and what was left half-way is made good.
 */
export interface StoreWatch {
  /** The same store; what fails in it is noted. */
  watched<Store extends object>(store: Store): Store
  /** For people: which store failed at what, and why; `undefined` while all work. */
  reason(): string | undefined
  start(checks: StoreChecks): void
  /** Waits for the look in hand. */
  stop(): Promise<void>
}

/** What the log says that the node does not do while a store fails, and does again. */
export interface StoreWatchWords {
  readonly failing: string
  readonly working: string
  /** What to do about an error, for people; `undefined` where nobody knows. */
  readonly advice: (error: unknown) => string | undefined
}

export function createStoreWatch(clock: Clock, logger: Logger, words: StoreWatchWords): StoreWatch {
  const { failing, working, advice } = words
  let reason: string | undefined
  let cancel = (): void => undefined
  let stopped = false
  let looking = Promise.resolve()

  function note(error: unknown): void {
    const what = error instanceof Error ? error.message : String(error)
    const known = advice(error)
    const message = known === undefined ? what : `${what}: ${known}`
    if (reason === undefined) logger.error({ error }, `${failing}: ${message}`)
    reason = message
  }

  async function look(checks: StoreChecks): Promise<void> {
    try {
      if (reason === undefined) {
        await checks.read()
        return
      }
      await checks.write()
      // Where sealing is not allowed for another reason, the stores work.
      await checks.recover().catch((error: unknown) => {
        if (!isSolarError(error, 'not_ready')) throw error
      })
      reason = undefined
      logger.info({}, `the stores work again: ${working}`)
    } catch (error) {
      note(error)
    }
  }

  function schedule(checks: StoreChecks): void {
    cancel = clock.after(LOOK_EVERY_MS, () => {
      looking = look(checks).then(() => {
        if (!stopped) schedule(checks)
      })
    })
  }

  return {
    watched: (store) => notingFailures(store, note),
    reason: () => reason,
    start: schedule,
    stop() {
      stopped = true
      cancel()
      return looking
    },
  }
}

function notingFailures<Store extends object>(store: Store, note: (error: unknown) => void): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: readonly unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, target, args)
        if (result instanceof Promise) {
          result.catch((error: unknown) => {
            if (isSolarError(error, 'store_failed')) note(error)
          })
        }
        return result
      }
    },
  })
}
