import type { Command } from 'commander'
import { SingleBar } from 'cli-progress'
import { chainIdOption, EXIT, printResult, UsageError } from '../output.ts'
import { storesConfig } from '../stores-config.ts'

const EXAMPLES = `
Examples:
  solar-node audit --data ./solar-data
  solar-node audit --data ./solar-data --json
  solar-node audit --file chain.jsonl --chain <chain_id>`

interface AuditOptions {
  readonly data?: string
  readonly file?: string
  readonly chain?: string
  readonly database?: string
  readonly json?: true
}

/**
 * `solar-node audit`: SQL against LevelDB against the chain, while the node is stopped; or an exported chain, without a node.
 * Exit 1 if anything differs.
 */
export function registerAudit(program: Command): void {
  program
    .command('audit')
    .description('check SQL against LevelDB against the chain, or an exported chain; names each value that differs')
    .option('--data <dir>', 'the data directory of a stopped authority')
    .option('--file <file>', 'instead: a chain that solar-node export has written')
    .option('--chain <chain_id>', 'with --file: the chain that it must be')
    .option(
      '--database <url>',
      'sqlite:PATH or postgres://USER@HOST/DATABASE (default: ledger.db in the data directory)',
    )
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { data, file, chain, database, json } = command.optsWithGlobals<AuditOptions>()
      if ((data === undefined) === (file === undefined)) throw new UsageError('expected either --data or --file')
      const pin = chain === undefined ? undefined : chainIdOption(chain)
      const bar = new SingleBar({ format: 'auditing {value} blocks, {transactions} transactions', hideCursor: true })
      if (process.stderr.isTTY) bar.start(0, 0, { transactions: 0 })
      const onProgress = (blocks: number, transactions: number): void => bar.update(blocks, { transactions })
      const report =
        file === undefined ? await ofDirectory(data, database, onProgress) : await ofFile(file, pin, onProgress)
      bar.stop()
      const { blocks, transactions, findings } = report
      const lines = findings.map(({ place, expected, found }) => `${place}: expected ${expected}, found ${found}`)
      const summary = `${blocks} blocks, ${transactions} transactions: ${findings.length === 0 ? 'clean' : `${findings.length} differences`}`
      printResult(json === true, [...lines, summary], { clean: findings.length === 0, ...report })
      if (findings.length > 0) process.exitCode = EXIT.failed
    })
}

type OnProgress = (blocks: number, transactions: number) => void

async function ofDirectory(data: string | undefined, database: string | undefined, onProgress: OnProgress) {
  const config = storesConfig(data, database)
  const { auditDirectory } = await import('../../node/audit.ts')
  return await auditDirectory(config.dataDirectory, config.database, onProgress)
}

async function ofFile(file: string, chainId: string | undefined, onProgress: OnProgress) {
  const { auditFile } = await import('../../node/export.ts')
  return await auditFile(file, chainId, onProgress)
}
