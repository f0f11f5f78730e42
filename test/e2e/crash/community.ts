import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig, loadLightConfig } from '../../../src/config/load.ts'
import type { DatabaseConfig } from '../../../src/config/types.ts'
import { createKeyFile } from '../../../src/keys/index.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import { buildGenesis, createGenesisFile } from '../../../src/node/genesis-file.ts'
import { createLight, type LightNode } from '../../../src/node/light.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { chainIdOf, type GenesisEntry } from '../../../src/protocol/genesis.ts'
import { freePorts } from '../../helpers/processes.ts'
import { realClock } from '../../helpers/network.ts'
import type { Witness } from './witness.ts'

/** The households of the test: how each is connected. */
export const HOUSEHOLDS = { ada: 'tcp', ben: 'ws' } as const
export type Household = keyof typeof HOUSEHOLDS

/** An authority's directory and addresses, which stay the same over all its lives, and the folders of its households. */
export interface Community {
  readonly chainId: string
  readonly directory: string
  readonly database: DatabaseConfig
  readonly url: string
  readonly addresses: Readonly<Record<'tcp' | 'ws', string>>
  /** The authority's configuration, as on the command line. */
  readonly flags: Readonly<Record<string, unknown>>
  folderOf(household: Household): string
}

/** @param url of the authority's own PostgreSQL database; SQLite in its directory if it is left out */
export async function prepareCommunity(folder: string, url?: string): Promise<Community> {
  const directory = join(folder, 'authority')
  const newKey = async (home: string, file: string): Promise<string> => {
    await mkdir(home, { recursive: true, mode: 0o700 })
    return (await createKeyFile(join(home, file), { randomBytes: systemRandomBytes })).publicKey
  }
  const entry = (id: string, role: GenesisEntry['role'], public_key: string): GenesisEntry => ({
    id,
    role,
    public_key,
    recovery_key: null,
  })
  const registry = [entry('authority', 'authority', await newKey(directory, DATA_FILES.authorityKey))]
  for (const id of Object.keys(HOUSEHOLDS)) {
    registry.push(entry(id, 'voter', await newKey(join(folder, id), DATA_FILES.voterKey)))
  }
  const settings = loadAuthorityConfig({ flags: {}, env: {} }).genesis
  const genesis = buildGenesis(settings, registry, Date.now())
  const genesisFile = join(folder, 'genesis.json')
  await createGenesisFile(genesisFile, genesis)
  const [http, tcp, ws] = await freePorts(3)
  const addresses = { tcp: `/ip4/127.0.0.1/tcp/${tcp}`, ws: `/ip4/127.0.0.1/tcp/${ws}/ws` }
  return {
    chainId: chainIdOf(genesis),
    directory,
    database: url === undefined ? { kind: 'sqlite', path: join(directory, 'ledger.db') } : { kind: 'postgres', url },
    url: `http://127.0.0.1:${http}`,
    addresses,
    flags: {
      data: directory,
      genesis: genesisFile,
      http: `127.0.0.1:${http}`,
      listen: [addresses.tcp, addresses.ws],
      tick: 'off',
      ...(url !== undefined && { database: url }),
    },
    folderOf: (household) => join(folder, household),
  }
}

/** The authority lives for a second at a time: light nodes wait a fifth of the usual time before they dial again. */
const CLOCK_SPEED = 5

/** A real light node of the community that tells the witness everything it hears, does and minds. */
export async function startHousehold(community: Community, id: Household, witness: Witness): Promise<LightNode> {
  const { chainId, addresses } = community
  const flags = { data: community.folderOf(id), chain: chainId, peer: [addresses[HOUSEHOLDS[id]]] }
  const light = createLight(loadLightConfig({ flags, env: {} }), {
    logger: silentLogger,
    clock: realClock(CLOCK_SPEED),
    onEvent: (event) => witness.heard(id, event),
  })
  await light.start()
  return light
}
