import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DATA_FILES } from '../../src/node/data-directory.ts'
import type { Genesis } from '../../src/protocol/genesis.ts'
import { cliFile } from './bundle.ts'
import { freePorts, processGroup, type Ended, type NodeProcess } from './processes.ts'
import { copyAuthority, layOut, type LayOut } from './validator-network.ts'

type Line = Readonly<Record<string, unknown>>

/** A running `solar-node` process and what its first lines told. */
export interface ProcessNode {
  readonly process: NodeProcess
  /** Where it answers over HTTP. */
  readonly url: string
  /** Its TCP multiaddr; empty for a light node. */
  readonly address: string
}

/** How a command line ended, with its standard output. */
export interface CommandEnd extends Ended {
  readonly stdout: string
  readonly stderr: string
}

/**
 * Nodes of one chain as operators run them: `solar-node` processes on loopback, in one folder that goes with `stop`. A node
 * that is started again comes back on its data directory and at its addresses.
 */
export interface ProcessNetwork {
  readonly folder: string
  readonly genesis: Genesis
  readonly chainId: string
  /** Runs one command line to its end. */
  run(...args: readonly string[]): Promise<CommandEnd>
  /** Starts one command line. */
  spawn(...args: readonly string[]): NodeProcess
  /** An authority; another name than `authority` is another data directory, with the same key unless it has one. */
  startAuthority(name?: string, ...flags: readonly string[]): Promise<ProcessNode>
  /** Resolves once it has joined the chain. */
  startValidator(id: string, peers: readonly string[], ...flags: readonly string[]): Promise<ProcessNode>
  startLight(id: string, peers: readonly string[], ...flags: readonly string[]): Promise<ProcessNode>
  /** The flags of `startValidator`, for a process whose start is the subject. */
  validatorFlags(id: string, peers: readonly string[]): Promise<readonly string[]>
  tokenOf(role: 'operator' | 'platform', authority?: string): Promise<string>
  stop(): Promise<void>
}

export async function createProcessNetwork(options: LayOut): Promise<ProcessNetwork> {
  const { folder, genesis, genesisFile, chainId, remove } = await layOut(options)
  const processes = processGroup()
  const ports = new Map<string, readonly number[]>()
  const spawn = (...args: readonly string[]): NodeProcess => processes.start([cliFile(), ...args])

  async function addressFlags(id: string): Promise<readonly string[]> {
    const [http = 0, tcp = 0] = ports.get(id) ?? (await freePorts(2))
    ports.set(id, [http, tcp])
    return ['--http', `127.0.0.1:${http}`, '--listen', `/ip4/127.0.0.1/tcp/${tcp}`]
  }

  const dataFlags = (id: string): readonly string[] => ['--data', join(folder, id)]
  const peerFlags = (peers: readonly string[]): readonly string[] => [
    ...['--chain', chainId],
    ...peers.flatMap((peer) => ['--peer', peer]),
  ]

  async function validatorFlags(id: string, peers: readonly string[]): Promise<readonly string[]> {
    return ['--mode=validator', ...dataFlags(id), ...peerFlags(peers), ...(await addressFlags(id))]
  }

  return {
    folder,
    genesis,
    chainId,
    spawn,
    validatorFlags,

    async run(...args) {
      const process = spawn(...args)
      const ended = await process.ended
      return { ...ended, stdout: process.output(), stderr: process.errors() }
    },

    async startAuthority(name = 'authority', ...flags) {
      const hasKey = existsSync(join(folder, name, DATA_FILES.authorityKey))
      if (!hasKey) await copyAuthority(folder, name)
      const own = ['--genesis', genesisFile, '--tick', 'off', ...(await addressFlags(name))]
      return await nodeOf(spawn('--mode=authority', ...dataFlags(name), ...own, ...flags), 'authority is running')
    },

    async startValidator(id, peers, ...flags) {
      return await nodeOf(spawn(...(await validatorFlags(id, peers)), ...flags), 'validator has joined its chain')
    },

    async startLight(id, peers, ...flags) {
      const [http] = ports.get(id) ?? (await freePorts(1))
      ports.set(id, [http ?? 0])
      const args = [...dataFlags(id), ...peerFlags(peers), '--http', `127.0.0.1:${http}`, ...flags]
      return await nodeOf(spawn('--mode=light', ...args), 'light node is running')
    },

    async tokenOf(role, authority = 'authority') {
      const tokens = JSON.parse(await readFile(join(folder, authority, 'tokens.json'), 'utf8')) as Record<
        string,
        string
      >
      return tokens[role] ?? ''
    },

    async stop() {
      await processes.killAll()
      await remove()
    },
  }
}

async function nodeOf(process: NodeProcess, message: string): Promise<ProcessNode> {
  const { http, multiaddrs } = await process.awaitLine(logged((line) => String(line.msg).startsWith(message)))
  const [address = ''] = (multiaddrs ?? []) as readonly string[]
  return { process, url: String(http), address }
}

/** For `awaitLine`: the first line of the JSON log for which `holds`. */
export const logged =
  (holds: (line: Line) => boolean) =>
  (text: string): Line | undefined => {
    const line = text.startsWith('{') ? (JSON.parse(text) as Line) : undefined
    return line !== undefined && holds(line) ? line : undefined
  }

/** One JSON answer. Rejects if the node is not there or refuses; with a token of a role no rate limit holds it back. */
export async function getJson<T>(node: Pick<ProcessNode, 'url'>, path: string, token?: string): Promise<T> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = await fetch(`${node.url}${path}`, { headers })
  if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

export interface BlockStatus {
  readonly status: 'proposed' | 'final' | 'orphaned'
  readonly votes: { readonly ack: number; readonly reject: number; readonly required: number }
  readonly finalized_at: number | null
}

export const blockStatus = (node: Pick<ProcessNode, 'url'>, hash: string, token?: string): Promise<BlockStatus> =>
  getJson(node, `/blocks/${hash}/status/`, token)

/** The newest height that a full node has; -1 on an empty chain. */
export async function tipHeight(node: Pick<ProcessNode, 'url'>): Promise<number> {
  const { tip_height } = await getJson<{ tip_height: number | null }>(node, '/blocks/latest-headers/?n=1')
  return tip_height ?? -1
}

/** Posts a tick with one trade between two users, as a platform does; gives back its block. */
export async function postTick(
  node: Pick<ProcessNode, 'url'>,
  token: string,
  id: string,
): Promise<{ readonly height: number; readonly block_hash: string }> {
  const timestamp = Date.now()
  const parties = { id: `${id}.1`, from_user_id: 'ann', to_user_id: 'ben' }
  const trade = { ...parties, kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3', timestamp }
  const response = await fetch(`${node.url}/ticks/`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tick_id: id, timestamp, transactions: [trade] }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`tick ${id} was answered ${response.status}: ${text}`)
  return JSON.parse(text) as { height: number; block_hash: string }
}
