import type { Logger } from '../ports/logger.ts'
import type { OnPart } from './lifecycle.ts'

/**
 * What has been opened so far, to be closed in reverse order, once. A part that fails to close does not keep the others
 * from closing.
 */
export interface Shutdown {
  /** Remembers how to close a part that is open now. */
  opened(name: string, close: () => Promise<void> | void): void
  /** Runs `open`; if it fails, what it had opened is closed before its error is thrown. */
  orUndo<T>(open: () => Promise<T>): Promise<T>
  /** Closes everything; rejects at the end if a part failed. */
  run(onPart?: OnPart): Promise<void>
}

export function createShutdown(logger: Logger): Shutdown {
  const open: { readonly name: string; readonly close: () => Promise<void> | void }[] = []
  let running: Promise<void> | undefined

  async function closeAll(onPart: OnPart): Promise<void> {
    const errors: unknown[] = []
    for (let part = open.pop(); part !== undefined; part = open.pop()) {
      onPart(part.name)
      try {
        await part.close()
        logger.debug({ part: part.name }, 'closed')
      } catch (error) {
        logger.error({ part: part.name, error }, `${part.name} could not be closed`)
        errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not every part could be closed')
  }

  const run = (onPart: OnPart = () => undefined): Promise<void> => (running ??= closeAll(onPart))

  return {
    opened: (name, close) => open.push({ name, close }),
    async orUndo(task) {
      try {
        return await task()
      } catch (error) {
        // What could not be closed is in the log; the caller is told why it had to be.
        await run().catch(() => undefined)
        throw error
      }
    },
    run,
  }
}
