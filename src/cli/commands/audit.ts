import type { Command } from 'commander'
import type { AuditReport } from '../../node/audit.ts'
import type { OnProgress } from '../../node/progress.ts'
import { chainIdOption, EXIT, printResult, UsageError } from '../output.ts'
import { createProgressReport } from '../progress.ts'
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
      const progress = createProgressReport('auditing', process.stderr, json === true)
      const { onProgress } = progress
      const auditing = file === undefined ? ofDirectory(data, database, onProgress) : ofFile(file, pin, onProgress)
      const report = await auditing.finally(() => progress.close())
      const { blocks, transactions, findings } = report
      const lines = findings.map(({ place, expected, found }) => `${place}: expected ${expected}, found ${found}`)
      const summary = `${blocks} blocks, ${transactions} transactions: ${findings.length === 0 ? 'clean' : `${findings.length} differences`}`
      printResult(json === true, [...lines, summary, ...adviceFor(findings, data)], {
        clean: findings.length === 0,
        ...report,
      })
      if (findings.length > 0) process.exitCode = EXIT.failed
    })
}

/** What to do where LevelDB alone differs. */
function adviceFor(findings: AuditReport['findings'], data: string | undefined): readonly string[] {
  const inLevel = findings.filter(({ place }) => /^(LevelDB|level)\b/.test(place))
  if (data === undefined || findings.length === 0 || inLevel.length < findings.length) return []
  const size = findings.find(({ place }) => place === 'LevelDB, number of blocks')
  if (size !== undefined && Number(size.found) > Number(size.expected)) {
    return ['SQL is older than LevelDB: start the node, which puts the blocks that SQL lacks back into it']
  }
  return [
    `SQL is right, LevelDB is not: solar-node rebuild --data ${data} makes it anew, a start what is missing at its end`,
  ]
}

async function ofDirectory(data: string | undefined, database: string | undefined, onProgress: OnProgress) {
  const config = storesConfig(data, database)
  const { auditDirectory } = await import('../../node/audit.ts')
  return await auditDirectory(config.dataDirectory, config.database, onProgress)
}

async function ofFile(file: string, chainId: string | undefined, onProgress: OnProgress) {
  const { auditFile } = await import('../../node/export.ts')
  return await auditFile(file, chainId, onProgress)
}
