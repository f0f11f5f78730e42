import type { Command } from 'commander'
import { fromShape } from '../../config/values.ts'
import { identifier } from '../../protocol/shape.ts'
import { UsageError } from '../output.ts'
import type { TradesOptions } from '../trades/run.ts'

const EXAMPLES = `
Examples:
  solar-node trades --data ./solar-data                     a household: what its own light node, now stopped, has proved
  solar-node trades home-3 --from 2026-06-01 --to 2026-07-01 --zone Europe/Vienna \\
      --to-url http://127.0.0.1:8080 --token-file platform.token --csv

--to is an end of time, and where it is a URL the node, as --to-url is. Trades from --from on and before --to are listed, each
with all its corrections so far. --json has {user, from, to, currency, trades, sums, note}. In --csv an apostrophe stands before
text that a spreadsheet would take for a formula. A redacted trade is in no list: whose it was went with its body.`

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]

/** `solar-node trades`: one's own trades with sums. */
export function registerTrades(program: Command): void {
  program
    .command('trades')
    .description('list the trades of one user with sums, after corrections')
    .argument('[user]', 'whose; a light node knows its own household')
    .option('--from <time>', 'from this date or time on (default: the first)')
    .option('--to <time|url>', 'before this date or time (default: up to now); a URL is taken as --to-url', collect)
    .option('--zone <name>', 'time zone of dates, and of the times that are shown (default: UTC)')
    .option(
      '--data <dir>',
      'the data directory of a light node or an authority that is stopped (default: ./solar-data)',
    )
    .option('--database <url>', 'with --data of an authority: where its SQL is, if it is not there')
    .option('--to-url <url>', 'instead: a running authority, such as http://127.0.0.1:8080')
    .option('--token-file <file>', 'with --to-url: file with its platform or auditor token')
    .option('--csv', 'RFC 4180, a line for each trade')
    .addHelpText('after', EXAMPLES)
    .action(async (user: string | undefined, _options, command: Command) => {
      if (user !== undefined && fromShape(identifier)(user) === undefined) {
        throw new UsageError(`user: expected an id [A-Za-z0-9._:@+-]{1,64}, got ${JSON.stringify(user.slice(0, 80))}`)
      }
      const { runTrades } = await import('../trades/run.ts')
      await runTrades(user, command.optsWithGlobals<TradesOptions>())
    })
}
