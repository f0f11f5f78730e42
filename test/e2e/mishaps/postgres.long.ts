import assert from 'node:assert/strict'
import pg from 'pg'
import { tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { createLab, runCommand, type Ended } from './command.ts'
import { authority, SECRET } from './mishaps.ts'

describe('a PostgreSQL that does not work ends a start with one line', () => {
  const lab = createLab()
  let database: TempDatabase
  let other: pg.Client

  before(async () => {
    database = await tempDatabase()
    other = new pg.Client({ connectionString: database.url })
    await other.connect()
  })
  after(async () => {
    await other.end()
    await database.drop()
    await lab.remove()
  })

  async function withUrl(change: (url: URL) => void, ...args: readonly string[]): Promise<Ended> {
    const url = new URL(database.url)
    change(url)
    return await runCommand(lab.folder(), args, { env: { SOLAR_DATABASE: url.href } })
  }
  function endedWith({ code, err }: Ended, ...says: readonly RegExp[]): void {
    assert.equal(code, 1, err)
    assert.match(err, /^solar-node: [^\n]+\n$/)
    for (const pattern of says) assert.match(err, pattern)
    assert.doesNotMatch(err, new RegExp(SECRET))
  }

  it('that wants a password (SCRAM) and gets none', async () => {
    endedWith(await withUrl((url) => (url.password = ''), ...authority('--data', 'd')), /asks for a password/)
  })
  it('that gets another password', async () => {
    const ended = await withUrl((url) => (url.password = SECRET), ...authority('--data', 'd'))
    endedWith(ended, /password authentication failed/, /percent-encoded/)
  })
  it('that has no such database', async () => {
    const ended = await withUrl((url) => (url.pathname = '/nowhere'), ...authority('--data', 'd'))
    endedWith(ended, /"nowhere" does not exist/, /createdb/)
  })
  it('whose tables another program has locked', async () => {
    await other.query(
      'create schema solar_node; create table solar_node.kysely_migration (name text primary key, timestamp text)',
    )
    await other.query('begin; lock table solar_node.kysely_migration in access exclusive mode')
    try {
      endedWith(await withUrl(() => undefined, ...authority('--data', 'd')), /lock timeout/, /pg_blocking_pids/)
    } finally {
      await other.query('rollback')
    }
  })
})
