import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openHighWaterFile } from '../../../src/keys/high-water-file.ts'
import { DATA_FILES } from '../../../src/node/data-directory.ts'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import { eventually } from '../../helpers/network.ts'
import { query, tempDatabase, type PostgresServer } from '../../helpers/postgres.ts'
import {
  createProcessNetwork,
  getJson,
  tipHeight,
  type ProcessNetwork,
  type ProcessNode,
} from '../../helpers/process-network.ts'
import type { LayOut } from '../../helpers/validator-network.ts'

export type Name = 'authority' | 'second'
export const NAMES: readonly Name[] = ['authority', 'second']
export const otherOf = (name: Name): Name => (name === 'authority' ? 'second' : 'authority')

/** Two `solar-node` authorities on one PostgreSQL database, set up as docs/operations.md says, and what is around them. */
export interface Pair {
  readonly network: ProcessNetwork
  readonly databaseUrl: string
  /** Starts one of them, or starts it again; the second dials the first unless `apart`. */
  start(name: Name, ...flags: readonly string[]): Promise<ProcessNode>
  node(name: Name): ProcessNode
  /** Waits until one of those that run leads, and gives its name. */
  leader(limitMs?: number): Promise<Name>
  /** Posts a tick to whichever leads until it is answered, as a platform behind a load balancer does. */
  insist(tickId: string, signal?: AbortSignal): Promise<TickAnswer>
  /**
   * Ends both, and holds all they have left against these answers: each tick in its block and in no other, no gap, no
   * evidence, the same chain in the database and in each data directory.
   */
  checkAndStop(answers: ReadonlyMap<string, TickAnswer>): Promise<void>
  stop(): Promise<void>
}

const CALL_LIMIT_MS = 2_000
const RETRY_MS = 50

export async function createPair(options: LayOut, server?: PostgresServer): Promise<Pair> {
  const network = await createProcessNetwork(options)
  const database = await tempDatabase(server)
  const running = new Map<Name, ProcessNode>()
  const flags = ['--database', database.url]

  /** Rejects if it does not lead, or does not answer. */
  async function mustLead(name: Name): Promise<Name> {
    const node = running.get(name)
    assert.equal(node && (await call(`${node.url}/ready/leader`))?.status, 200)
    return name
  }

  /** The first that says so: a process that stands still keeps nobody waiting. */
  const leaderNow = (): Promise<Name | undefined> => Promise.any(NAMES.map(mustLead)).catch(() => undefined)

  async function leader(limitMs = 20_000): Promise<Name> {
    let found: Name | undefined
    await eventually('one authority leads', async () => (found = await leaderNow()) !== undefined, limitMs)
    return found ?? assert.fail()
  }

  async function stopBoth(): Promise<void> {
    for (const [name, { process }] of running) {
      process.kill('SIGTERM')
      assert.deepEqual(await process.ended, { code: 0, signal: null }, `${name}: ${process.output()}`)
    }
    running.clear()
  }

  return {
    network,
    databaseUrl: database.url,
    leader,
    async start(name, ...more) {
      const first = running.get('authority')
      const peer = name === 'second' && first !== undefined ? ['--peer', first.address] : []
      const node = await network.startAuthority(name, ...flags, ...peer, ...more)
      running.set(name, node)
      return node
    },
    node: (name) => running.get(name) ?? assert.fail(`${name} does not run`),

    async insist(tickId, signal) {
      const body = JSON.stringify(tickOf(tickId))
      for (;;) {
        signal?.throwIfAborted()
        const node = running.get(await leader())
        const answer = node && (await call(`${node.url}/ticks/`, { body, token: await network.tokenOf('platform') }))
        if (answer?.status === 200) return answer.json as TickAnswer
        assert.ok(answer === undefined || answer.status === 503, `tick ${tickId}: ${JSON.stringify(answer)}`)
        await pause(RETRY_MS)
      }
    },

    async checkAndStop(answers) {
      for (const { url } of running.values()) {
        assert.deepEqual((await getJson<{ evidence: unknown[] }>({ url }, '/evidence')).evidence, [])
      }
      const names = [...running.keys()]
      const tip = answers.size - 1
      for (const [name, node] of running) {
        await eventually(`${name} has block ${tip}`, async () => (await tipHeight(node)) === tip)
      }
      await stopBoth()
      const rows = await query<{ height: string; block_hash: string; tick_id: string }>(
        database.url,
        'select height, block_hash, tick_id from solar_node.blocks order by height',
      )
      assert.deepEqual(
        rows.map(({ height }) => Number(height)),
        rows.map((_, index) => index),
      )
      const sealed = [...answers.values()].map(({ tick_id, height, block_hash }) => ({ tick_id, height, block_hash }))
      assert.deepEqual(
        rows.map(({ tick_id, height, block_hash }) => ({ tick_id, height: Number(height), block_hash })),
        sealed.sort((a, b) => (a.height ?? 0) - (b.height ?? 0)),
      )
      for (const name of names) {
        const { code, stdout } = await network.run('audit', '--data', join(network.folder, name), ...flags)
        assert.deepEqual([code, stdout.endsWith(': clean\n')], [0, true], stdout)
        const highWater = await openHighWaterFile(join(network.folder, name, DATA_FILES.highWater))
        assert.deepEqual(highWater.mark, rows.length === 0 ? null : { height: tip, hash: rows[tip]?.block_hash })
        await highWater.close()
      }
    },

    async stop() {
      await network.stop()
      await database.drop()
    },
  }
}

/** Gives the second authority the tokens of the first: a platform must not care which of the two answers it. */
export async function shareTokens(folder: string): Promise<void> {
  await mkdir(join(folder, 'second'), { recursive: true, mode: 0o700 })
  await copyFile(join(folder, 'authority', DATA_FILES.tokenHashes), join(folder, 'second', DATA_FILES.tokenHashes))
}

interface CallAnswer {
  readonly status: number
  readonly json: unknown
  readonly retryAfter: string | null
}

/** One call; `undefined` if there is no answer in time, as of a process that stands still. */
export async function call(
  url: string,
  post?: { readonly body: string; readonly token: string },
): Promise<CallAnswer | undefined> {
  try {
    const signal = AbortSignal.timeout(CALL_LIMIT_MS)
    const headers = { authorization: `Bearer ${post?.token ?? ''}`, 'content-type': 'application/json' }
    const init = post === undefined ? { signal } : { method: 'POST', headers, body: post.body, signal }
    const response = await fetch(url, init)
    const text = await response.text()
    const json: unknown = text === '' ? null : JSON.parse(text)
    return { status: response.status, json, retryAfter: response.headers.get('retry-after') }
  } catch {
    return undefined
  }
}

/** A tick with one trade; everything but its time follows from the id. */
function tickOf(id: string): object {
  const timestamp = Date.now()
  const parties = { id: `${id}.1`, from_user_id: 'ann', to_user_id: 'ben' }
  const trade = { ...parties, kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3', timestamp }
  return { tick_id: id, timestamp, transactions: [trade] }
}

/** Platform engines that post ticks one after another until they are stopped. */
export interface Load {
  readonly answers: ReadonlyMap<string, TickAnswer>
  /** Resolves with the next answer. */
  next(): Promise<TickAnswer>
  /** Waits for the ticks in hand. Throws what an engine has failed with. */
  stop(): Promise<void>
}

export function startLoad(pair: Pair, engines: number): Load {
  const answers = new Map<string, TickAnswer>()
  const abort = new AbortController()
  let stopping = false
  let heard = Promise.withResolvers<TickAnswer>()

  async function engine(name: string): Promise<void> {
    for (let n = 0; !stopping; n++) {
      const answer = await pair.insist(`${name}.${n}`, abort.signal)
      answers.set(answer.tick_id, answer)
      heard.resolve(answer)
      heard = Promise.withResolvers()
    }
  }

  const done = Promise.all(Array.from({ length: engines }, (_, n) => engine(`engine${n}`)))
  done.catch((error: unknown) => heard.reject(error))
  return {
    answers,
    next: () => heard.promise,
    async stop() {
      stopping = true
      await done
    },
  }
}
