import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import { query, startPostgres, tempDatabase, type PostgresServer, type TempDatabase } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'
import { platformTick } from '../crash/platform.ts'
import { cliGroup, jsonLines, type Cli, type CliEnd } from '../main-job/cli.ts'

const RETRY_MS = 20

describe('an authority with its ledger in PostgreSQL', () => {
  const clis = cliGroup()
  let server: PostgresServer
  let folder: Awaited<ReturnType<typeof tempDir>>
  let data: string
  let database: TempDatabase
  let outputs: CliEnd[]
  let isGone = false

  before(async () => {
    server = await startPostgres()
  })
  after(async () => {
    await clis.killAll()
    await server.stop()
  })
  beforeEach(async () => {
    folder = await tempDir()
    data = join(folder.path, 'data')
    database = await tempDatabase(server)
    outputs = []
  })
  afterEach(async () => {
    await clis.killAll()
    if (isGone) await server.start()
    isGone = false
    await folder.remove()
    await database.drop()
  })

  const flags = ['--mode=authority', '--http', ':0', '--listen', '/ip4/127.0.0.1/tcp/0', '--tick', 'off']
  async function run<T>(work: (url: string) => Promise<T>, ...more: readonly string[]): Promise<T> {
    const env = more.length === 0 ? { SOLAR_DATABASE: database.url } : {}
    const cli = clis.start([...flags, '--data', data, ...more], env)
    const url = await running(cli)
    const result = await work(url)
    cli.kill('SIGTERM')
    const end = await cli.ended
    outputs.push(end)
    assert.deepEqual([end.code, end.stderr], [0, ''])
    return result
  }
  const running = (cli: Cli): Promise<string> =>
    cli.line((line) => (String(line.msg).startsWith('authority is running') ? String(line.http) : undefined))
  const audit = async (env: Readonly<Record<string, string>>, ...more: readonly string[]): Promise<CliEnd> => {
    const end = await clis.start(['audit', '--data', data, ...more], env).ended
    outputs.push(end)
    return end
  }

  /** One call; the status and the answer. */
  async function post(
    url: string,
    body: object,
    path = '/ticks/',
  ): Promise<{ status: number; body: unknown; retryAfter: string | null }> {
    const tokens = JSON.parse(await readFile(join(data, 'tokens.json'), 'utf8')) as { readonly platform: string }
    const headers = { authorization: `Bearer ${tokens.platform}`, 'content-type': 'application/json' }
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: await response.json(), retryAfter: response.headers.get('retry-after') }
  }

  /** A copy as pg_dump and a restore make it; nobody is connected. */
  async function copyOf({ url }: TempDatabase): Promise<TempDatabase> {
    const copy = await tempDatabase(server)
    const [from, to] = [url, copy.url].map((one) => new URL(one).pathname.slice(1))
    await query(server.url('postgres'), `drop database ${to}`)
    await query(server.url('postgres'), `create database ${to} template ${from}`)
    return copy
  }

  async function accepted(url: string, tick: object): Promise<TickAnswer> {
    const { status, body } = await post(url, tick)
    assert.equal(status, 200, JSON.stringify(body))
    return body as TickAnswer
  }

  it('seals, is found again, makes LevelDB anew and audits clean, by variable, flag and file alike', async () => {
    const ticks = [0, 1, 2].map((n) => platformTick('t', n))
    const answers = await run(async (url) => [await accepted(url, ticks[0]!), await accepted(url, ticks[1]!)])
    await rm(join(data, 'level'), { recursive: true })
    await run(
      async (url) => {
        assert.deepEqual([await accepted(url, ticks[0]!), await accepted(url, ticks[1]!)], answers)
        assert.equal((await accepted(url, ticks[2]!)).height, 2)
      },
      ...['--database', database.url],
    )
    const config = join(folder.path, 'node.yaml')
    await writeFile(config, `database: ${database.url}\n`)
    await run(async (url) => assert.equal((await accepted(url, ticks[2]!)).height, 2), '--config', config)

    const byVariable = await audit({ SOLAR_DATABASE: database.url })
    assert.deepEqual([byVariable.code, byVariable.stdout], [0, '3 blocks, 120 transactions: clean\n'])
    await query(database.url, `update solar_node.transactions set kwh = '9' where id = 't:1:5'`)
    const byFlag = await audit({}, '--database', database.url, '--json')
    const [report] = jsonLines(byFlag.stdout) as [{ findings: { place: string }[] }]
    assert.deepEqual(
      [byFlag.code, report.findings.at(-1)],
      [1, { place: 'SQL, block 1, transaction t:1:5, kwh', expected: '"6"', found: '"9"' }],
    )

    const other = await tempDatabase(server)
    const elsewhere = await audit({ SOLAR_DATABASE: other.url })
    await other.drop()
    assert.equal(elsewhere.code, 1)
    assert.match(elsewhere.stderr, /^solar-node: chain none, this is [0-9a-f]{64}: [^\n]*--database\n$/)
    const { password } = new URL(database.url)
    for (const { stdout, stderr } of outputs) assert.ok(!`${stdout}${stderr}`.includes(password))
  })

  it('goes on by itself when the server crashes and comes back, and loses nothing', async () => {
    const answers = await run(async (url) => {
      const found: TickAnswer[] = []
      let tries = 0
      for (let n = 0; n < 30; n++) {
        // The same body again and again: what was answered with 503 may have been committed, as a platform must assume.
        const tick = platformTick('t', n)
        const restarting = n % 10 === 5 ? server.restart() : undefined
        for (;;) {
          const { status, body, retryAfter } = await post(url, tick)
          if (status === 200) {
            found.push(body as TickAnswer)
            break
          }
          // Without its database nobody leads, and who led asks for the lead again first.
          assert.deepEqual([status, retryAfter], [503, '1'], JSON.stringify(body))
          assert.match((body as { code: string }).code, /^(store_failed|not_leading)$/)
          tries++
          await pause(RETRY_MS)
        }
        await restarting
      }
      assert.ok(tries > 0)
      return found
    })
    assert.deepEqual(
      answers.map(({ height }) => height),
      answers.map((_, n) => n),
    )
    const { code, stdout } = await audit({ SOLAR_DATABASE: database.url })
    assert.deepEqual([code, stdout], [0, '30 blocks, 1200 transactions: clean\n'])
  })

  it('stays up while the database is gone, refuses what it cannot keep, says why, and goes on by itself', async () => {
    const [before, meanwhile, after] = [0, 1, 2].map((n) => platformTick('t', n)) as [object, object, object]
    const order = {
      ...{ order_id: 'o', user_id: 'ada', side: 'sell' },
      ...{ kwh: '1', price_per_kwh: '0.2', timestamp: Date.now() },
    }
    await run(async (url) => {
      const first = await accepted(url, before)
      const ready = async () => {
        const response = await fetch(`${url}/ready/leader`)
        return { status: response.status, text: await response.text() }
      }
      const becomes = async (status: number) => {
        while ((await ready()).status !== status) await pause(RETRY_MS)
      }
      await becomes(200)
      await server.crash().finally(() => (isGone = true))
      // Nobody calls: the node notices by itself.
      await becomes(503)
      while (!/sql \w+ failed, try again: .*ECONNREFUSED/.test((await ready()).text)) await pause(RETRY_MS)
      for (const [path, body] of [
        ['/ticks/', meanwhile],
        ['/ticks/', before],
        ['/orders/', order],
      ] as const) {
        const refused = await post(url, body, path)
        assert.deepEqual([refused.status, refused.retryAfter], [503, '1'], path)
      }
      // What it needs no SQL for is served on.
      const served = (await (await fetch(`${url}/blocks/latest-headers/?n=1`)).json()) as { tip_height: number }
      assert.deepEqual([served.tip_height, (await fetch(`${url}/health`)).status], [first.height, 200])
      await server.start()
      isGone = false
      await becomes(200)
      assert.equal((await accepted(url, meanwhile)).height, 1)
      assert.deepEqual(await accepted(url, before), first)
      assert.equal((await post(url, order, '/orders/')).status, 201)
      assert.equal((await accepted(url, after)).height, 2)
    })
    const { code, stdout } = await audit({ SOLAR_DATABASE: database.url })
    assert.deepEqual([code, stdout], [0, '3 blocks, 120 transactions: clean\n'])
  })

  it('gets back from LevelDB what an older backup of the database lacks, or seals nothing and says why', async () => {
    const ticks = Array.from({ length: 6 }, (_, n) => platformTick('t', n))
    const acceptAll = async (url: string, some: readonly object[]): Promise<TickAnswer[]> => {
      const found: TickAnswer[] = []
      for (const tick of some) found.push(await accepted(url, tick))
      return found
    }
    const early = await run((url) => acceptAll(url, ticks.slice(0, 2)))
    const backups: TempDatabase[] = [await copyOf(database), await copyOf(database)]
    const [backup, other] = backups as [TempDatabase, TempDatabase]
    const late = await run((url) => acceptAll(url, ticks.slice(2, 5)))
    try {
      await run(
        async (url) => {
          assert.deepEqual(await acceptAll(url, ticks.slice(0, 5)), [...early, ...late])
          assert.equal((await accepted(url, ticks[5]!)).height, 5)
        },
        ...['--database', backup.url],
      )
      const { code, stdout } = await audit({ SOLAR_DATABASE: backup.url })
      assert.deepEqual([code, stdout], [0, '6 blocks, 240 transactions: clean\n'])
      await rm(join(data, 'level'), { recursive: true })
      await run(
        async (url) => {
          const { status, body } = await post(url, platformTick('new', 0))
          assert.deepEqual([status, (body as { code: string }).code], [503, 'not_ready'])
          const ready = (await (await fetch(`${url}/ready`)).json()) as { reasons: string[] }
          assert.match(ready.reasons.join(), /has sealed block 5 .* before, this database ends at block 1/)
          assert.deepEqual(await accepted(url, ticks[1]!), early[1])
        },
        ...['--database', other.url],
      )
    } finally {
      await clis.killAll()
      for (const one of backups) await one.drop()
    }
  })

  it('says in one line that it cannot reach its database, without the password', async () => {
    const { password } = new URL(database.url)
    const end = await clis.start([...flags, '--data', data, '--database', database.url.replace(/:\d+\//, ':1/')]).ended
    assert.deepEqual([end.code, end.stdout], [1, ''])
    assert.match(
      end.stderr,
      /^solar-node: sql migrate failed, try again: connect ECONNREFUSED 127\.0\.0\.1:1: [^\n]*--database[^\n]*\n$/,
    )
    assert.ok(!end.stderr.includes(password))
  })
})
