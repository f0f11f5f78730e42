import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createNodeNetwork } from '../../../src/network/node-network.ts'
import { GOSSIP_TOPICS } from '../../../src/network/names.ts'
import type { PeerNetwork } from '../../../src/network/peer-network.ts'
import type { RequestName } from '../../../src/ports/peer-requests.ts'
import { bytesToUtf8 } from '../../../src/protocol/bytes.ts'
import { blockPath, MEMBERSHIP_PATH, receiptPath, tradesPath } from '../../../src/protocol/messages.ts'
import { signRequest, type TestKey } from '../../helpers/sign-now.ts'
import { eventually, networkOptions, TCP } from '../../helpers/network.ts'

/** All that somebody was ever given, as text. */
export class Seen {
  readonly #texts: string[] = []
  readonly who: string

  constructor(who: string) {
    this.who = who
  }

  add(what: unknown): void {
    this.#texts.push(typeof what === 'string' ? what : JSON.stringify(what))
  }

  has(text: string): boolean {
    return this.#texts.some((one) => one.includes(text))
  }

  /** Who saw nothing at all proves nothing. */
  mustHave(...texts: readonly string[]): void {
    for (const text of texts) assert.ok(this.has(text), `${this.who} sees ${text}`)
  }

  mustLack(...texts: readonly string[]): void {
    for (const text of texts) {
      const found = this.#texts.find((one) => one.includes(text))
      assert.equal(found?.slice(0, 400), undefined, `${this.who} sees ${text}`)
    }
  }
}

/** What there is to ask for. */
export interface Targets {
  readonly chainId: string
  /** Multiaddrs of full nodes. */
  readonly servers: readonly string[]
  readonly blocks: readonly { readonly height: number; readonly block_hash: string }[]
  readonly txIds: readonly string[]
}

/** As whom a peer asks. */
export interface PeerIdentity {
  readonly id: string
  readonly key: TestKey
}

const peerOf = (address: string): string => address.split('/p2p/')[1] ?? ''

/**
 * A peer on real libp2p that asks every full node for everything there is, with a credential if it has a
 * key, and listens to all gossip. It sees what any program with that key can get.
 */
export async function curiousPeer(seen: Seen, targets: Targets, identity?: PeerIdentity) {
  const { chainId, servers } = targets
  const options = networkOptions(seen.who, { chainId, peers: servers, hub: true, listen: [TCP] })
  const network: PeerNetwork = await createNodeNetwork(options)
  for (const topic of GOSSIP_TOPICS) {
    network.gossip.subscribe(topic, (payload) => {
      seen.add(bytesToUtf8(payload))
      return Promise.resolve('accept')
    })
  }
  await network.start()
  await eventually('it is connected', () => network.requests.peers().length === servers.length)

  async function ask(server: string, name: RequestName, params: object, path?: string): Promise<void> {
    const request = {
      ...({ method: 'P2P', path: path ?? '', timestamp: Date.now(), id: randomBytes(16).toString('hex') } as const),
      ...{ from: network.peerId, to: server },
    }
    const credential = path !== undefined && identity && signRequest(identity.id, chainId, request, identity.key)
    try {
      seen.add(await network.requests.request(server, name, credential ? { ...params, credential } : params))
    } catch (error) {
      seen.add(String(error))
    }
  }

  return {
    async askForAll({ blocks, txIds }: Pick<Targets, 'blocks' | 'txIds'>): Promise<void> {
      for (const server of servers.map(peerOf)) {
        for (const name of ['genesis', 'status', 'time', 'evidence'] as const) await ask(server, name, {})
        await ask(server, 'headers', { from_height: 0, count: 100 })
        await ask(server, 'registry', { id: identity?.id ?? 'nobody', at_height: null })
        await ask(server, 'anchor', { from_height: null, registry_height: null })
        await ask(server, 'membership', {}, MEMBERSHIP_PATH)
        for (const tx_id of txIds) {
          await ask(server, 'proof', { tx_id, at_height: null })
          await ask(server, 'receipt', { tx_id }, receiptPath(tx_id))
        }
        for (const { height, block_hash } of blocks) {
          await ask(server, 'votes', { header_hash: block_hash })
          await ask(server, 'block', { block_hash, from_index: 0 }, blockPath(block_hash, 0))
          await ask(server, 'trades', { height }, tradesPath(height))
        }
      }
    },
    stop: () => network.stop(),
  }
}

/**
 * Everything that HTTP answers to who sends these headers: each GET of the API document, filled with what
 * there is.
 */
export async function askOverHttp(
  seen: Seen,
  url: string,
  headers: Readonly<Record<string, string>>,
  fill: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const { paths } = (await (await fetch(`${url}/docs/json`)).json()) as { paths: Record<string, object> }
  const QUERIES: Readonly<Record<string, string>> = {
    '/blocks/headers/': '?from_height=0',
    '/blocks/{block_hash}/merkle-proof/': '?tx_id=trade-1',
    '/transactions/proof': '?tx_id=trade-1',
    '/history/inclusion': '?height=0&size=1',
    '/history/consistency': '?from=1&to=2',
  }
  for (const [path, methods] of Object.entries(paths)) {
    if (!('get' in methods) || path === '/events') continue
    const name = /\{(\w+)\}/.exec(path)?.[1]
    for (const value of name === undefined ? [''] : (fill[name] ?? [])) {
      const filled = path.replace(/\{\w+\}/, encodeURIComponent(value)) + (QUERIES[path] ?? '')
      const response = await fetch(`${url}${filled}`, { headers })
      seen.add(`${filled} ${JSON.stringify([...response.headers])} ${await response.text()}`)
    }
  }
}

/** The bytes of all files below a folder, but for these. */
export async function readFolder(seen: Seen, folder: string, except: readonly string[] = []): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && !except.includes(entry.name)) {
      seen.add((await readFile(join(entry.parentPath, entry.name))).toString('latin1'))
    }
  }
}
