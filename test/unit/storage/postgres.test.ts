import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import pg from 'pg'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { isSolarError, type SolarError } from '../../../src/protocol/errors.ts'
import { createPool } from '../../../src/storage/sql/postgres-pool.ts'
import { openPostgres, postgresDialect } from '../../../src/storage/sql/postgres.ts'
import {
  blockRow,
  CHAIN,
  commitTick,
  correction,
  enrolment,
  MOST,
  order,
  putOrder,
  registryTick,
  sealWaiting,
  T0,
  tick,
  trade,
  vote,
} from '../../contract/fixtures.ts'
import { query, startPostgres, tempDatabase, type PostgresServer, type TempDatabase } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'

/** What a failed store says about itself. Fails on any other error. */
function failureOf(error: unknown): { readonly retryable: boolean; readonly reason: string } {
  assert.ok(isSolarError(error, 'store_failed'), String(error))
  return error.fields as ReturnType<typeof failureOf>
}
const retryable = (error: unknown): boolean => failureOf(error).retryable

/** The statement with which every write begins, as pg sends it. */
const isBegin = (text: string): boolean => text.startsWith('begin')

describe('the PostgreSQL database', () => {
  let database: TempDatabase
  let store: MarketStore
  let others: { close(): Promise<void> }[]

  beforeEach(async () => {
    database = await tempDatabase()
    store = await openPostgres(database.url)
    others = []
  })
  afterEach(async () => {
    await store.close()
    await Promise.all(others.map((other) => other.close()))
    await database.drop()
  })

  const behind = (text: string) => query(database.url, `set search_path = solar_node; ${text}`)
  async function openOther(): Promise<MarketStore> {
    const other = await openPostgres(database.url)
    others.push(other)
    return other
  }

  it('keeps everything in a schema of its own, beside tables of the same names', async () => {
    await commitTick(store, tick('t1', [trade('t1', 'a')]))
    await query(database.url, 'create table transactions (id int); create table orders (id int)')
    await store.close()
    store = await openPostgres(database.url)
    assert.deepEqual(await store.transactionsOfTick('t1'), [trade('t1', 'a')])
    const tables = await query<{ schemaname: string }>(
      database.url,
      `select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
    )
    const ours = tables.filter(({ schemaname }) => schemaname === 'solar_node')
    assert.deepEqual([ours.length > 9, tables.length - ours.length], [true, 2])
  })

  it('is made by one of many that open it at the same time', async () => {
    const fresh = await tempDatabase()
    const stores = await Promise.all(Array.from({ length: 6 }, () => openPostgres(fresh.url)))
    try {
      assert.equal((await query(fresh.url, 'select * from solar_node.kysely_migration')).length > 0, true)
      await Promise.all(stores.map((one) => one.bindChain(CHAIN)))
    } finally {
      await Promise.all(stores.map((one) => one.close()))
      await fresh.drop()
    }
  })

  it('needs the right to create in the database for its first start, and none after', async () => {
    const fresh = await tempDatabase()
    const role = `plain_${Date.now()}`
    const name = new URL(fresh.url).pathname.slice(1)
    const url = new URL(fresh.url)
    url.username = role
    await query(fresh.url, `create role ${role} login password '${url.password}'`)
    try {
      await assert.rejects(openPostgres(url.href), /permission denied/)
      await query(fresh.url, `grant connect, create on database ${name} to ${role}`)
      await (await openPostgres(url.href)).close()
      await query(fresh.url, `revoke create on database ${name} from ${role}`)
      const plain = await openPostgres(url.href)
      await commitTick(plain, tick('t1', [trade('t1', 'a')]))
      await plain.fence(blockRow(0, 't1'))
      await plain.close()
    } finally {
      await fresh.drop()
      await query(database.url, `drop role ${role}`)
    }
  })

  it('is not opened by a version that does not know its schema', async () => {
    await behind(`insert into kysely_migration (name, timestamp) values ('9999-from-the-future', '2099-01-01')`)
    await assert.rejects(
      openPostgres(database.url),
      (error) => isSolarError(error, 'store_failed') && error.message.includes('9999'),
    )
  })

  it('lets exactly one of two authorities seal a height, and shows the other what was sealed', async () => {
    const rival = await openOther()
    let below: string | undefined
    for (let height = 0; height < 20; height++) {
      const id = `t${height}`
      await commitTick(store, tick(id, [trade(id, id)]))
      const rows = [blockRow(height, id, 'ours', below), blockRow(height, id, 'theirs', below)] as const
      const results = await Promise.allSettled([store.fence(rows[0]), rival.fence(rows[1])])
      const winner = results.findIndex(({ status }) => status === 'fulfilled')
      const loser = results[1 - winner]
      assert.ok(loser?.status === 'rejected' && isSolarError(loser.reason, 'fenced'))
      assert.equal((loser.reason.fields as { sealed: string }).sealed, rows[winner]?.block_hash)
      below = rows[winner]?.block_hash
      assert.deepEqual(await store.blocks(height, 10), [rows[winner]])
      assert.deepEqual(await rival.blocks(height, 10), [rows[winner]])
    }
  })

  it('lets two authorities that write at the same time neither overfill an order nor a correction', async () => {
    const rival = await openOther()
    const both = [store, rival]
    await putOrder(store, order('o1', { kwh: '2.5' }))
    await commitTick(store, tick('t0', [trade('t0', 'a', { kwh: '2.5', total_amount: '0.5' })]))
    await store.fence(blockRow(0, 't0'))
    const fills = await Promise.allSettled(
      both.map((one, n) =>
        commitTick(
          one,
          tick(`f${n}`, [trade(`f${n}`, `x${n}`)], {
            fills: [{ order_id: 'o1', transaction_id: `x${n}`, kwh_micro: 2_000_000n }],
          }),
        ),
      ),
    )
    await sealWaiting(store)
    const changes = { kwh_delta: '-2', amount_delta: '0' }
    const corrections = await Promise.allSettled(
      both.map((one, n) => commitTick(one, tick(`c${n}`, [correction(`c${n}`, `y${n}`, 'a', changes)]))),
    )
    for (const results of [fills, corrections]) {
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    }
    assert.equal((await store.openOrders(T0, MOST)).orders[0]?.open_micro, 500_000n)
  })

  it('reads a BIGINT exactly, also one that no ledger would write', async () => {
    await commitTick(store, tick('t1', [trade('t1', 'a')]))
    await behind('update transactions set timestamp = 9007199254740993')
    await assert.rejects(
      store.tick('t1'),
      (error) => isSolarError(error, 'corrupt') && error.message.includes('found 9007199254740993'),
    )
  })

  it('promises what it has returned, whatever the role or the database are set to', async () => {
    const shown = async (weak: string): Promise<unknown> => {
      await query(database.url, `alter role ledger set synchronous_commit = ${weak}`)
      const pool = createPool(database.url)
      const client = await pool.connect()
      try {
        return (await client.query<{ synchronous_commit: string }>('show synchronous_commit', [])).rows[0]
      } finally {
        client.release()
        await pool.end()
      }
    }
    try {
      for (const weak of ['off', 'local', 'remote_write', 'on']) {
        assert.deepEqual(await shown(weak), { synchronous_commit: 'on' }, weak)
      }
      assert.deepEqual(await shown('remote_apply'), { synchronous_commit: 'remote_apply' })
    } finally {
      await query(database.url, 'alter role ledger reset synchronous_commit')
    }
  })

  it('tells what passes from what stays: a lock from a password that is wrong', async () => {
    const holder = new pg.Client({ connectionString: database.url })
    await holder.connect()
    await holder.query('begin; lock table solar_node.ticks in exclusive mode')
    const waits = query(database.url, `set lock_timeout = 1; lock table solar_node.ticks in exclusive mode`)
    await assert.rejects(waits, (error) => postgresDialect(database.url).isRetryable(error))
    await holder.end()

    const { password } = new URL(database.url)
    const cases: readonly [string, boolean][] = [
      [database.url.replace(password, 'hunter2'), false],
      [database.url.replace(/test_\w+$/, 'nowhere'), false],
      [database.url.replace(/:\d+\//, ':1/'), true],
    ]
    for (const [url, canPass] of cases) {
      await assert.rejects(openPostgres(url), (error) => {
        const { retryable: passes, reason } = failureOf(error)
        assert.deepEqual([passes, reason === ''], [canPass, false], reason)
        const { message, fields, cause } = error as SolarError
        const shown = inspect([message, fields, cause], { depth: 9, showHidden: false })
        assert.ok(!shown.includes(password) && !shown.includes('hunter2'), shown)
        return true
      })
    }
  })

  it('takes the password from PGPASSWORD or the passfile where the URL has none', async () => {
    const { password, port, hostname, pathname } = new URL(database.url)
    const bare = database.url.replace(`:${password}@`, '@')
    await assert.rejects(openPostgres(bare), (error) => isSolarError(error, 'store_failed'))
    const folder = await tempDir()
    const passfile = join(folder.path, 'pgpass')
    await writeFile(passfile, `${hostname}:${port}:${pathname.slice(1)}:ledger:${password}\n`)
    await chmod(passfile, 0o600)
    try {
      for (const [name, value] of [
        ['PGPASSWORD', password],
        ['PGPASSFILE', passfile],
      ] as const) {
        process.env[name] = value
        await (await openPostgres(bare)).close()
        Reflect.deleteProperty(process.env, name)
      }
    } finally {
      for (const name of ['PGPASSWORD', 'PGPASSFILE']) Reflect.deleteProperty(process.env, name)
      await folder.remove()
    }
  })

  it('answers everything from an index, never by reading a whole table', async () => {
    const queries = await queriesWhile(async () => {
      await putOrder(store, order('o1'))
      await store.openOrders(T0, MOST)
      await store.openOrders(T0, { orders: 0, ofUser: 1 })
      const fills = [{ order_id: 'o1', transaction_id: 'a', kwh_micro: 1n }]
      await commitTick(store, tick('t1', [trade('t1', 'a')], { fills }))
      await store.nextUnsealedTick()
      await store.fence(blockRow(0, 't1'))
      await commitTick(store, tick('t2', [correction('t2', 'fix', 'a')]))
      await assert.rejects(commitTick(store, tick('t3', [trade('t3', 'a')])))
      await store.tick('t1')
      await store.order('o1')
      await store.blocks(0, 10)
      await store.lastBlock()
      await store.blockByHash(CHAIN)
      await store.finalizeUpTo(0, T0)
      await store.putVotes([vote(CHAIN, 0, 'ann')])
      await store.putVotes([vote(CHAIN, 0, 'ann')])
      await store.votesOf(CHAIN)
      await store.voteCounts([CHAIN])
      await store.ackHeights()
      await store.acksFrom(0)
      await store.finalHeight()
      await store.voidTick('t2', { parent: blockRow(0, 't1').block_hash, reason: 'it cannot be', at: T0 })
      await sealWaiting(store)
      await commitTick(store, registryTick(enrolment('r1'), { user: { voter_id: 'voter-1', user_id: 'ann' } }))
      await store.transaction('a')
      await store.transactions({ from: 0, to: T0 + 1, limit: 10, after: `${T0}:a` })
      await store.transactions({ from: 0, to: T0 + 1, limit: 10, after: `${T0}:a`, user_id: 'roof-1' })
      await store.rememberRequest('r1', T0)
    })
    assert.ok(queries.length > 25, `${queries.length} queries`)
    for (const text of queries) {
      // An empty table is read whole unless that is forbidden; what still is has no index.
      const plan = await behind(`set enable_seqscan = off; explain (generic_plan) ${text}`)
      const steps = plan.map((row) => String(row['QUERY PLAN'])).join('\n')
      assert.doesNotMatch(steps, /Seq Scan/, `${text}\n${steps}`)
    }
  })

  it('holds every tick whose commit had returned when the process was killed, each as a whole', async () => {
    const script = fileURLToPath(new URL('./commit-until-killed.ts', import.meta.url))
    const args = ['--import=tsx', script, database.url]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    let returned = 0
    for await (const line of createInterface({ input: child.stdout })) {
      returned = Number(line)
      if (returned === 12) child.kill('SIGKILL')
    }
    await exited
    assert.ok(returned >= 12)
    for (let number = 1; number <= returned; number++) {
      assert.equal((await store.transactionsOfTick(`t${number}`)).length, 200)
    }
    await store.settleWrites()
    const later = await store.transactionsOfTick(`t${returned + 1}`)
    assert.ok(later.length === 0 || later.length === 200)
  })

  describe('when a connection breaks', () => {
    const writers = (text: string) =>
      query<{ pid: number }>(
        database.url,
        `select pid, pg_terminate_backend(pid) from pg_stat_activity where application_name = 'solar-node' and ${text}`,
      )

    it('in the middle of a write, nothing of it is there, and the next write has another', async () => {
      // The writers' lock is held, so that the write is in its transaction and comes no further.
      const holder = await lockWriters(database.url)
      const refused = assert.rejects(commitTick(store, tick('t1', [trade('t1', 'a')])), retryable)
      await holder.isWaitedFor()
      assert.equal((await writers(`wait_event_type = 'Lock'`)).length, 1)
      await refused
      await holder.release()
      assert.equal(await store.tick('t1'), undefined)
      await commitTick(store, tick('t1', [trade('t1', 'a')]))
    })

    it('while nobody uses it, nobody notices', async () => {
      await Promise.all(Array.from({ length: 20 }, () => store.lastBlock()))
      assert.ok((await writers('true')).length > 1)
      // The process hears of it at some time; whichever comes first, calls go on or can be repeated.
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => store.lastBlock()))
      for (const result of results) if (result.status === 'rejected') assert.ok(retryable(result.reason))
      assert.equal(await store.lastBlock(), undefined)
    })

    it('waits until the write of the broken connection has ended, so that what is read then stays true', async () => {
      const holder = await lockWriters(database.url)
      let settled = false
      const settling = store.settleWrites().then(() => (settled = true))
      await holder.isWaitedFor()
      assert.equal(settled, false)
      await holder.release()
      await settling
    })
  })

  describe('whose server crashes and comes back', () => {
    let server: PostgresServer
    before(async () => {
      server = await startPostgres()
    })
    after(() => server.stop())

    it('loses nothing that was committed, and the store goes on by itself', async () => {
      const own = await tempDatabase(server)
      const ledger = await openPostgres(own.url)
      const committed: string[] = []
      const doubtful: string[] = []
      let restarts = 0
      const restarting = (async () => {
        for (; restarts < 3; restarts++) {
          const before = committed.length
          await server.restart()
          while (committed.length < before + 5) await ledger.lastBlock().catch(() => undefined)
        }
      })()
      for (let n = 0; restarts < 3; n++) {
        const id = `t${n}`
        const rows = Array.from({ length: 50 }, (_, index) => trade(id, `${id}-${index}`))
        try {
          await commitTick(ledger, tick(id, rows))
          committed.push(id)
        } catch (error) {
          assert.ok(retryable(error), String(error))
          doubtful.push(id)
        }
      }
      await restarting
      assert.ok(doubtful.length > 0)
      for (const id of committed) assert.equal((await ledger.transactionsOfTick(id)).length, 50)
      // What was in doubt is there as a whole or not at all.
      for (const id of doubtful) assert.ok([0, 50].includes((await ledger.transactionsOfTick(id)).length))
      await ledger.close()
    })
  })
})

/** Holds the writers' lock from a connection of its own. */
async function lockWriters(url: string) {
  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  const [begin] = await queriesWhile(async () => {
    const store = await openPostgres(url)
    await store.settleWrites()
    await store.close()
  }, isBegin)
  await holder.query(begin ?? '')
  return {
    /** Resolves once somebody waits for the lock. */
    async isWaitedFor(): Promise<void> {
      const waiting = `select 1 from pg_locks where locktype = 'relation' and not granted`
      while ((await query(url, waiting)).length === 0) {
        // Asked until it is so.
      }
    },
    async release(): Promise<void> {
      await holder.query('commit')
      await holder.end()
    },
  }
}

const isDml = (text: string): boolean => /^(select|insert|update|delete|\s*with)\b/.test(text)

/** The texts that pg sends while `work` runs. */
async function queriesWhile(work: () => Promise<void>, wanted = isDml): Promise<readonly string[]> {
  const texts: string[] = []
  const send = Reflect.get(pg.Client.prototype, 'query') as (...args: unknown[]) => unknown
  Reflect.set(pg.Client.prototype, 'query', function (this: unknown, text: unknown, ...rest: unknown[]) {
    if (typeof text === 'string' && wanted(text)) texts.push(text)
    return send.call(this, text, ...rest)
  })
  try {
    await work()
  } finally {
    Reflect.set(pg.Client.prototype, 'query', send)
  }
  return texts
}
