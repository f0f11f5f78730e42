import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadAuthorityConfig, loadLightConfig, loadValidatorConfig } from '../../config/load.ts'
import { createKeyFile, type KeyMaterial } from '../../keys/key-file.ts'
import { createAuthority, type AuthorityNode, type AuthorityReport } from '../../node/authority.ts'
import { systemRandomBytes } from '../../node/clock.ts'
import { DATA_FILES } from '../../node/data-directory.ts'
import { buildGenesis, createGenesisFile } from '../../node/genesis-file.ts'
import { createLight } from '../../node/light.ts'
import type { OnPart } from '../../node/lifecycle.ts'
import { createShutdown, type Shutdown } from '../../node/shutdown.ts'
import { createValidatorNode } from '../../node/validator.ts'
import { codeOf } from '../../ports/file-trouble.ts'
import { silentLogger } from '../../ports/logger.ts'
import { isSolarError } from '../../protocol/errors.ts'
import type { GenesisEntry } from '../../protocol/genesis.ts'
import { parseJson } from '../../protocol/json.ts'
import { signingKeyFromSecret } from '../../protocol/signature.ts'
import type { ModelClock } from './model-clock.ts'
import { HOUSEHOLDS } from './model.ts'
import type { DemoPrinter } from './printer.ts'
import { startTrading, type DemoHousehold } from './trading.ts'

export interface StreetOptions {
  /** HOST:PORT of the dashboard; a free port is used if it is taken. */
  readonly http: string
  /** Real milliseconds between two ticks of 15 model minutes. */
  readonly tickMs: number
  /** authority or work:D. */
  readonly seal: string
}

/** A chain of its own, with everybody who takes part in it. */
export interface Street {
  readonly chainId: string
  /** URL with a slash at the end. */
  readonly dashboard: string
  /** Resolves when its time has come to an end, or it was stopped. */
  readonly over: Promise<void>
  stop(onPart?: OnPart): Promise<void>
}

const VALIDATOR_ID = 'validator'
const CURRENCY = 'USD'
/** A block is final when three of the five households have acked it. */
const FINALITY = 'votes:3'
const LOOPBACK = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']
/** A light node says `stale` after so many ticks without a block, and not before the time that is the default. */
const STALE_TICKS = 3
const DEFAULT_STALE_S = 900

/** An authority, a validator and several light households in one process, over real libp2p on loopback, in a temporary folder. */
export async function openStreet(options: StreetOptions, clock: ModelClock, printer: DemoPrinter): Promise<Street> {
  const shutdown = createShutdown(silentLogger)
  return await shutdown.orUndo(() => open(options, clock, printer, shutdown))
}

async function open(
  { http, tickMs, seal }: StreetOptions,
  clock: ModelClock,
  printer: DemoPrinter,
  shutdown: Shutdown,
): Promise<Street> {
  const folder = await temporaryFolder(shutdown)
  const { directory, genesisFile, households } = await prepare(folder, clock.startAt, seal)

  const { node, report, taken } = await startAuthority(directory, genesisFile, http)
  shutdown.opened('authority', () => node.stop())
  const { chainId, multiaddrs } = report
  const url = report.httpUrl ?? ''
  const dashboard = `${url}/`

  const people = { chain: chainId, multiaddrs, printer, shutdown }
  const validatorUrl = await startValidator(join(folder, VALIDATOR_ID), people)
  printer.started({
    chainId,
    dashboard,
    taken,
    households: households.map(({ id }) => id),
    validator: { id: VALIDATOR_ID, dashboard: `${validatorUrl}/` },
    currency: CURRENCY,
    startAt: clock.startAt,
  })
  for (const [index, { id }] of households.entries()) {
    const transport = index % 2 === 0 ? 'TCP' : 'WebSocket'
    await startHousehold(join(folder, id), { id, transport, tickMs }, people)
  }

  const tokens = parseJson(await readFile(join(directory, DATA_FILES.tokens), 'utf8')) as { readonly operator: string }
  const { ledger } = node
  const trading = startTrading({
    url,
    operatorToken: tokens.operator,
    chainId,
    households,
    clock,
    tickMs,
    block: (hash) => ledger.block(hash),
    printer,
  })
  shutdown.opened('trading', () => trading.stop())
  return { chainId, dashboard, over: trading.over, stop: (onPart) => shutdown.run(onPart) }
}

/** What nodes of the street need to join it. */
interface Joining {
  readonly chain: string
  /** Of the authority. */
  readonly multiaddrs: readonly string[]
  readonly printer: DemoPrinter
  readonly shutdown: Shutdown
}

/** Gives back the address of the page that it serves of its own copy of the ledger. */
async function startValidator(data: string, { chain, multiaddrs, printer, shutdown }: Joining): Promise<string> {
  const flags = { data, chain, peer: multiaddrs.slice(0, 1), listen: LOOPBACK, http: '127.0.0.1:0' }
  const validator = createValidatorNode(loadValidatorConfig({ flags, env: {} }), { logger: silentLogger })
  await validator.start()
  shutdown.opened('validator', () => validator.stop())
  const { ledger, httpUrl } = await validator.joined
  ledger.subscribe((event) => printer.validator(event))
  return httpUrl ?? ''
}

async function startHousehold(
  data: string,
  { id, transport, tickMs }: { readonly id: string; readonly transport: 'TCP' | 'WebSocket'; readonly tickMs: number },
  { chain, multiaddrs, printer, shutdown }: Joining,
): Promise<void> {
  const peer = multiaddrs.filter((address) => address.includes('/ws') === (transport === 'WebSocket')).slice(0, 1)
  const staleAfter = Math.max(DEFAULT_STALE_S, Math.ceil((STALE_TICKS * tickMs) / 1_000))
  const light = createLight(loadLightConfig({ flags: { data, chain, peer, staleAfter }, env: {} }), {
    logger: silentLogger,
    onEvent: (event) => printer.household(id, transport, event),
  })
  await light.start()
  shutdown.opened(id, () => light.stop())
  // The first block is to find everybody there.
  await light.client
}

/** A folder that is gone when the street is closed, and also when the process ends before that. */
async function temporaryFolder(shutdown: Shutdown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'solar-node-demo-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  shutdown.opened('folder', () => {
    process.off('exit', remove)
    remove()
  })
  return folder
}

/** Keys of everybody and a genesis that registers them, laid out as an operator would. */
async function prepare(folder: string, createdAt: number, seal: string) {
  const newKey = async (home: string, file: string): Promise<KeyMaterial> => {
    await mkdir(home, { recursive: true, mode: 0o700 })
    return await createKeyFile(join(home, file), { randomBytes: systemRandomBytes })
  }
  const directory = join(folder, 'authority')
  const { publicKey } = await newKey(directory, DATA_FILES.authorityKey)
  const registry: GenesisEntry[] = [{ id: 'authority', role: 'authority', public_key: publicKey, recovery_key: null }]
  const validator = await newKey(join(folder, VALIDATOR_ID), DATA_FILES.validatorKey)
  registry.push({ id: VALIDATOR_ID, role: 'validator', public_key: validator.publicKey, recovery_key: null })
  const households: DemoHousehold[] = []
  for (const household of HOUSEHOLDS) {
    const { id } = household
    const voter = await newKey(join(folder, id), DATA_FILES.voterKey)
    registry.push({ id, role: 'voter', public_key: voter.publicKey, recovery_key: null })
    households.push({ ...household, key: signingKeyFromSecret(voter.secret) })
  }
  const genesisFile = join(folder, 'genesis.json')
  const flags = { name: 'Sunny Street', currency: CURRENCY, finality: FINALITY, seal }
  const settings = loadAuthorityConfig({ flags, env: {} }).genesis
  await createGenesisFile(genesisFile, buildGenesis(settings, registry, createdAt))
  return { directory, genesisFile, households }
}

interface StartedAuthority {
  readonly node: AuthorityNode
  readonly report: AuthorityReport
  /** The wanted address, if another program has it. */
  readonly taken: string | undefined
}

/** Starts at the wanted address, or on a free port if another program has it. */
async function startAuthority(data: string, genesis: string, http: string): Promise<StartedAuthority> {
  const startAt = async (address: string) => {
    const flags = { data, genesis, http: address, tick: 'off', listen: LOOPBACK }
    const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), { logger: silentLogger })
    return { node, report: await node.start() }
  }
  try {
    return { ...(await startAt(http)), taken: undefined }
  } catch (error) {
    if (!isTaken(error)) throw error
    return { ...(await startAt(http.replace(/:[0-9]+$/, ':0'))), taken: http }
  }
}

/** Whether it is said by the start, which looks at the address first, or by the system. */
function isTaken(error: unknown): boolean {
  const cause = isSolarError(error, 'address_taken') ? error.cause : error
  return codeOf(cause) === 'EADDRINUSE'
}
