import { once } from 'node:events'
import { runUntilSignal } from '../../../src/node/lifecycle.ts'
import { createLogger } from '../../../src/node/logger.ts'

/** A node whose stop behaves as argv says, run as the command line runs one. */
const [, , behaviour = ''] = process.argv
const logger = createLogger({ level: 'info', pretty: false })
const forever = () => new Promise<void>(() => undefined)
let failLater = (): void => undefined
const failed = new Promise<never>((_, reject) => {
  failLater = () => reject(new Error('it is of another chain'))
})

const code = await runUntilSignal(
  {
    start: async () => {
      if (behaviour === 'start-fails') throw new Error('the port is taken')
      if (behaviour === 'slow-start') {
        process.stdout.write('starting\n')
        process.stdin.resume()
        await once(process.stdin, 'end')
      }
      return {}
    },
    stop: async (onPart) => {
      onPart?.('tick in hand')
      if (behaviour === 'stop-fails') throw new Error('the disk is full')
      if (behaviour === 'hangs') await forever()
      process.stdout.write('stopped\n')
    },
    ...(behaviour === 'fails-later' && { failed }),
  },
  {
    logger,
    onStarted: () => {
      process.stdout.write('running\n')
      if (behaviour === 'fails-later') failLater()
      // Something that would keep the process alive for ever.
      setInterval(() => undefined, 1_000)
      if (behaviour === 'throws-later') setImmediate(() => void Promise.reject(new Error('nobody caught this')))
    },
  },
).catch((error: unknown) => {
  process.stdout.write(`failed: ${(error as Error).message}\n`)
  return 1
})
process.exit(code)
