import { join } from 'node:path'
import type { Command } from 'commander'
import type { AuthorityConfig, NodeConfig } from '../../config/types.ts'
import type { AuthorityReport } from '../../node/authority.ts'
import type { LightReport } from '../../node/light.ts'
import { runUntilSignal, type Runnable } from '../../node/lifecycle.ts'
import type { Logger } from '../../ports/logger.ts'
import type { ValidatorReport } from '../../node/validator.ts'
import { UsageError } from '../output.ts'
import { processTerminal } from '../passphrase.ts'

type Report = AuthorityReport | LightReport | ValidatorReport

const EXAMPLES = `
Examples:
  solar-node --mode=authority --data ./solar-data --tick 300
  solar-node --mode=authority --config /etc/solar-node/authority.yaml
  solar-node --mode=light --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW... --chain <chain_id>
  solar-node --mode=validator --peer /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW... --chain <chain_id>

Every option is also a key of the --config file (min_trade_kwh) and a variable (SOLAR_MIN_TRADE_KWH).
Flags win over variables, variables over the file.`

/** `solar-node [run]`: the default command, a node until a signal ends it. */
export function registerRun(program: Command): void {
  program
    .command('run', { isDefault: true })
    .description('run a node (the default command)')
    .usage('--mode=authority|light|validator [options]')
    // A word that is no command comes here; it gets its own line below.
    .allowExcessArguments()
    .option(
      '--mode <mode>',
      'authority: seals the ledger; light: verifies and votes; validator: replicates and co-signs',
    )
    .option('--config <file>', 'YAML file with settings')
    .option('--data <dir>', 'where keys and data are kept (default: ./solar-data)')
    .option('--http <host:port|off>', 'HTTP address (default: 127.0.0.1:8080 for an authority, else off)')
    .option('--peer <multiaddr...>', 'a node to stay connected with')
    .option('--trusted-proxies <address|cidr...>', 'proxies before --http whose X-Forwarded-For is believed')
    .option('--public-urls <origin...>', 'authority, validator: where proxies lead to --http, for signed requests')
    .option('--cors-origins <origin...>', 'whose pages may call --http from a browser (default: nobody else)')
    .option('--passphrase-file <file>', 'opens encrypted key files in the data directory')
    .option('--signer <url>', 'has the signing key: unix:/PATH or http://127.0.0.1:PORT (solar-node signer)')
    .option('--signer-token-file <file>', 'the token that the signer takes')
    .option('--swarm-key-file <file>', 'key of a private network (libp2p): only who has it too can connect')
    .option('--listen <multiaddr...>', 'authority, validator: libp2p addresses (default: TCP 4001 and WebSocket 4002)')
    .option(
      '--database <url>',
      'authority: sqlite:PATH or postgres://USER@HOST/DATABASE (default: ledger.db in the data directory)',
    )
    .option('--tick <seconds|off>', 'authority: trading interval (default: 300)')
    .option('--finality <policy>', 'authority, on the first start: authority, votes:K or validators:M')
    .option('--seal <rule>', 'authority, on the first start: authority or work:D')
    .option('--genesis <file>', 'authority: the genesis to start from (default: a new one)')
    .option('--name <text>', 'authority, on the first start: the name of the chain, for people')
    .option('--currency <code>', 'authority, on the first start: ISO 4217 code such as EUR')
    .option('--amount-decimals <n>', 'authority, on the first start: decimals of money amounts, 0 to 6 (default: 6)')
    .option('--privacy <mode>', 'authority, on the first start: plain, or pseudonymous ids of users on the chain')
    .option('--payload-recipients <age1...>', 'authority: auditors that payloads are encrypted for (age recipients)')
    .option('--archive-after <age|off>', 'authority, validator: move bodies of older blocks, such as 90d, to archive/')
    .option('--chain <chain_id>', 'light, validator: the chain to trust (default: trust on first use)')
    .option('--headers <n>', 'light: headers to keep (default: 5)')
    .option('--no-vote', 'light: verify only')
    .option('--stale-after <seconds>', 'light: says stale without a new final header for this long (default: 900)')
    .option('--allow-changes <hash...>', 'validator: changes of policy, authorities, validators to co-sign; or all')
    .option('--recall-peers <n>', 'validator: acks after a start once so many of --peer said what it acked before')
    .addHelpText('after', EXAMPLES)
    .action(async (_options, command: Command) => {
      if (command.args[0] !== undefined) throw unknownCommand(program, command.args[0])
      await run(command)
    })
}

function unknownCommand(program: Command, word: string): UsageError {
  const names = program.commands.map((command) => command.name()).join(', ')
  return new UsageError(`unknown command "${word}", expected one of ${names} (see solar-node --help)`)
}

async function run(command: Command): Promise<void> {
  // Loaded only now, and the node below: --help and the other commands do without them.
  const { loadNodeConfig } = await import('../../config/load.ts')
  const { createLogger } = await import('../../node/logger.ts')
  const { config: file, json, ...flags } = givenOptions(command)
  const loaded = loadNodeConfig({ flags, env: process.env, file: file as string | undefined })
  const config = loaded.mode === 'authority' && json !== true ? await askForChain(loaded) : loaded
  const logger = createLogger({ level: config.logLevel, pretty: process.stdout.isTTY && json !== true })
  const node = await createNode(config, logger)
  const code = await runUntilSignal(node, {
    logger,
    onStarted: (report) => sayStarted(report, config.mode, logger),
  })
  // Whatever still hangs must not keep a stopped node alive.
  process.exit(code)
}

async function askForChain(config: AuthorityConfig): Promise<AuthorityConfig> {
  // Where nobody reads the question nobody answers it.
  if (!process.stderr.isTTY) return config
  const { chooseChain } = await import('../first-start.ts')
  return chooseChain(config, processTerminal)
}

/** The options that stand on the command line: commander's own defaults (vote: true) are none of the operator's. */
function givenOptions(command: Command): Record<string, unknown> {
  const options: Record<string, unknown> = command.optsWithGlobals()
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => command.getOptionValueSourceWithGlobals(name) === 'cli'),
  )
}

async function createNode(config: NodeConfig, logger: Logger): Promise<Runnable<Report>> {
  if (config.mode === 'light') {
    const { createLight } = await import('../../node/light.ts')
    return createLight(config, { logger })
  }
  if (config.mode === 'validator') {
    const { createValidatorNode } = await import('../../node/validator.ts')
    return createValidatorNode(config, { logger })
  }
  const { createAuthority } = await import('../../node/authority.ts')
  return createAuthority(config, { logger })
}

function sayStarted(report: Report, mode: NodeConfig['mode'], logger: Logger): void {
  const data = report.dataDirectory
  if ('pinned' in report) {
    sayLightStarted(report, logger)
    return
  }
  if (!('chainId' in report)) {
    logger.info({ data, public_key: report.publicKey }, `${mode} is running`)
    return
  }
  const { chainId, multiaddrs, tipHeight, httpUrl } = report
  const common = { data, http: httpUrl }
  const how = report.firstStart ? 'made a new chain' : 'found its chain again'
  logger.info({ ...common, chain_id: chainId, multiaddrs, tip_height: tipHeight }, `authority is running, ${how}`)
  if (report.tokensCreated) {
    logger.warn(
      { file: join(report.dataDirectory, 'tokens.json') },
      'take tokens.json away: the node keeps only hashes',
    )
  }
  if (report.recoveryPhraseFile !== null) {
    logger.warn(
      { file: report.recoveryPhraseFile },
      'take recovery-phrase.txt away, onto paper or to another place: its 24 words replace the key of this authority when it ' +
        'is lost or stolen, and whoever has them can do that',
    )
  }
}

/** What whoever helps a household asks for first, as fields and in words. */
function sayLightStarted(report: LightReport, logger: Logger): void {
  const { dataDirectory: data, publicKey: public_key, pinned, peers, httpUrl: http } = report
  logger.info({ data, http, public_key }, 'light node is running')
  const chain =
    pinned === null
      ? 'not pinned to a chain: it follows that of its data, or the first that a peer shows, and --chain pins it'
      : `pinned to chain ${pinned}`
  logger.info({ pinned, peers }, `${chain}; peers ${peers.join(', ')}; public key ${public_key}; data in ${data}`)
}
