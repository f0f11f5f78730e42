import assert from 'node:assert/strict'
import pg from 'pg'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { SharedLeadership } from '../../../src/ports/leadership.ts'
import { openPostgres } from '../../../src/storage/sql/postgres.ts'
import { createPostgresLeadership } from '../../../src/storage/sql/postgres-leadership.ts'
import { eventually } from '../../helpers/network.ts'
import { query, startPostgres, tempDatabase, type PostgresServer, type TempDatabase } from '../../helpers/postgres.ts'

describe('leadership on one PostgreSQL', () => {
  let server: PostgresServer
  let database: TempDatabase
  let running: SharedLeadership[]

  before(async () => {
    server = await startPostgres()
  })
  after(() => server.stop())
  beforeEach(async () => {
    database = await tempDatabase(server)
    await (await openPostgres(database.url)).close()
    running = []
  })
  afterEach(async () => {
    await Promise.all(running.map((one) => one.stop()))
    await database.drop()
  })

  async function start(): Promise<SharedLeadership> {
    const started = createPostgresLeadership(database.url, silentLogger)
    running.push(started)
    await started.start()
    return started
  }
  /** Resolves when the next change leaves it leading, or not leading. */
  const becomes = (one: SharedLeadership, leads: boolean): Promise<void> =>
    new Promise((resolve) => {
      const remove = one.onChange(() => {
        if (one.leads() !== leads) return
        remove()
        resolve()
      })
    })
  const endSessions = () =>
    query(
      database.url,
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'relation' and mode = 'ShareUpdateExclusiveLock' and granted and database = (
         select oid from pg_database where datname = current_database())`,
    )

  it('is one of those that ask, and then the next one as soon as it gives the lead back', async () => {
    const [first, second] = [await start(), await start()]
    assert.deepEqual([first.leads(), first.term, second.leads(), second.term], [true, 1, false, 0])
    const taken = becomes(second, true)
    await first.stop()
    assert.equal(first.leads(), false)
    await taken
    assert.deepEqual([second.leads(), second.term, second.trouble()], [true, 1, undefined])
  })

  it('is taken from a leader whose session ends, which knows at once and may lead again later', async () => {
    const [first, second] = [await start(), await start()]
    const lost = becomes(first, false)
    await endSessions()
    await lost
    // Whoever asks first has it, and the one that lost it asks anew as well.
    await eventually('one of them leads', () => first.leads() !== second.leads())
    const [leader, other] = first.leads() ? [first, second] : [second, first]
    assert.equal(leader.term, leader === first ? 2 : 1)
    await leader.stop()
    await eventually('the other leads', () => other.leads())
  })

  it('is given by the server to nobody else while the leader asks, and is confirmed', async () => {
    const [first, second] = [await start(), await start()]
    for (let n = 0; n < 5; n++) {
      assert.equal(await second.confirm(), false)
      assert.equal(await first.confirm(), true)
    }
    assert.equal(first.term, 1)
  })

  it('comes back to one of them after the server has crashed', async () => {
    const [first, second] = [await start(), await start()]
    const lost = becomes(first, false)
    await server.restart()
    await lost
    await eventually('one leads again', () => first.leads() !== second.leads())
  })

  it('is given back by one that may not lead any more, and asked for again once it may', async () => {
    let mayLead = true
    const first = createPostgresLeadership(database.url, silentLogger, () => mayLead)
    running.push(first)
    await first.start()
    const second = await start()
    assert.deepEqual([first.leads(), second.leads()], [true, false])
    const [lost, taken] = [becomes(first, false), becomes(second, true)]
    mayLead = false
    await Promise.all([lost, taken])
    assert.equal(await first.confirm(), false)
    await second.stop()
    assert.equal(await first.confirm(), false)
    assert.equal(first.trouble(), undefined)
    mayLead = true
    assert.equal(await first.confirm(), true)
  })

  it('cannot be kept by a role that may fill the outbox, nor can the writers be kept from writing', async () => {
    await query(database.url, "create role platform login password 'p'")
    try {
      await query(database.url, 'grant usage on schema solar_node to platform')
      await query(database.url, 'grant insert (tick) on solar_node.ledger_outbox to platform')
      const platform = new pg.Client(database.url.replace(/ledger:[^@]*@/, 'platform:p@'))
      await platform.connect()
      try {
        const { rows } = await platform.query<{ name: string }>(
          "select c.relname as name from pg_catalog.pg_class c where relnamespace = 'solar_node'::regnamespace and relkind = 'r'",
        )
        assert.ok(rows.length > 10)
        for (const mode of ['row share', 'share update exclusive', 'share', 'access exclusive']) {
          for (const { name } of rows) {
            await assert.rejects(
              platform.query(`begin; lock table solar_node.${name} in ${mode} mode nowait`),
              { code: '42501' },
              `${name} in ${mode}`,
            )
            await platform.query('rollback')
          }
        }
        // Whatever advisory locks it takes: those that the node once used, Kysely's, all of a range.
        await platform.query('select pg_advisory_lock(171837304477192), pg_advisory_lock(3853314791062309107)')
        await platform.query('select pg_advisory_lock(n) from generate_series(0, 999) as n')
        assert.equal((await start()).leads(), true)
        const store = await openPostgres(database.url)
        await store.settleWrites()
        await store.close()
      } finally {
        await platform.end()
      }
    } finally {
      await query(database.url, 'drop owned by platform; drop role platform')
    }
  })

  it('holds back no vacuum of rows that change, and no migration', async () => {
    assert.equal((await start()).leads(), true)
    const [held] = await query<{ backend_xid: unknown; backend_xmin: unknown }>(
      database.url,
      "select backend_xid, backend_xmin from pg_stat_activity where application_name = 'solar-node leadership'",
    )
    assert.deepEqual(held, { backend_xid: null, backend_xmin: null })
    await query(database.url, "insert into solar_node.kysely_migration (name, timestamp) values ('x', 'x')")
  })

  it('waits for a server that is not there yet, without failing the start', async () => {
    const gone = createPostgresLeadership(database.url.replace(/:\d+\//, ':1/'), silentLogger)
    running.push(gone)
    await gone.start()
    assert.deepEqual([gone.leads(), await gone.confirm()], [false, false])
    assert.match(gone.trouble() ?? '', /ECONNREFUSED/)
  })
})
