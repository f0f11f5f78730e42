import { Command, CommanderError, Option } from 'commander'
import { LOG_LEVELS } from '../config/values.ts'
import { registerAudit } from './commands/audit.ts'
import { registerDemo } from './commands/demo.ts'
import { registerExport } from './commands/export.ts'
import { registerGenesis } from './commands/genesis.ts'
import { registerKeys } from './commands/keys.ts'
import { registerPayload } from './commands/payload.ts'
import { registerProve } from './commands/prove.ts'
import { registerRebuild } from './commands/rebuild.ts'
import { registerRedact } from './commands/redact.ts'
import { registerReplay } from './commands/replay.ts'
import { registerRun } from './commands/run.ts'
import { registerSigner } from './commands/signer.ts'
import { registerTokens } from './commands/tokens.ts'
import { registerTrades } from './commands/trades.ts'
import { registerVerify } from './commands/verify.ts'
import { VERSION } from '../node/version.ts'
import { EXIT, exitCodeOf, oneLine, printError } from './output.ts'

/** Adds one command, with its options and its example, to the program. */
export type RegisterCommand = (program: Command) => void

/** Every command has a file of its own in commands/. */
const commands: readonly RegisterCommand[] = [
  registerRun,
  registerDemo,
  registerReplay,
  registerProve,
  registerVerify,
  registerTrades,
  registerAudit,
  registerRebuild,
  registerExport,
  registerRedact,
  registerPayload,
  registerKeys,
  registerTokens,
  registerSigner,
  registerGenesis,
]

/** Options that every command takes; read them with `command.optsWithGlobals()`. */
export interface GlobalOptions {
  readonly json?: true
  readonly logLevel?: string
}

/** The command line, ready to parse. */
export function createProgram(): Command {
  const program = new Command('solar-node')
    .description('A ledger for energy-sharing communities that its members can check')
    .version(VERSION, '--version', 'print the version')
    .option('--json', 'machine-readable output')
    .addOption(new Option('--log-level <level>', 'debug also shows where an error came from').choices(LOG_LEVELS))
    .helpCommand('help [command]', 'display help for command')
    .showHelpAfterError(false)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      `
Without a command, run starts a node:
  solar-node --mode=authority --data ./solar-data
  solar-node --mode=light --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW...
solar-node run --help lists its options.`,
    )
  for (const register of commands) register(program)
  tellErrors(program, 'solar-node')
  return program
}

/** Each command's errors are one line that names its own help. */
function tellErrors(command: Command, name: string): void {
  command.configureOutput({
    // Commander puts its suggestion on a second line.
    outputError: (text, write) => {
      const line = oneLine(text.trim().replace(/^error: /, ''))
      write(process.argv.includes('--json') ? usageJson(line) : `solar-node: ${line} (see ${name} --help)\n`)
    },
  })
  for (const child of command.commands) tellErrors(child, `${name} ${child.name()}`)
}

const usageJson = (message: string): string => `${JSON.stringify({ error: { code: 'usage', message } })}\n`

/** Runs one command line and gives its exit code. Errors become one line on standard error. */
export async function runCommandLine(argv: readonly string[]): Promise<number> {
  const program = createProgram()
  try {
    await program.parseAsync(argv)
    return Number(process.exitCode ?? EXIT.ok)
  } catch (error) {
    const options: GlobalOptions = program.opts()
    const level = options.logLevel ?? process.env.SOLAR_LOG_LEVEL
    printError(error, { json: options.json === true, stack: level === 'debug' && !(error instanceof CommanderError) })
    return exitCodeOf(error)
  }
}
