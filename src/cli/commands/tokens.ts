import { join } from 'node:path'
import { Option, type Command } from 'commander'
import { fromShape } from '../../config/values.ts'
import { systemClock, systemRandomBytes } from '../../node/clock.ts'
import { DATA_FILES } from '../../node/data-directory.ts'
import { checkOutFile, writeOutFile } from '../../node/out-file.ts'
import { changeTokens, MAX_PER_DAY, newToken, readTokens } from '../../node/token-files.ts'
import { ACCESS_ROLES, type AccessRole, type TokenGrant } from '../../ports/tokens.ts'
import { sha256Hex } from '../../protocol/hash.ts'
import { identifier, integer } from '../../protocol/shape.ts'
import { timeWords } from '../../protocol/time-words.ts'
import { printResult, UsageError } from '../output.ts'
import type { GlobalOptions } from '../program.ts'

const DAY_MS = 86_400_000
const MAX_DAYS = 3_650
const DEFAULT_PER_DAY = 100

const EXAMPLES = `
Example:
  solar-node tokens new --role metrics --name prometheus --out prometheus.token --data solar-data
  solar-node tokens new --role enroller --name installer --users home- --per-day 20 --days 30 \\
      --out installer.token --data solar-data
  solar-node tokens new --role operator --name operator-2 --out operator.token --data solar-data
  solar-node tokens revoke operator --data solar-data

A node that runs on the data directory goes by it with the next request: nothing is restarted. A token opens the calls of
its role and no more; who is an authority or a validator is for keys to say (solar-node keys).`

interface DataOptions extends GlobalOptions {
  readonly data: string
}

interface NewOptions extends DataOptions {
  readonly role: AccessRole
  readonly name: string
  readonly out: string
  readonly days?: string
  readonly users?: string
  readonly perDay?: string
}

/** `solar-node tokens new|list|revoke`: the bearer tokens of a node, while it runs or not. */
export function registerTokens(program: Command): void {
  const tokens = program
    .command('tokens')
    .description('make, list and revoke the tokens of a node: each has a name, a role, and an end')
    .addHelpText('after', EXAMPLES)
  onData(tokens, 'new', 'make a token and write it into a file (0600); the node keeps only its hash')
    .addOption(new Option('--role <role>', 'what it opens').choices(ACCESS_ROLES).makeOptionMandatory())
    .requiredOption('--name <name>', 'who has it; it stands in the log')
    .requiredOption('--out <file>', 'where to put it; a file that is there is never overwritten')
    .option('--days <days>', 'how long it counts; without it until it is revoked')
    .option('--users <prefix>', 'of an enroller: it enrols devices of users whose id begins so')
    .option('--per-day <count>', `of an enroller: so many enrolments within 24 hours (${DEFAULT_PER_DAY})`)
    .action(async (_options, command: Command) => addToken(command.optsWithGlobals()))
  onData(tokens, 'list', 'names, roles and ends of the tokens').action(async (_options, command: Command) =>
    listTokens(command.optsWithGlobals()),
  )
  onData(tokens, 'revoke', 'a token counts no more')
    .argument('<name>', 'its name')
    .action(async (name: string, _options, command: Command) => revokeToken(name, command.optsWithGlobals()))
}

const onData = (tokens: Command, name: string, description: string): Command =>
  tokens
    .command(name)
    .description(description)
    .option('--data <dir>', 'data directory of the node', 'solar-data')
    .addHelpText('after', EXAMPLES)

const fileIn = ({ data }: DataOptions): string => join(data, DATA_FILES.tokenHashes)

async function addToken(options: NewOptions): Promise<void> {
  const file = fileIn(options)
  const { name, role, out } = options
  if (fromShape(identifier)(name) === undefined) {
    throw new UsageError(`--name: expected an identifier [A-Za-z0-9._:@+-]{1,64}, got ${JSON.stringify(name)}`)
  }
  const days = numberIn('--days', options.days, MAX_DAYS)
  const expires_at = days === undefined ? null : systemClock.now() + days * DAY_MS
  const limits = limitsOf(options)
  await checkOutFile({ path: out })
  const token = newToken(systemRandomBytes)
  const grant: TokenGrant = { name, role, hash: sha256Hex(token), expires_at, ...limits }
  await changeTokens(file, async (grants) => {
    if (grants.some((other) => other.name === name)) {
      throw new UsageError(`--name: ${name} is the name of a token already: choose another one, or revoke that first`)
    }
    // First the file for its owner: a token that nobody has must not count.
    await writeOutFile({ path: out }, [`${token}\n`])
    return [...grants, grant]
  })
  printResult(options.json === true, [lineOf(grant), `file        ${out}`], { ...shownOf(grant), file: out })
}

/** What a token of this role is limited to. Throws UsageError. */
function limitsOf({ role, users, perDay }: NewOptions): Pick<TokenGrant, 'users' | 'per_day'> {
  if (role !== 'enroller') {
    if (users === undefined && perDay === undefined) return {}
    throw new UsageError(`${users === undefined ? '--per-day' : '--users'}: only a token of the role enroller has it`)
  }
  if (users === undefined || fromShape(identifier)(users) === undefined) {
    const got = users === undefined ? 'nothing' : JSON.stringify(users)
    throw new UsageError(
      `--users: expected the beginning of the ids of this enroller's users, such as home-, got ${got}`,
    )
  }
  return { users, per_day: numberIn('--per-day', perDay, MAX_PER_DAY) ?? DEFAULT_PER_DAY }
}

function numberIn(flag: string, given: string | undefined, max: number): number | undefined {
  if (given === undefined) return undefined
  const value = /^[1-9][0-9]{0,5}$/.test(given) ? fromShape(integer(1, max))(Number(given)) : undefined
  if (value !== undefined) return value
  throw new UsageError(`${flag}: expected a whole number from 1 to ${max}, got ${JSON.stringify(given)}`)
}

async function listTokens(options: DataOptions): Promise<void> {
  const grants = await readTokens(fileIn(options))
  printResult(options.json === true, grants.map(lineOf), { tokens: grants.map(shownOf) })
}

async function revokeToken(name: string, options: DataOptions): Promise<void> {
  await changeTokens(fileIn(options), (grants) => {
    const rest = grants.filter((grant) => grant.name !== name)
    if (rest.length < grants.length) return rest
    const names = grants.map((grant) => grant.name).join(', ')
    throw new UsageError(`NAME: expected one of ${names}, got ${JSON.stringify(name)}`)
  })
  printResult(options.json === true, [`revoked     ${name}`], { revoked: name })
}

/** Without the hash, which is nobody's business. */
function shownOf({ name, role, expires_at, users, per_day }: TokenGrant): object {
  return { name, role, expires_at, ...(users !== undefined && { users, per_day }) }
}

function lineOf({ name, role, expires_at, users, per_day }: TokenGrant): string {
  const end = expires_at === null ? 'until it is revoked' : `until ${timeWords(expires_at)}`
  const limits = users === undefined ? '' : `, users ${users}*, ${per_day ?? DEFAULT_PER_DAY} a day`
  return `${role.padEnd(11)} ${name}, ${end}${limits}`
}
