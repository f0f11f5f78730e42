import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { openPostgresSession, type PostgresSession } from '../../../src/storage/sql/postgres-session.ts'
import { openPostgres } from '../../../src/storage/sql/postgres.ts'
import { query, tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'

const LIMIT_MS = 5_000
const canPass = (error: unknown): boolean =>
  isSolarError(error, 'store_failed') && (error.fields as { retryable: boolean }).retryable

describe('a session on the PostgreSQL database', () => {
  let database: TempDatabase
  let sessions: PostgresSession[]

  beforeEach(async () => {
    database = await tempDatabase()
    await (await openPostgres(database.url)).close()
    sessions = []
  })
  afterEach(async () => {
    await Promise.all(sessions.map((session) => session.close()))
    await database.drop()
  })

  async function open(limitMs = LIMIT_MS): Promise<PostgresSession> {
    const session = await openPostgresSession(database.url, limitMs)
    sessions.push(session)
    return session
  }
  const terminate = (pid: number) => query(database.url, 'select pg_terminate_backend($1)', [pid])
  const pidOf = async (session: PostgresSession): Promise<number> =>
    (await session.query<{ pid: number }>('select pg_backend_pid() as pid'))[0]?.pid ?? 0

  it('holds an advisory lock until it is closed, and reads names and numbers as the store does', async () => {
    const [first, second] = [await open(), await open()]
    const lock = async (session: PostgresSession) =>
      (await session.query<{ held: boolean }>('select pg_try_advisory_lock(42) as held'))[0]?.held
    assert.deepEqual([await lock(first), await lock(second)], [true, false])
    await first.close()
    await first.ended
    assert.equal(await lock(second), true)
    assert.deepEqual(await second.query('select count(*) as n, 9007199254740993 as large from ticks'), [
      { n: 0n, large: 9007199254740993n },
    ])
  })

  it('hears what is committed on its channel, in that order, and nothing of others or of a rollback', async () => {
    const session = await open()
    const heard: string[] = []
    let tell: () => void = () => undefined
    const last = new Promise<void>((resolve) => (tell = resolve))
    await session.listen('Mine', (payload) => {
      heard.push(payload)
      if (payload === 'last') tell()
    })
    await query(database.url, `notify "Other", 'no'; notify "Mine", 'first'`)
    await query(database.url, `begin; notify "Mine", 'never'; rollback`)
    await query(database.url, `notify "Mine", 'last'`)
    await last
    assert.deepEqual(heard, ['first', 'last'])
  })

  it('says when the server has ended it, and can do nothing then', async () => {
    const session = await open()
    await terminate(await pidOf(session))
    await session.ended
    await assert.rejects(session.query('select 1'), canPass)
  })

  it('ends with a query that is not answered in time, and the query fails as what can pass', async () => {
    const session = await open(50)
    await assert.rejects(session.query('select pg_sleep(60)'), canPass)
    await session.ended
  })

  it('is not opened without an answer, nor with a wrong password', async () => {
    const wrong = new URL(database.url)
    wrong.password = 'hunter2'
    await assert.rejects(openPostgresSession(wrong.href, LIMIT_MS), (error) => !canPass(error))
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    await assert.rejects(openPostgresSession(`postgres://ada@127.0.0.1:${port}/solar`, LIMIT_MS), canPass)
  })
})
