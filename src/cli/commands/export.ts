import type { Command } from 'commander'
import { printResult } from '../output.ts'
import { createProgressReport } from '../progress.ts'
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
  readonly json?: true
}

/** `solar-node export`: the whole chain in one file, which audit --file checks without a node. */
export function registerExport(program: Command): void {
  program
    .command('export')
    .description('write the whole chain to one file, for an auditor without a node')
    .requiredOption('--data <dir>', 'the data directory of a stopped authority')
    .option(
      '--database <url>',
      'sqlite:PATH or postgres://USER@HOST/DATABASE (default: ledger.db in the data directory)',
    )
    .requiredOption('--out <file>', 'where to write it: JSON lines')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { data, database, out, json } = command.optsWithGlobals<ExportOptions>()
      const config = storesConfig(data, database)
      const { exportDirectory } = await import('../../node/export.ts')
      const progress = createProgressReport('exporting', process.stderr, json === true)
      const exporting = exportDirectory(config.dataDirectory, config.database, out, progress.onProgress)
      const blocks = await exporting.finally(() => progress.close())
      printResult(json === true, [`${blocks} blocks written to ${out}`], { blocks, out })
    })
}
