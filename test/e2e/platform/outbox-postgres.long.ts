import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { eventually } from '../../helpers/network.ts'
import { connectPostgres, postgresPlatform, type PlatformDatabase } from '../../helpers/platform-database.ts'
import { query, startPostgres, tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'
import { documentedSql, statementOf } from './example.ts'

/** As long as a setting can say: what is found in time was not found by looking. */
const NEVER_S = 3_600
/** Far below that, and enough for a machine that is busy. */
const SOON_MS = 30_000

const tick = (n: number) => tickOf(n, tradeRow(`${n}.0`, 'ann', 'ben'))
const INSERT = 'insert into solar_node.ledger_outbox (tick) values ($1)'

describe('an outbox in PostgreSQL', () => {
  let database: TempDatabase
  let community: Community
  let platform: PlatformDatabase
  let clients: pg.Client[]

  beforeEach(async () => {
    clients = []
    database = await tempDatabase()
  })
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.end()))
    await (community as Community | undefined)?.stop()
    await (platform as PlatformDatabase | undefined)?.close()
    await database.drop()
  })

  async function start(outbox_poll: number): Promise<void> {
    community = await startCommunity({ voters: ['ann'], flags: { database: database.url, outbox_poll } })
    platform = await postgresPlatform(database.url)
  }

  async function connect(url = database.url): Promise<pg.Client> {
    const client = await connectPostgres(url)
    clients.push(client)
    return client
  }

  const sealed = async () => (await platform.rows()).flatMap(({ tick_id }) => (tick_id === null ? [] : [tick_id]))
  const sealedSoon = (...ids: readonly string[]) =>
    eventually(`${ids.join()} are sealed`, async () => (await sealed()).join() === ids.join(), SOON_MS)
  const LISTENERS = `select pid from pg_stat_activity where datname = current_database() and query like 'listen %'`
  const listens = () =>
    eventually('it listens', async () => (await query(database.url, LISTENERS)).length === 1, SOON_MS)

  describe('that is looked at once an hour', () => {
    beforeEach(() => start(NEVER_S))

    it('is sealed as soon as a transaction commits, and not before', async () => {
      await listens()
      const [writer, other] = [await connect(), await connect()]
      await writer.query('begin')
      await writer.query(INSERT, [JSON.stringify(tick(0))])
      // Its number is the second one; the first is not committed, so nobody may wait for it.
      await other.query(INSERT, [JSON.stringify(tick(1))])
      await sealedSoon('tick-1')
      await writer.query('commit')
      await eventually('both are sealed', async () => (await sealed()).length === 2, SOON_MS)
      const headers = (await community.call('GET', '/blocks/latest-headers/?n=2')).body.headers as object[]
      const rows = await platform.rows()
      assert.deepEqual(
        rows.map(({ tick_id, block_hash }) => [tick_id, block_hash]),
        [
          ['tick-0', (headers[1] as { header_hash: string }).header_hash],
          ['tick-1', (headers[0] as { header_hash: string }).header_hash],
        ],
      )
    })

    it('never sees what is rolled back', async () => {
      await listens()
      const writer = await connect()
      await writer.query('begin')
      await writer.query(INSERT, [JSON.stringify(tick(0))])
      await writer.query('rollback')
      await writer.query(INSERT, [JSON.stringify(tick(1))])
      await sealedSoon('tick-1')
      assert.equal((await platform.rows()).length, 1)
    })

    it('is listened to again when the connection was cut, and what was written in between is found', async () => {
      for (const n of [0, 1]) {
        await listens()
        // Nobody hears of this row: the listener's end is part of the statement that writes it.
        const cut = `with cut as (select pg_terminate_backend(pid) from (${LISTENERS}) as listeners)
          insert into solar_node.ledger_outbox (tick) select $1 from cut`
        await query(database.url, cut, [JSON.stringify(tick(n))])
        await eventually(`tick ${n} is sealed`, async () => (await sealed()).includes(`tick-${n}`), SOON_MS)
      }
    })
  })

  it('is found by looking where nobody is notified', async () => {
    await start(0.2)
    await platform.execute('drop trigger ledger_outbox_written on ledger_outbox')
    await platform.write(tick(0))
    await sealedSoon('tick-0')
    await platform.write(tick(1))
    await sealedSoon('tick-0', 'tick-1')
  })

  it('waits while the server is gone, parks nothing, and goes on by itself', async () => {
    const server = await startPostgres()
    const own = await tempDatabase(server)
    const node = await startCommunity({ voters: ['ann'], flags: { database: own.url, outbox_poll: 0.2 } })
    try {
      const done = async () =>
        (await query<{ tick_id: string }>(own.url, 'select tick_id from solar_node.ledger_outbox where done_at > 0'))
          .length
      for (let n = 0; n < 3; n++) {
        await query(own.url, INSERT, [JSON.stringify(tick(2 * n))])
        const restarted = server.restart()
        await restarted
        await query(own.url, INSERT, [JSON.stringify(tick(2 * n + 1))])
      }
      await eventually('all are sealed', async () => (await done()) === 6)
      const { body } = await node.call('GET', '/blocks/latest-headers/?n=1')
      assert.equal(body.tip_height, 5)
    } finally {
      await node.stop()
      await own.drop()
      await server.stop()
    }
  })

  describe('with a role of the platform', () => {
    const role = `platform_${randomUUID().replaceAll('-', '')}`
    const granted = (name: string) => documentedSql(name).replaceAll(' platform;', ` ${role};`)
    let client: pg.Client

    beforeEach(async () => {
      await start(1)
      await query(database.url, `create role ${role} login password 'test'; ${granted('grants')}`)
      await query(database.url, `create schema market authorization ${role}`)
      const url = new URL(database.url)
      url.username = role
      url.password = 'test'
      client = await connect(url.href)
      await client.query('set search_path = market')
    })
    afterEach(async () => {
      await query(database.url, `drop owned by ${role} cascade; drop role ${role}`)
    })

    const denied = (statement: string) => assert.rejects(client.query(statement), /permission denied/)

    it('lets it insert ticks, by the documented grants, and nothing else', async () => {
      await client.query(INSERT, [JSON.stringify(tick(0))])
      await sealedSoon('tick-0')
      await denied('select tick from solar_node.ledger_outbox')
      await denied('select id from solar_node.ledger_outbox')
      await denied(`insert into solar_node.ledger_outbox (tick, done_at) values ('{}', 1)`)
      await denied(`update solar_node.ledger_outbox set tick = ''`)
      await denied('delete from solar_node.ledger_outbox')
      for (const table of ['blocks', 'ticks', 'transactions', 'meta', 'voter_users']) {
        await denied(`select 1 from solar_node.${table}`)
      }
      await denied(`insert into solar_node.meta (key, value) values ('chain_id', 'mine')`)
      await denied('create table solar_node.blocks2 (height bigint)')
    })

    it('lets it look at what became of its rows, by the other grant, but not at the ticks', async () => {
      await query(database.url, granted('grants to look'))
      await client.query(INSERT, ['soup'])
      const parked = async () => (await client.query<{ error_code: string }>(statementOf('PARKED_ROWS').text)).rows
      await eventually('it sees the row parked', async () => (await parked())[0]?.error_code === 'malformed', SOON_MS)
      await denied('select tick from solar_node.ledger_outbox')
      // Whoever repairs it does as documented.
      await platform.execute(`update solar_node.ledger_outbox set tick = '${JSON.stringify(tick(0))}'`)
      await platform.execute(documentedSql('retry').replace('17', '(select id from solar_node.ledger_outbox)'))
      await sealedSoon('tick-0')
    })

    it('has the trades of its tick and the row of the ledger together or not at all, by the SQL of the example', async () => {
      const run = (constant: string, values: Readonly<Record<string, unknown>> = {}) => {
        const { text, names } = statementOf(constant)
        return client.query(
          text,
          names.map((name) => values[name]),
        )
      }
      const trade = {
        ...{ id: '0.0', tick_id: 'tick-0', seller: 'ann', buyer: 'ben', traded_at: tick(0).timestamp },
        ...{ kwh: '1.500000', price_per_kwh: '0.2', total_amount: '0.3' },
      }
      const trades = async () => (await client.query<{ id: string }>('select id from trades order by id')).rows
      await run('CREATE_TRADES')
      for (const end of ['rollback', 'commit']) {
        await client.query('begin')
        await run('INSERT_TRADE', trade)
        await run('INSERT_TICK', { tick: JSON.stringify(tick(0)) })
        await client.query(end)
        assert.equal((await trades()).length, end === 'commit' ? 1 : 0)
      }
      await sealedSoon('tick-0')
      const { body } = await community.call('GET', '/blocks/latest-headers/?n=10')
      assert.equal(body.tip_height, 0)
    })
  })
})
