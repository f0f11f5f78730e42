import type { Command } from 'commander'
import { SingleBar } from 'cli-progress'
import { loadAuthorityConfig } from '../../config/load.ts'
import { EXIT, printResult } from '../output.ts'

const EXAMPLES = `
Examples:
  solar-node audit --data ./solar-data
  solar-node audit --data ./solar-data --json`

interface AuditOptions {
  readonly data: string
  readonly database?: string
  readonly json?: true
}

/** `solar-node audit`: SQL against LevelDB against the chain, while the node is stopped. Exit 1 if anything differs. */
export function registerAudit(program: Command): void {
  program
    .command('audit')
    .description('check SQL against LevelDB against the chain; names each value that differs')
    .requiredOption('--data <dir>', 'the data directory of a stopped authority')
    .option('--database <url>', 'sqlite:PATH (default: ledger.db in the data directory)')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      const { data, database, json } = command.optsWithGlobals<AuditOptions>()
      const config = loadAuthorityConfig({ flags: { data, database }, env: {} })
      const { auditDirectory } = await import('../../node/audit.ts')
      const bar = new SingleBar({ format: 'auditing {value} blocks, {transactions} transactions', hideCursor: true })
      if (process.stderr.isTTY) bar.start(0, 0, { transactions: 0 })
      const report = await auditDirectory(config.dataDirectory, config.database.path, (blocks, transactions) =>
        bar.update(blocks, { transactions }),
      )
      bar.stop()
      const { blocks, transactions, findings } = report
      const lines = findings.map(({ place, expected, found }) => `${place}: expected ${expected}, found ${found}`)
      const summary = `${blocks} blocks, ${transactions} transactions: ${findings.length === 0 ? 'clean' : `${findings.length} differences`}`
      printResult(json === true, [...lines, summary], { clean: findings.length === 0, ...report })
      if (findings.length > 0) process.exitCode = EXIT.failed
    })
}
