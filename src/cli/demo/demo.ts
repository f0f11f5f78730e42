import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadAuthorityConfig, loadLightConfig, loadValidatorConfig } from '../../config/load.ts'
import { createKeyFile, type KeyMaterial } from '../../keys/key-file.ts'
import { createAuthority, type AuthorityNode, type AuthorityReport } from '../../node/authority.ts'
import { systemClock, systemRandomBytes } from '../../node/clock.ts'
import { DATA_FILES } from '../../node/data-directory.ts'
import { buildGenesis, createGenesisFile } from '../../node/genesis-file.ts'
import { createLight } from '../../node/light.ts'
import { createShutdown } from '../../node/shutdown.ts'
import { createValidatorNode } from '../../node/validator.ts'
import { silentLogger } from '../../ports/logger.ts'
import type { GenesisEntry } from '../../protocol/genesis.ts'
import { signingKeyFromSecret, type SigningKey } from '../../protocol/signature.ts'
import { HOUSEHOLDS } from './model.ts'
import { createDemoPrinter } from './printer.ts'
import { createTrading } from './trading.ts'

export interface DemoOptions {
  /** HOST:PORT of the dashboard; a free port is used if it is taken. */
  readonly http: string
  /** Real milliseconds that a tick of 15 model minutes takes. */
  readonly tickMs: number
  /** authority or work:D. */
  readonly seal: string
  /** JSON lines instead of lines for people. */
  readonly json: boolean
}

export interface DemoReport {
  readonly chainId: string
  readonly dashboard: string
}

export interface Demo {
  start(): Promise<DemoReport>
  stop(onPart?: (name: string) => void): Promise<void>
}

/** A household of the demo: its id and the key in its node's folder. */
export interface DemoHousehold {
  readonly id: string
  readonly key: SigningKey
}

const HOUR_MS = 3_600_000
/** The model day is yesterday, from 08:00 in California: nothing is sealed with a time that has not come. */
const MORNING_MS = -24 * HOUR_MS + 16 * HOUR_MS
const VALIDATOR_ID = 'validator'
const LOOPBACK = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']

/** An authority, a validator and several light households in one process, over real libp2p on loopback, in a temporary folder. */
export function createDemo(options: DemoOptions): Demo {
  const printer = createDemoPrinter(options.json)
  const shutdown = createShutdown(silentLogger)

  async function open(): Promise<DemoReport> {
    const folder = await mkdtemp(join(tmpdir(), 'solar-node-demo-'))
    shutdown.opened('folder', () => rm(folder, { recursive: true, force: true }))
    const startAt = Math.floor(systemClock.now() / (24 * HOUR_MS)) * 24 * HOUR_MS + MORNING_MS
    const { directory, genesisFile, households } = await prepare(folder, startAt, options.seal)

    const { node, report } = await startAuthority(directory, genesisFile, options.http)
    shutdown.opened('authority', () => node.stop())
    const { chainId, multiaddrs } = report
    const url = report.httpUrl ?? ''
    printer.started({ chainId, dashboard: `${url}/`, households: households.map(({ id }) => id) })

    const validator = createValidatorNode(
      loadValidatorConfig({
        flags: { data: join(folder, VALIDATOR_ID), chain: chainId, peer: multiaddrs.slice(0, 1), listen: LOOPBACK },
        env: {},
      }),
      { logger: silentLogger },
    )
    await validator.start()
    shutdown.opened('validator', () => validator.stop())
    const { ledger } = await validator.joined
    ledger.subscribe((event) => printer.validator(VALIDATOR_ID, event))

    for (const [index, { id }] of households.entries()) {
      const transport = index % 2 === 0 ? 'TCP' : 'WebSocket'
      const peer = multiaddrs.find((address) => address.includes('/ws') === (transport === 'WebSocket'))
      const flags = { data: join(folder, id), chain: chainId, peer: [peer] }
      const light = createLight(loadLightConfig({ flags, env: {} }), {
        logger: silentLogger,
        onEvent: (event) => printer.household(id, transport, event),
      })
      await light.start()
      shutdown.opened(id, () => light.stop())
    }

    const tokens = JSON.parse(await readFile(join(directory, DATA_FILES.tokens), 'utf8')) as {
      readonly operator: string
    }
    const { tickMs } = options
    const trading = createTrading({
      url,
      operatorToken: tokens.operator,
      chainId,
      households,
      startAt,
      tickMs,
      printer,
    })
    trading.start()
    shutdown.opened('trading', () => trading.stop())
    return { chainId, dashboard: `${url}/` }
  }

  return {
    start: () => shutdown.orUndo(open),
    async stop(onPart) {
      await shutdown.run(onPart)
      printer.stopped()
    },
  }
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
  for (const { id } of HOUSEHOLDS) {
    const voter = await newKey(join(folder, id), DATA_FILES.voterKey)
    registry.push({ id, role: 'voter', public_key: voter.publicKey, recovery_key: null })
    households.push({ id, key: signingKeyFromSecret(voter.secret) })
  }
  const genesisFile = join(folder, 'genesis.json')
  const settings = loadAuthorityConfig({ flags: { name: 'Sunny Street', currency: 'USD', seal }, env: {} }).genesis
  await createGenesisFile(genesisFile, buildGenesis(settings, registry, createdAt))
  return { directory, genesisFile, households }
}

/** Starts at the wanted address, or on a free port if another program has it. */
async function startAuthority(
  data: string,
  genesis: string,
  http: string,
): Promise<{ readonly node: AuthorityNode; readonly report: AuthorityReport }> {
  const startAt = async (address: string) => {
    const flags = { data, genesis, http: address, tick: 'off', listen: LOOPBACK }
    const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), { logger: silentLogger })
    return { node, report: await node.start() }
  }
  try {
    return await startAt(http)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return await startAt(http.replace(/:[0-9]+$/, ':0'))
  }
}
