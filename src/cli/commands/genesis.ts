import type { Command } from 'commander'
import { FINALITY, finalityPolicy, sealRule, wholeNumber, type Reader } from '../../config/values.ts'
import type { ConfiguredKey } from '../../config/types.ts'
import { systemClock } from '../../node/clock.ts'
import { buildGenesis, createGenesisFile, readGenesisFile, type LoadedGenesis } from '../../node/genesis-file.ts'
import { checkOutFile, makeOutFolder } from '../../node/out-file.ts'
import { chainIdOf, type Finality } from '../../protocol/genesis.ts'
import { printResult, UsageError } from '../output.ts'
import type { GlobalOptions } from '../program.ts'
import { openKeyFile } from './keys.ts'

interface NewOptions extends GlobalOptions {
  readonly out: string
  readonly name?: string
  readonly origin?: string
  readonly currency?: string
  readonly amountDecimals?: string
  readonly finality?: string
  readonly seal?: string
  readonly authority: readonly string[]
  readonly validator?: readonly string[]
  readonly voter?: readonly string[]
  readonly passphraseFile?: string
}

const EXAMPLE = `
Example:
  solar-node keys new --out solar-data/authority.key
  solar-node genesis new --out genesis.json --name "Sun Street" --origin ledger.example.org/sun-street \\
    --authority town=solar-data/authority.key --validator school=<public key> --finality authority
  solar-node --mode=authority --data solar-data --genesis genesis.json`

/** `solar-node genesis new|show`. */
export function registerGenesis(program: Command): void {
  const genesis = program
    .command('genesis')
    .description('make and look at the first page of a ledger')
    .addHelpText('after', EXAMPLE)
  genesis
    .command('new')
    .description('write a genesis; its chain_id is what light clients pin')
    .requiredOption('--out <file>', 'where to put it; a file that is there is never overwritten')
    .requiredOption('--authority <id=key...>', 'who seals: ID=PUBLIC_KEY or ID=KEY_FILE')
    .option('--validator <id=key...>', 'who replicates and co-signs')
    .option('--voter <id=key...>', 'whose devices vote')
    .option('--name <text>', 'for people')
    .option('--origin <url>', 'schema-less URL of this ledger, such as ledger.example.org/street')
    .option('--currency <code>', 'currency of prices and amounts, such as EUR')
    .option('--amount-decimals <n>', 'decimals of amounts, 0 to 6')
    .option('--finality <policy>', 'authority, votes:K or validators:M')
    .option('--seal <rule>', 'authority or work:D')
    .option('--passphrase-file <file>', 'opens encrypted key files; without it the passphrase is asked for')
    .addHelpText('after', EXAMPLE)
    .action(async (_options, command: Command) => newGenesis(command.optsWithGlobals()))
  genesis
    .command('show')
    .description('check a genesis and print its chain_id')
    .argument('<file>', 'a genesis file')
    .addHelpText('after', '\nExample:\n  solar-node genesis show genesis.json')
    .action(async (file: string, _options, command: Command) => {
      const { json }: GlobalOptions = command.optsWithGlobals()
      show(await readGenesisFile(file), json === true)
    })
}

async function newGenesis(options: NewOptions): Promise<void> {
  await checkOutFile({ path: options.out })
  const settings = {
    name: options.name,
    origin: options.origin,
    currency: options.currency,
    amountDecimals: read('--amount-decimals', 'a whole number from 0 to 6', wholeNumber(0, 6), options.amountDecimals),
    finality: read('--finality', FINALITY, finalityPolicy, options.finality),
    seal: read('--seal', 'authority or work:D with D from 1 to 8', sealRule, options.seal),
    validators: await readKeys('--validator', options.validator, options.passphraseFile),
    voters: await readKeys('--voter', options.voter, options.passphraseFile),
  }
  const authorities = await readKeys('--authority', options.authority, options.passphraseFile)
  const genesis = buildGenesis(
    settings,
    authorities.map(({ id, publicKey }) => ({ id, role: 'authority', public_key: publicKey, recovery_key: null })),
    systemClock.now(),
  )
  await makeOutFolder(options.out)
  await createGenesisFile(options.out, genesis)
  show({ genesis, chainId: chainIdOf(genesis) }, options.json === true)
}

function read<T>(flag: string, expected: string, reader: Reader<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined
  const value = reader(text)
  if (value === undefined) throw new UsageError(`${flag}: expected ${expected}, got "${text}"`)
  return value
}

/** ID=PUBLIC_KEY or ID=KEY_FILE, one after another: an encrypted key file may have to ask. */
async function readKeys(
  flag: string,
  texts: readonly string[] | undefined,
  passphraseFile: string | undefined,
): Promise<readonly ConfiguredKey[]> {
  const keys: ConfiguredKey[] = []
  for (const text of texts ?? []) {
    const [, id, key] = /^([A-Za-z0-9._:@+-]{1,64})=(.+)$/.exec(text) ?? []
    if (id === undefined || key === undefined) {
      throw new UsageError(`${flag}: expected ID=PUBLIC_KEY or ID=KEY_FILE, got "${text}"`)
    }
    const publicKey = /^[0-9a-f]{64}$/.test(key) ? key : (await openKeyFile(key, passphraseFile)).publicKey
    keys.push({ id, publicKey, recoveryKey: null, userId: undefined })
  }
  return keys
}

function show({ genesis, chainId }: LoadedGenesis, json: boolean): void {
  const sealed = genesis.seal === 'work' ? `work, ${genesis.difficulty} zero digits` : 'authority'
  const lines = [
    `chain_id    ${chainId}`,
    `name        ${genesis.name}`,
    `origin      ${genesis.origin}`,
    `created     ${new Date(genesis.created_at).toISOString()}`,
    `amounts     ${genesis.currency}, ${genesis.amount_decimals} decimals`,
    `seal        ${sealed}`,
    `finality    ${finalityText(genesis.finality)}`,
    ...genesis.registry.map((entry) => `${entry.role.padEnd(11)} ${entry.id} ${entry.public_key}`),
  ]
  printResult(json, lines, { chain_id: chainId, genesis })
}

const finalityText = (finality: Finality): string =>
  finality.policy === 'authority' ? 'authority' : `${finality.policy}:${finality.threshold}`
