import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { LOG_LEVELS, signerListen, wholeNumber, word } from '../../config/values.ts'
import type { SignerAddress } from '../../ports/signer.ts'
import type { Hash } from '../../protocol/bytes.ts'
import type { SigningKey } from '../../protocol/signature.ts'
import { openSigningKey } from '../keys/key-files.ts'
import { chainIdOption, UsageError } from '../output.ts'
import type { GlobalOptions } from '../program.ts'

interface SignerOptions extends GlobalOptions {
  readonly chainId: string
  readonly keyFile: readonly string[]
  readonly passphraseFile?: string
  readonly dataDir: string
  readonly listen: string
  readonly socketMode: keyof typeof SOCKET_MODES
  readonly tokenFile?: string
  readonly allowRegistry?: true
  readonly signedUpTo?: string
}

const SOCKET_MODES = { '0600': 0o600, '0660': 0o660 } as const

const EXAMPLE = `
Example:
  solar-node signer --chain-id <chain_id> --key-file /var/lib/solar-signer/authority.key \\
    --data-dir /var/lib/solar-signer --listen unix:/run/solar-signer/signer.sock --socket-mode 0660
  solar-node --mode=authority --data solar-data --genesis genesis.json --signer unix:/run/solar-signer/signer.sock

It signs one block and one ack of a height with each key, whatever it is asked, and remembers that in --data-dir: never
delete that folder, nor put an older one back. Run it as another user than the node (docs/operations.md).`

/** `solar-node signer`: the signing keys of a node in a process of their own, until a signal ends it. */
export function registerSigner(program: Command): void {
  program
    .command('signer')
    .description('hold the signing key of a node, so that whoever steals the node cannot sign a height twice')
    .requiredOption('--chain-id <chain_id>', 'the chain that it signs for')
    .requiredOption('--key-file <file...>', 'the keys; more than one while a key is changed')
    .requiredOption('--data-dir <dir>', 'where it remembers what it has signed')
    .requiredOption('--listen <address>', 'unix:/PATH, or HOST:PORT on this machine (with --token-file)')
    .option('--passphrase-file <file>', 'opens encrypted key files; without it the passphrase is asked for')
    .option('--token-file <file>', 'the bearer token that a node must bring (signer_token_file)')
    .addOption(
      new Option('--socket-mode <mode>', 'of the Unix socket: 0660 lets the group of this process connect')
        .choices(Object.keys(SOCKET_MODES))
        .default('0600'),
    )
    .option('--allow-registry', 'sign changes of the registry and countersignatures as well')
    .option('--signed-up-to <height>', 'its keys have signed before: sign nothing new up to this height')
    .addHelpText('after', EXAMPLE)
    .action(async (_options, command: Command) => runSigner(command.optsWithGlobals()))
}

async function runSigner(options: SignerOptions): Promise<void> {
  const chainId: Hash = readChainId(options.chainId)
  const address = readAddress(options.listen)
  if (address.kind === 'tcp' && options.tokenFile === undefined) {
    throw new UsageError('--token-file: expected with --listen HOST:PORT, which every user of this machine can reach')
  }
  const signedUpTo = readHeight(options.signedUpTo)
  const keys = await readKeys(options)

  const { createLogger } = await import('../../node/logger.ts')
  const { runUntilSignal } = await import('../../node/lifecycle.ts')
  const { readSignerToken } = await import('../../node/node-signer.ts')
  const { createSignerProcess } = await import('../../node/signer.ts')
  const { tokenFile } = options
  const token = tokenFile === undefined ? undefined : await readSignerToken(tokenFile, '--token-file')
  const level = word(...LOG_LEVELS)(options.logLevel ?? process.env.SOLAR_LOG_LEVEL) ?? 'info'
  const logger = createLogger({ level, pretty: process.stdout.isTTY && options.json !== true })
  const signer = createSignerProcess(
    {
      chainId,
      keys,
      dataDirectory: resolve(options.dataDir),
      address,
      socketMode: SOCKET_MODES[options.socketMode],
      token,
      allowRegistry: options.allowRegistry === true,
      signedUpTo,
    },
    logger,
  )
  const code = await runUntilSignal(signer, {
    logger,
    onStarted: ({ url, publicKeys }) =>
      logger.info({ url, chain_id: chainId, public_keys: publicKeys }, `signer is running at ${url}`),
  })
  process.exit(code)
}

function readChainId(text: string): Hash {
  try {
    return chainIdOption(text)
  } catch {
    throw new UsageError(`--chain-id: expected 64 lower-case hex characters, got ${JSON.stringify(text)}`)
  }
}

function readAddress(text: string): SignerAddress {
  const address = signerListen(text)
  if (address !== undefined) return address
  throw new UsageError(
    `--listen: expected unix:/PATH of at most 103 bytes, or HOST:PORT on this machine such as 127.0.0.1:8090, got ${JSON.stringify(text)}`,
  )
}

function readHeight(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const height = wholeNumber(0, Number.MAX_SAFE_INTEGER)(text)
  if (height !== undefined) return height
  throw new UsageError(`--signed-up-to: expected the height of a block, got ${JSON.stringify(text)}`)
}

/** One after another: an encrypted one may have to ask. */
async function readKeys({ keyFile, passphraseFile }: SignerOptions): Promise<readonly SigningKey[]> {
  const keys = new Map<string, SigningKey>()
  for (const file of keyFile) {
    const key = await openSigningKey(file, passphraseFile)
    keys.set(key.publicKey, key)
  }
  return [...keys.values()]
}
