import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig, loadLightConfig } from '../../src/config/load.ts'
import { createKeyFile, type KeyMaterial } from '../../src/keys/key-file.ts'
import { createAuthority, type AuthorityNode, type AuthorityParts } from '../../src/node/authority.ts'
import { systemRandomBytes } from '../../src/node/clock.ts'
import { DATA_FILES } from '../../src/node/data-directory.ts'
import { buildGenesis, createGenesisFile } from '../../src/node/genesis-file.ts'
import { createLight, type LightEvent, type LightNode, type LightParts } from '../../src/node/light.ts'
import type { TokenRole } from '../../src/node/token-files.ts'
import type { Clock, RandomBytes } from '../../src/ports/clock.ts'
import type { LedgerEvent } from '../../src/ports/ledger.ts'
import { silentLogger, type Logger } from '../../src/ports/logger.ts'
import type { Hash } from '../../src/protocol/bytes.ts'
import { chainIdOf, type Genesis, type GenesisEntry } from '../../src/protocol/genesis.ts'
import { sha256 } from '../../src/protocol/hash.ts'
import { eventually, within } from './patience.ts'
import { tempDir } from './temp.ts'

/** The time at which communities of tests begin, unless they say otherwise: before every reading that is replayed. */
const CREATED_AT = Date.UTC(2015, 0, 1)
const LOOPBACK = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws']

export type Transport = 'tcp' | 'ws'

export interface CommunityOptions {
  /** Ids of the households, all registered as voters in the genesis. */
  readonly voters: readonly string[]
  /** Of the community, in its genesis. */
  readonly name?: string
  /** All randomness follows from it: communities of one seed and the same voters make the same chain. */
  readonly seed?: string
  /** As on the command line; by the authority alone if it is left out. */
  readonly seal?: string
  /** More of the authority's settings, as on the command line. */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly parts?: AuthorityParts
}

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** A light node of the community with what it did and said so far. */
export interface Household {
  readonly node: LightNode
  readonly events: readonly LightEvent[]
  /** Its log, one message an entry, with the fields. */
  readonly log: readonly { readonly message: string; readonly fields: object }[]
  /** Resolves once it has asked a peer for its tip: from then on it hears of blocks. */
  live(): Promise<void>
  stop(): Promise<void>
}

export interface LightFlags {
  /** Whom it dials instead of the authority. */
  readonly peers?: readonly string[]
  readonly transport?: Transport
  readonly flags?: Readonly<Record<string, unknown>>
  /** Instead of the machine's. */
  readonly clock?: Clock
}

/** A real authority and its households, on loopback in one temporary folder that goes away with `stop`. */
export interface Community {
  readonly folder: string
  readonly genesis: Genesis
  readonly chainId: Hash
  /** The authority's data directory, and its SQLite file. */
  readonly directory: string
  readonly database: string
  readonly tokens: Readonly<Record<TokenRole, string>>
  /** By id; the authority's is `authority`. */
  readonly keys: ReadonlyMap<string, KeyMaterial>
  readonly authority: AuthorityNode
  readonly url: string
  /** What the authority has told its listeners since the community began. */
  readonly events: readonly LedgerEvent[]
  addressOf(transport: Transport): string
  /** The data directory of a household's node. */
  folderOf(id: string): string
  startHousehold(id: string, options?: LightFlags): Promise<Household>
  /** One HTTP request; a string is sent as it is, anything else as JSON. */
  call(method: string, path: string, options?: { readonly body?: unknown; readonly role?: TokenRole }): Promise<Answer>
  stopAuthority: () => Promise<void>
  /** Starts the authority again, at the same addresses. */
  startAuthority: (parts?: AuthorityParts) => Promise<void>
  /** Resolves when `holds` is true; it is asked again whenever a node of the community did or said something. */
  until: (what: string, holds: () => boolean) => Promise<void>
  stop(): Promise<void>
}

/** Starts an authority whose genesis registers the voters; no household runs yet. */
export async function startCommunity(options: CommunityOptions): Promise<Community> {
  const { seed, flags, parts } = options
  const temporary = await tempDir()
  const folder = temporary.path
  const randomBytes = seed === undefined ? systemRandomBytes : seededBytes(seed)
  const watch = createWatch()
  const events: LedgerEvent[] = []
  const households = new Set<Household>()
  const directory = join(folder, 'authority')
  const { genesis, genesisFile, keys } = await prepare(folder, directory, options, randomBytes)
  const runner = authorityRunner(
    { data: directory, genesis: genesisFile, tick: 'off', ...flags },
    { randomBytes, ...parts },
    (event) => {
      events.push(event)
      watch.poke()
    },
  )

  async function stop(): Promise<void> {
    await Promise.all([...households].map((household) => household.stop()))
    await runner.stop()
    await temporary.remove()
  }

  try {
    await runner.start()
  } catch (error) {
    await stop()
    throw error
  }
  const tokens = JSON.parse(await readFile(join(directory, DATA_FILES.tokens), 'utf8')) as Record<TokenRole, string>
  const chainId = chainIdOf(genesis)
  const addressOf = (transport: Transport): string =>
    runner.last().addresses.find((address) => address.includes('/ws') === (transport === 'ws')) ?? ''

  return {
    folder,
    genesis,
    chainId,
    directory,
    database: join(directory, 'ledger.db'),
    tokens,
    keys,
    events,
    get authority() {
      return runner.last().node
    },
    get url() {
      return runner.last().url
    },
    addressOf,
    folderOf: (id) => join(folder, id),
    async startHousehold(id, { peers, transport = 'tcp', flags, clock } = {}) {
      const peer = peers ?? [addressOf(transport)]
      const parts = clock === undefined ? {} : { clock }
      const household = await startLight({ data: join(folder, id), chain: chainId, peer, ...flags }, parts, watch.poke)
      households.add(household)
      return household
    },
    call: (method, path, { body, role } = {}) =>
      callHttp(method, `${runner.last().url}${path}`, body, role === undefined ? undefined : tokens[role]),
    startAuthority: (more) => runner.start(more),
    stopAuthority: () => runner.stop(),
    until: watch.until,
    stop,
  }
}

/** Starts and stops the authority of one data directory; from the second start on at the addresses of the first. */
function authorityRunner(
  flags: Readonly<Record<string, unknown>>,
  parts: AuthorityParts,
  onEvent: (event: LedgerEvent) => void,
) {
  let running: Running | undefined
  let last: Running | undefined
  return {
    last(): Running {
      if (last === undefined) throw new Error('the authority was never started')
      return last
    },
    async start(more: AuthorityParts = {}): Promise<void> {
      const listen = last?.addresses.map((address) => address.replace(/\/p2p\/.*$/, '')) ?? LOOPBACK
      const http = last === undefined ? '127.0.0.1:0' : new URL(last.url).host
      const config = loadAuthorityConfig({ flags: { ...flags, http, listen }, env: {} })
      const node = createAuthority(config, { logger: silentLogger, ...parts, ...more })
      const { httpUrl, multiaddrs } = await node.start()
      running = last = { node, url: httpUrl ?? '', addresses: multiaddrs }
      node.ledger.subscribe(onEvent)
    },
    async stop(): Promise<void> {
      await running?.node.stop()
      running = undefined
    },
  }
}

async function callHttp(method: string, url: string, body: unknown, token: string | undefined): Promise<Answer> {
  const headers = {
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  const text = typeof body === 'string' ? body : body === undefined ? null : JSON.stringify(body)
  const response = await fetch(url, { method, headers, body: text })
  const answer = await response.text()
  return { status: response.status, body: answer === '' ? {} : (JSON.parse(answer) as Answer['body']) }
}

interface Running {
  readonly node: AuthorityNode
  readonly url: string
  readonly addresses: readonly string[]
}

/** Keys of everybody first, then the genesis that registers them, as an operator lays a community out. */
async function prepare(
  folder: string,
  directory: string,
  { voters, name = 'Test street', seal = 'authority' }: CommunityOptions,
  randomBytes: RandomBytes,
) {
  const keys = new Map<string, KeyMaterial>()
  const newKey = async (id: string, home: string, file: string, role: GenesisEntry['role']): Promise<GenesisEntry> => {
    await mkdir(home, { recursive: true, mode: 0o700 })
    const key = await createKeyFile(join(home, file), { randomBytes })
    keys.set(id, key)
    return { id, role, public_key: key.publicKey, recovery_key: null }
  }
  const registry = [await newKey('authority', directory, DATA_FILES.authorityKey, 'authority')]
  for (const id of voters) registry.push(await newKey(id, join(folder, id), DATA_FILES.voterKey, 'voter'))
  const settings = loadAuthorityConfig({ flags: { name, seal }, env: {} }).genesis
  const genesis = buildGenesis(settings, registry, CREATED_AT)
  const genesisFile = join(folder, 'genesis.json')
  await createGenesisFile(genesisFile, genesis)
  return { genesis, genesisFile, keys }
}

async function startLight(
  flags: Readonly<Record<string, unknown>>,
  parts: Pick<LightParts, 'clock'>,
  onChange: () => void,
): Promise<Household> {
  const events: LightEvent[] = []
  const log: { message: string; fields: object }[] = []
  const note = (fields: object, message: string): void => {
    log.push({ message, fields })
    onChange()
  }
  const logger: Logger = { debug: note, info: note, warn: note, error: note }
  const node = createLight(loadLightConfig({ flags, env: {} }), {
    ...parts,
    logger,
    onEvent: (event) => {
      events.push(event)
      onChange()
    },
  })
  await node.start()
  return {
    node,
    events,
    log,
    // An empty chain brings no event.
    live: () => eventually('the household is live', () => node.status().state === 'live'),
    stop: () => node.stop(),
  }
}

/** The same bytes in the same order for the same seed. */
function seededBytes(seed: string): RandomBytes {
  let count = 0
  return (length) => {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at += 32) bytes.set(sha256(`${seed} ${count++}`).subarray(0, length - at), at)
    return bytes
  }
}

function createWatch() {
  const checks = new Set<() => void>()
  return {
    poke: (): void => {
      for (const check of checks) check()
    },
    until: async (what: string, holds: () => boolean): Promise<void> => {
      let check = (): void => undefined
      const held = new Promise<void>((resolve) => {
        check = () => {
          if (holds()) resolve()
        }
      })
      checks.add(check)
      check()
      await within(what, held).finally(() => checks.delete(check))
    },
  }
}
