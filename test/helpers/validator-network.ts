import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig, loadLightConfig, loadValidatorConfig } from '../../src/config/load.ts'
import { createKeyFile } from '../../src/keys/key-file.ts'
import { createAuthority, type AuthorityNode, type AuthorityParts } from '../../src/node/authority.ts'
import { systemRandomBytes } from '../../src/node/clock.ts'
import { DATA_FILES } from '../../src/node/data-directory.ts'
import { buildGenesis, createGenesisFile } from '../../src/node/genesis-file.ts'
import { createLight, type LightEvent, type LightNode } from '../../src/node/light.ts'
import {
  createValidatorNode,
  type JoinedValidator,
  type ValidatorNode,
  type ValidatorNodeParts,
} from '../../src/node/validator.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import { chainIdOf, type Genesis, type GenesisEntry, type Role } from '../../src/protocol/genesis.ts'
import { tempDir } from './temp.ts'

const LOOPBACK = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']
const CREATED_AT = Date.UTC(2015, 0, 1)

export interface RunningAuthority {
  readonly node: AuthorityNode
  readonly url: string
  readonly address: string
  readonly token: (role: 'operator' | 'platform') => string
}

export interface RunningValidator extends JoinedValidator {
  readonly node: ValidatorNode
  readonly address: string
}

export interface RunningLight {
  readonly node: LightNode
  readonly events: readonly LightEvent[]
}

export interface LayOut {
  readonly finality: string
  readonly validators: readonly string[]
  readonly voters?: readonly string[]
  /** Further authorities, each with a key of its own. */
  readonly authorities?: readonly string[]
}

/**
 * A data directory with a key for everybody, the authority's is called `authority`, and a genesis that registers them, as an
 * operator lays a community out.
 */
export async function layOut({ finality, validators, voters = [], authorities = [] }: LayOut) {
  const temporary = await tempDir()
  const folder = temporary.path
  const registry: GenesisEntry[] = []
  const register = async (id: string, role: Role, file: string): Promise<void> => {
    await mkdir(join(folder, id), { recursive: true, mode: 0o700 })
    const { publicKey } = await createKeyFile(join(folder, id, file), { randomBytes: systemRandomBytes })
    registry.push({ id, role, public_key: publicKey, recovery_key: null })
  }
  for (const id of ['authority', ...authorities]) await register(id, 'authority', DATA_FILES.authorityKey)
  for (const id of validators) await register(id, 'validator', DATA_FILES.validatorKey)
  for (const id of voters) await register(id, 'voter', DATA_FILES.voterKey)
  const settings = loadAuthorityConfig({ flags: { name: 'Test street', finality }, env: {} }).genesis
  const genesis = buildGenesis(settings, registry, CREATED_AT)
  const genesisFile = join(folder, 'genesis.json')
  await createGenesisFile(genesisFile, genesis)
  return { folder, genesis, genesisFile, chainId: chainIdOf(genesis), remove: () => temporary.remove() }
}

/** Authorities, validators and households of one genesis, in this process over real libp2p, in a folder that goes with `stop`. */
export interface ValidatorNetwork {
  readonly folder: string
  readonly genesis: Genesis
  readonly chainId: string
  /** Starts an authority on a data directory of its own; several may have the same key. */
  startAuthority(name?: string, parts?: AuthorityParts, flags?: object): Promise<RunningAuthority>
  startValidator(
    id: string,
    peers: readonly string[],
    flags?: object,
    parts?: ValidatorNodeParts,
  ): Promise<RunningValidator>
  startHousehold(id: string, peers: readonly string[], flags?: object): Promise<RunningLight>
  stop(): Promise<void>
}

export async function createValidatorNetwork(options: LayOut): Promise<ValidatorNetwork> {
  const { folder, genesis, genesisFile, chainId, remove } = await layOut(options)
  const running = new Set<{ stop(): Promise<void> }>()

  return {
    folder,
    genesis,
    chainId,
    async startAuthority(name = 'authority', parts = {}, more = {}) {
      const data = join(folder, name)
      if (!existsSync(join(data, DATA_FILES.authorityKey))) await copyAuthority(folder, name)
      const flags = { data, genesis: genesisFile, http: '127.0.0.1:0', tick: 'off', listen: LOOPBACK, ...more }
      const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), { logger: silentLogger, ...parts })
      const report = await node.start()
      running.add(node)
      const tokens = JSON.parse(await readFile(join(data, DATA_FILES.tokens), 'utf8')) as Record<string, string>
      return { node, url: report.httpUrl ?? '', address: tcpOf(report.multiaddrs), token: (role) => tokens[role] ?? '' }
    },
    async startValidator(id, peers, more = {}, parts = {}) {
      const flags = {
        data: join(folder, id),
        chain: chainId,
        peer: peers,
        listen: LOOPBACK,
        http: '127.0.0.1:0',
        ...more,
      }
      const node = createValidatorNode(loadValidatorConfig({ flags, env: {} }), { logger: silentLogger, ...parts })
      await node.start()
      running.add(node)
      const joined = await node.joined
      return { ...joined, node, address: tcpOf(joined.multiaddrs) }
    },
    async startHousehold(id, peers, more = {}) {
      const events: LightEvent[] = []
      const flags = { data: join(folder, id), chain: chainId, peer: peers, ...more }
      const node = createLight(loadLightConfig({ flags, env: {} }), {
        logger: silentLogger,
        onEvent: (event) => events.push(event),
      })
      await node.start()
      running.add(node)
      return { node, events }
    },
    async stop() {
      await Promise.all([...running].map((node) => node.stop()))
      await remove()
    },
  }
}

const tcpOf = (addresses: readonly string[]): string => addresses.find((address) => !address.includes('/ws')) ?? ''

/** Makes a second data directory with the authority's key, as who restores a backup twice does. */
export async function copyAuthority(folder: string, name: string): Promise<void> {
  await mkdir(join(folder, name), { recursive: true, mode: 0o700 })
  const copy = join(folder, name, DATA_FILES.authorityKey)
  await copyFile(join(folder, 'authority', DATA_FILES.authorityKey), copy)
  await chmod(copy, 0o600)
}

/** A tick with one trade between two users. */
export async function sealTick(
  { node }: Pick<RunningAuthority, 'node'>,
  id: string,
  timestamp = CREATED_AT + 1000,
  buyer = 'ben',
): Promise<{ readonly height: number; readonly block_hash: string }> {
  const answer = await node.ledger.acceptTick({
    tick_id: id,
    timestamp,
    transactions: [
      {
        kind: 'trade',
        id: `${id}.1`,
        from_user_id: 'ann',
        to_user_id: buyer,
        kwh: '1.5',
        price_per_kwh: '0.2',
        total_amount: '0.3',
        timestamp,
      },
    ],
  })
  return { height: answer.height ?? -1, block_hash: answer.block_hash ?? '' }
}
