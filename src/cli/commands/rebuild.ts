import type { Command } from 'commander'
import { count } from '../../protocol/count-words.ts'
import type { OnProgress } from '../../node/progress.ts'
import type { RebuildReport } from '../../node/rebuild.ts'
import { longWork } from '../long-work.ts'
import { printResult } from '../output.ts'
import { storesConfig } from '../stores-config.ts'

const EXAMPLES = `
Examples:
  solar-node rebuild --data ./solar-data

The old level/ stays until the new one is whole; broken off at any moment, run it again. Blocks that only level/ has are never
thrown away: where SQL is older, start the node, which puts them back into SQL. A validator has no SQL: it syncs from its peers.`

interface RebuildOptions {
  readonly data: string
  readonly database?: string
  readonly json?: true
}

/** `solar-node rebuild`: LevelDB anew from SQL, each block checked by every rule, while the node is stopped. */
export function registerRebuild(program: Command): void {
  program
    .command('rebuild')
    .description('make LevelDB (level/) anew from SQL, checking every block')
    .requiredOption('--data <dir>', 'the data directory of a stopped authority')
    .option(
      '--database <url>',
      'sqlite:PATH or postgres://USER@HOST/DATABASE (default: ledger.db in the data directory)',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { data, database, json } = command.optsWithGlobals<RebuildOptions>()
      const config = storesConfig(data, database)
      const { rebuildDirectory } = await import('../../node/rebuild.ts')
      const rebuilding = (onProgress: OnProgress): Promise<RebuildReport> =>
        rebuildDirectory(config.dataDirectory, config.database, onProgress)
      const report = await longWork('rebuilding', json === true, rebuilding)
      const { blocks, transactions } = report
      printResult(
        json === true,
        [`${count(blocks, 'block')}, ${count(transactions, 'transaction')}: level/ is made anew from SQL`],
        report,
      )
    })
}
