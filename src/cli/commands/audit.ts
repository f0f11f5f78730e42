import type { Command } from 'commander'
import type { AuditFindings, AuditReport, FindingRange } from '../../node/audit.ts'
import { count } from '../../protocol/count-words.ts'
import type { OnProgress } from '../../node/progress.ts'
import { longWork } from '../long-work.ts'
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
    .option('--data <dir>', 'the data directory of a stopped authority or validator')
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
      const auditing = (onProgress: OnProgress): Promise<AuditReport> =>
        file === undefined ? ofDirectory(data, database, onProgress) : ofFile(file, pin, onProgress)
      const report = await longWork('auditing', json === true, auditing)
      const { blocks, transactions, findings, total_findings } = report
      const summary = `${count(blocks, 'block')}, ${count(transactions, 'transaction')}: ${findings.length === 0 ? 'clean' : count(total_findings, 'difference')}`
      const lines = [...linesOf(report), ...voidLines(report), summary, ...adviceFor(findings, data)]
      printResult(json === true, lines, {
        clean: findings.length === 0,
        ...report,
      })
      if (findings.length > 0) process.exitCode = EXIT.failed
    })
}

/** A broken store differs everywhere: what a person reads ends. */
const MAX_LINES = 40

/** Findings of one kind in a row are one line. */
function linesOf({ ranges, total_findings }: AuditFindings): readonly string[] {
  const shown = ranges.slice(0, MAX_LINES)
  const rest = total_findings - shown.reduce((sum, { count }) => sum + count, 0)
  return [
    ...shown.map(lineOf),
    ...(rest > 0 ? [`and ${count(rest, 'more difference')}: --json has the first 1,000 in full`] : []),
  ]
}

function lineOf({ place, count: times, first, same }: FindingRange): string {
  const { expected, found } = first
  if (times === 1) return `${place}: expected ${expected}, found ${found}`
  const which = same ? '' : `, at ${first.place}`
  return `${place}: ${times} differences, ${same ? 'each' : 'the first'} expected ${expected}, found ${found}${which}`
}

/** What was committed and never sealed is no difference, and is to be known. */
const voidLines = ({ void_ticks = [] }: AuditReport): readonly string[] =>
  void_ticks.map(
    ({ tick_id, reason, voided_at }) =>
      `void tick ${tick_id}: committed and never sealed, since ${new Date(voided_at).toISOString()}: ${reason}`,
  )

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
