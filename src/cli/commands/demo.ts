import type { Command } from 'commander'
import { runUntilSignal, STOP_SIGNALS } from '../../node/lifecycle.ts'
import { silentLogger } from '../../ports/logger.ts'
import { UsageError } from '../output.ts'
import type { GlobalOptions } from '../program.ts'

const EXAMPLES = `
Examples:
  solar-node demo
  solar-node demo --verbose
  solar-node demo --http 127.0.0.1:0 --tick 0.5 --json`

interface DemoFlags extends GlobalOptions {
  readonly http: string
  readonly tick: string
  readonly seal: string
  readonly verbose?: true
}

/** `solar-node demo`: everything at once, on this machine, for a look. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('an authority, a validator and light households that trade under a model sun, with the dashboard')
    .option('--http <host:port>', 'where the dashboard is served', '127.0.0.1:8080')
    .option('--tick <seconds>', 'seconds that a tick of 15 model minutes takes', '2')
    .option('--seal <rule>', 'authority or work:D', 'authority')
    .option('--verbose', 'a line for each thing that a household or the validator does')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { http, tick, seal, json, verbose } = command.optsWithGlobals<DemoFlags>()
      const seconds = Number(tick)
      if (!(seconds >= 0.1 && seconds <= 3600)) {
        throw new UsageError(`--tick: expected seconds from 0.1 to 3600, got ${JSON.stringify(tick)}`)
      }
      if (http === 'off') throw new UsageError('--http: expected HOST:PORT, got "off": the demo trades over HTTP')
      const { createDemo } = await import('../demo/demo.ts')
      const demo = createDemo({ http, tickMs: seconds * 1000, seal, json: json === true, verbose: verbose === true })
      // A terminal that is closed hangs up; that its lines are not read any more (EPIPE) stops a node as it is.
      const signals = [...STOP_SIGNALS, 'SIGHUP'] as const
      process.exit(await runUntilSignal(demo, { logger: silentLogger, onStarted: () => undefined, signals }))
    })
}
