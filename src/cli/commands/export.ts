import type { Command } from 'commander'
import { count } from '../../protocol/count-words.ts'
import type { OnProgress } from '../../node/progress.ts'
import { longWork } from '../long-work.ts'
import { printResult } from '../output.ts'
import { storesConfig } from '../stores-config.ts'

const EXAMPLES = `
Examples:
  solar-node export --data ./solar-data --out chain.jsonl
  solar-node audit --file chain.jsonl --chain <chain_id>

The file has every trade in clear: give it to auditors only.`

interface ExportOptions {
  readonly data: string
  readonly database?: string
  readonly out: string
  readonly force?: true
  readonly json?: true
}

/** `solar-node export`: the whole chain in one file, which audit --file checks without a node. */
export function registerExport(program: Command): void {
  program
    .command('export')
    .description('write the whole chain to one file, for an auditor without a node')
    .requiredOption('--data <dir>', 'the data directory of a stopped authority or validator')
    .option(
      '--database <url>',
      'sqlite:PATH or postgres://USER@HOST/DATABASE (default: ledger.db in the data directory)',
    )
    .requiredOption('--out <file>', 'where to write it: JSON lines, mode 0600')
    .option('--force', 'replace a file that is there')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { data, database, out, force, json } = command.optsWithGlobals<ExportOptions>()
      const config = storesConfig(data, database)
      const { exportDirectory } = await import('../../node/export.ts')
      const target = { path: out, force: force === true }
      const exporting = (onProgress: OnProgress): Promise<number> =>
        exportDirectory(config.dataDirectory, config.database, target, onProgress)
      const blocks = await longWork('exporting', json === true, exporting)
      printResult(json === true, [`${count(blocks, 'block')} written to ${out}`], { blocks, out })
    })
}
