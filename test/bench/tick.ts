import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { loadAuthorityConfig } from '../../src/config/load.ts'
import { createAuthority } from '../../src/node/authority.ts'
import { createLogger } from '../../src/node/logger.ts'
import type { PlatformTick, TickAnswer } from '../../src/ports/ledger.ts'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { openPostgres } from '../../src/storage/sql/postgres.ts'
import { openSqlite } from '../../src/storage/sql/sqlite.ts'
import { startPostgres, tempDatabase } from '../helpers/postgres.ts'
import { tempDir } from '../helpers/temp.ts'
import { compare, milliseconds, type BenchOptions, type BenchRow } from './compare.ts'
import { platformTick, tickCommit, ticksUntilNow } from './trades.ts'

const SQLITE_SIZES = [100, 1_000, 10_000]
const POSTGRES_SIZES = [1_000, 10_000]
const WARM_UP = 5
/** Rounds by size: about as many trades each, so that the large ticks do not take minutes. */
const roundsFor = (size: number): number => (size <= 1_000 ? 40 : 12)

/** A whole tick (committed, sealed, fenced, stored, published) against the SQL commit of the same trades alone. */
export async function benchTick({ rounds, sizes }: BenchOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of sizes ?? SQLITE_SIZES) {
    const folder = await tempDir()
    const places = ['ledger.db', 'floor.db'].map((name) => join(folder.path, name)) as [string, string]
    const floor = await openSqlite(places[1])
    rows.push(await tickRow('SQLite', size, rounds ?? roundsFor(size), `sqlite:${places[0]}`, floor))
    await folder.remove()
  }
  const server = await startPostgres({ durable: true })
  try {
    for (const size of sizes ?? POSTGRES_SIZES) {
      const [own, other] = [await tempDatabase(server), await tempDatabase(server)]
      const floor = await openPostgres(other.url)
      rows.push(await tickRow('PostgreSQL', size, rounds ?? roundsFor(size), own.url, floor))
      for (const database of [own, other]) await database.drop()
    }
  } finally {
    await server.stop()
  }
  return rows
}

/**
 * @param database of the authority
 * @param floor a store of the same kind beside it, closed at the end
 */
async function tickRow(
  kind: string,
  size: number,
  rounds: number,
  database: string,
  floor: MarketStore,
): Promise<BenchRow> {
  const folder = await tempDir()
  const timeOf = ticksUntilNow(rounds + WARM_UP)
  const node = await openNode(folder.path, database, timeOf(0))
  try {
    return await compare(
      {
        name: `tick of ${size} trades, against its commit to ${kind}`,
        unit: 'ms',
        ours: async (round) => {
          const tick = platformTick(`tick-${round}`, size, timeOf(round))
          let answer: TickAnswer | undefined
          const took = await milliseconds(async () => (answer = await node.acceptAndPublish(tick)))
          await node.followed(answer?.height ?? 0)
          return took
        },
        against: async (round) => {
          const commit = tickCommit(`tick-${round}`, size, timeOf(round))
          return await milliseconds(() => floor.commitTick(commit))
        },
      },
      { rounds, warmUp: WARM_UP },
    )
  } finally {
    await floor.close()
    await node.stop()
    await folder.remove()
  }
}

const RETRY_MS = 50

/** An authority as it runs, without HTTP, and one light node that follows it from a process of its own. */
async function openNode(folder: string, database: string, firstTime: number) {
  let published: Promise<number> = Promise.resolve(0)
  const data = join(folder, 'authority')
  const flags = { data, database, http: 'off', listen: ['/ip4/127.0.0.1/tcp/0'], tick: 'off' }
  const authority = createAuthority(loadAuthorityConfig({ flags, env: {} }), {
    // The log is written as ever; its lines go nowhere.
    logger: createLogger({ level: 'info', pretty: false, destination: { write: () => undefined } }),
    wrapGossip: (gossip) => ({ ...gossip, publish: (...message) => (published = gossip.publish(...message)) }),
  })
  const { chainId, multiaddrs } = await authority.start()
  const { ledger } = authority
  const light = startLight(join(folder, 'light'), multiaddrs[0] ?? '', chainId)
  // Gossip takes a moment to know who listens.
  for (let call = 0; (await published) === 0; call++) {
    await delay(RETRY_MS)
    await ledger.acceptTick(platformTick(`hello-${call}`, 1, firstTime))
  }

  /** Until the answer is there and the header has been sent to the light node. */
  async function acceptAndPublish(tick: PlatformTick): Promise<TickAnswer> {
    const answer = await ledger.acceptTick(tick)
    const recipients = await published
    if (recipients === 0) throw new Error(`the header of ${tick.tick_id} was sent to nobody`)
    return answer
  }

  return {
    acceptAndPublish,
    followed: light.followed,
    stop: async () => {
      await light.stop()
      await authority.stop()
    },
  }
}

function startLight(data: string, peer: string, chainId: string) {
  const file = fileURLToPath(new URL('light-process.ts', import.meta.url))
  const child = fork(file, [data, peer, chainId], { execArgv: ['--import=tsx'], stdio: 'inherit' })
  let height = -1
  child.on('message', (seen: number) => (height = seen))
  return {
    /** Waits until the light node has checked the header of this height. */
    followed: async (wanted: number) => {
      while (height < wanted) await once(child, 'message')
    },
    stop: async () => {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
