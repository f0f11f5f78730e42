import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { DatabaseConfig } from '../../../src/config/types.ts'
import { auditDirectory } from '../../../src/node/audit.ts'
import { openMarketStore } from '../../../src/node/market-store.ts'
import { eventually } from '../../helpers/network.ts'
import {
  connectPostgres,
  postgresPlatform,
  sqlitePlatform,
  type PlatformDatabase,
} from '../../helpers/platform-database.ts'
import { tempDatabase } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'
import { bundleForNode } from '../../helpers/bundle.ts'
import { createLives, type Lives } from '../crash/lives.ts'
import { STEPS, type PlannedKill } from '../crash/steps.ts'
import { checkOrder, startWriters, tickOf, type WriterConnection, type Writers } from './writers.ts'

const WRITERS = 8
/** How each life ends: at this step of a tick or of its row, or at any moment. */
const KILLS_IN_ROWS: readonly (PlannedKill | null)[] = [1, 5].flatMap((occurrence) => [
  { step: 'before row is done', occurrence } as const,
  { step: 'after row is done', occurrence } as const,
  null,
])
/** Each step of a tick without an outbox is killed in e2e/crash/kill.long.ts: some are enough beside writers. */
const KILLS_IN_TICKS = STEPS.flatMap((step, index) => (index % 2 === 1 ? [{ step, occurrence: index } as const] : []))
const ANY_MOMENT_MS = 300
/** Between two transactions of writers. */
const SQLITE_GAP_MS = 10

/** Where the ledger is, and how writers get there. */
interface Place {
  readonly database: DatabaseConfig
  readonly flag: string
  platform(): Promise<PlatformDatabase>
  connect(): Promise<WriterConnection>
  cleanup(): Promise<void>
}

async function postgresPlace(): Promise<Place> {
  const database = await tempDatabase()
  const { url } = database
  return {
    database: { kind: 'postgres', url },
    flag: url,
    platform: () => postgresPlatform(url),
    connect: async () => {
      const client = await connectPostgres(url)
      const run = async (text: string, values: readonly unknown[] = []) => {
        await client.query(text, [...values])
      }
      return {
        begin: () => run('begin'),
        insert: (tick) => run('insert into ledger_outbox (tick) values ($1)', [JSON.stringify(tick)]),
        commit: () => run('commit'),
        rollback: () => run('rollback'),
        close: () => client.end(),
      }
    },
    cleanup: () => database.drop(),
  }
}

/** Writers of SQLite stand in one queue: they do so outside of the database, whose driver would let this process wait. */
function sqlitePlace(folder: string): Place {
  const path = join(folder, 'data', 'ledger.db')
  let last: Promise<unknown> = Promise.resolve()
  return {
    database: { kind: 'sqlite', path },
    flag: `sqlite:${path}`,
    platform: () => Promise.resolve(sqlitePlatform(path)),
    connect: () => {
      const platform = sqlitePlatform(path)
      let release = (): void => undefined
      const end = async (statement: string): Promise<void> => {
        await platform.execute(statement)
        // Or the authority, which asks for the lock again and again, would never find it free.
        setTimeout(release, SQLITE_GAP_MS)
      }
      return Promise.resolve({
        async begin() {
          const before = last
          last = new Promise<void>((resolve) => (release = resolve))
          await before
          await platform.execute('begin immediate')
        },
        insert: (tick) => platform.execute(`insert into ledger_outbox (tick) values ('${JSON.stringify(tick)}')`),
        commit: () => end('commit'),
        rollback: () => end('rollback'),
        close: () => platform.close(),
      })
    },
    cleanup: () => Promise.resolve(),
  }
}

function killedBeside(
  name: string,
  open: (folder: string) => Promise<Place>,
  { kills, lateCommit }: { readonly kills: readonly (PlannedKill | null)[]; readonly lateCommit: boolean },
): void {
  describe(`an authority that is killed while ${WRITERS} writers fill the outbox in ${name}`, () => {
    let folder: Awaited<ReturnType<typeof tempDir>>
    let place: Place
    let lives: Lives
    let platform: PlatformDatabase | undefined
    let writers: Writers | undefined

    before(async () => {
      folder = await tempDir()
      place = await open(folder.path)
      const flags = { data: join(folder.path, 'data'), http: 'off', listen: ['/ip4/127.0.0.1/tcp/0'], tick: 'off' }
      const entry = new URL('../crash/authority-process.ts', import.meta.url)
      const file = bundleForNode(entry, join(folder.path, 'package'))
      lives = createLives(file, { ...flags, database: place.flag, outbox_poll: 0.5 })
    })
    after(async () => {
      await writers?.stop()
      await lives.killAll()
      await platform?.close()
      await place.cleanup()
      await folder.remove()
    })

    async function liveAndDie(kill: PlannedKill | null): Promise<void> {
      const life = await lives.begin(kill)
      if (kill === null) {
        assert.ok(await life.started)
        await pause(Math.random() * ANY_MOMENT_MS)
        life.process.kill('SIGKILL')
      }
      const [{ signal, step }] = await Promise.all([life.end, life.started])
      assert.deepEqual([signal, step], ['SIGKILL', kill?.step ?? null], life.process.errors())
    }

    /** The ids of all sealed ticks, in order of height. */
    async function chain(): Promise<string[]> {
      const store = await openMarketStore(place.database)
      try {
        return (await store.blocks(0, 100_000)).map(({ tick_id }) => tick_id)
      } finally {
        await store.close()
      }
    }

    it('seals what was committed once, in an order that is safe, and nothing of what was rolled back', async () => {
      // The first life makes the tables.
      const first = await lives.begin(null)
      assert.ok(await first.started)
      platform = await place.platform()
      const looks = platform
      const slow = lateCommit ? await place.connect() : undefined
      await slow?.begin()
      await slow?.insert(tickOf('slow'))
      first.process.kill('SIGKILL')
      await first.end

      writers = startWriters(WRITERS, () => place.connect())
      for (const kill of kills) await liveAndDie(kill)
      const { committed, rolledBack } = writers
      const isEnough = () => committed.length >= 100 && rolledBack.length >= 10
      await eventually('many transactions have ended the one way or the other', isEnough)
      await writers.stop()

      const last = await lives.begin(null)
      assert.ok(await last.started)
      const waiting = async () => (await looks.rows()).filter(({ done_at }) => done_at === null).length
      await eventually('all that is committed is sealed', async () => (await waiting()) === 0)
      checkOrder(await chain(), committed)
      if (slow !== undefined) {
        // It has the lowest number of all, and commits last.
        await slow.commit()
        await slow.close()
        await eventually('the slow one is sealed', async () => (await looks.rows())[0]?.done_at != null)
        const sealed = await chain()
        assert.equal(sealed.pop(), 'slow')
        checkOrder(sealed, committed)
      }
      last.process.kill('SIGTERM')
      assert.equal((await last.end).code, 0, last.process.errors())

      const rows = await looks.rows()
      assert.equal(rows.length, committed.length + (lateCommit ? 1 : 0))
      assert.ok(rows.every(({ error_code, tick, block_hash }) => error_code === null && tick === null && block_hash))
      const report = await auditDirectory(join(folder.path, 'data'), place.database, () => undefined)
      assert.deepEqual([report.findings, report.blocks], [[], rows.length])
    })
  })
}

killedBeside('PostgreSQL', postgresPlace, { kills: [...KILLS_IN_TICKS, ...KILLS_IN_ROWS], lateCommit: true })
// One writer at a time: there is no other order of commits than that of the rows.
killedBeside('SQLite', (folder) => Promise.resolve(sqlitePlace(folder)), { kills: KILLS_IN_ROWS, lateCommit: false })
