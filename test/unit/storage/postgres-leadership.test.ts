import assert from 'node:assert/strict'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { SharedLeadership } from '../../../src/ports/leadership.ts'
import { createPostgresLeadership } from '../../../src/storage/sql/postgres-leadership.ts'
import { CHAIN, eventually, OTHER_CHAIN } from '../../helpers/network.ts'
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
    running = []
  })
  afterEach(async () => {
    await Promise.all(running.map((one) => one.stop()))
    await database.drop()
  })

  async function start(chain = CHAIN): Promise<SharedLeadership> {
    const started = createPostgresLeadership(database.url, chain, silentLogger)
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
      `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and database = (
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
    const first = createPostgresLeadership(database.url, CHAIN, silentLogger, () => mayLead)
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

  it('is apart for each chain', async () => {
    const [one, other] = [await start(), await start(OTHER_CHAIN)]
    assert.deepEqual([one.leads(), other.leads()], [true, true])
  })

  it('waits for a server that is not there yet, without failing the start', async () => {
    const gone = createPostgresLeadership(database.url.replace(/:\d+\//, ':1/'), CHAIN, silentLogger)
    running.push(gone)
    await gone.start()
    assert.deepEqual([gone.leads(), await gone.confirm()], [false, false])
    assert.match(gone.trouble() ?? '', /ECONNREFUSED/)
  })
})
