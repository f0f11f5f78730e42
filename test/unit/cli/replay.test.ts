import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { ReplayOptions } from '../../../src/cli/replay/options.ts'
import { runReplay, type ReplayIo } from '../../../src/cli/replay/replay.ts'
import { Interrupted } from '../../../src/cli/long-work.ts'
import { zoneClock } from '../../../src/cli/time-zone.ts'
import { sharedFolder } from '../../helpers/shared.ts'
import { OPERATOR_TOKEN, startFakeAuthority, type FakeAuthority } from './replay-authority.ts'
import { spentMs } from '../../helpers/patience.ts'

const HEADER = 'timestamp,household,load_kwh,pv_kwh,price_per_kwh'
const hour = (number: number): string => `2016-08-08T${String(number).padStart(2, '0')}:00:00`
/** Each hour ann sells 2 kWh, bob and cid buy 1 and 2. */
const fileOf = (hours: number): string =>
  [
    HEADER,
    ...Array.from({ length: hours }, (_, number) =>
      [`${hour(number)},ann,0,2,0.2`, `${hour(number)},bob,1,0,0.22`, `${hour(number)},cid,2.5,0.5,0.3`].join('\n'),
    ),
  ].join('\n')

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** JSON lines of stdout. */
  readonly events: readonly Readonly<Record<string, unknown>>[]
}

/** A terminal or a pipe that remembers what was written. */
function collector(isTTY: boolean) {
  let written = ''
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.toString('utf8')
      done()
    },
  })
  return Object.assign(stream, { isTTY, text: () => written })
}

describe('solar-node replay', () => {
  let folder: string
  let authority: FakeAuthority
  let tokenFile: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'solar-replay-'))
    tokenFile = join(folder, 'operator.txt')
    await writeFile(tokenFile, `${OPERATOR_TOKEN}\n`)
    authority = await startFakeAuthority()
  })
  afterEach(async () => {
    await authority.close()
    await rm(folder, { recursive: true })
  })

  async function replay(
    csv: string,
    options: Partial<ReplayOptions> = {},
    io: Partial<ReplayIo> & { readonly tty?: boolean } = {},
  ): Promise<Outcome> {
    const file = join(folder, 'readings.csv')
    await writeFile(file, csv)
    const [stdout, stderr] = [collector(io.tty === true), collector(false)]
    const { tty, ...rest } = io
    const code = await runReplay(
      { files: [file], to: authority.url, tokenFile, feedIn: '0.08', skipBad: false, json: false, ...options },
      { stdout, stderr, ...rest },
    )
    const lines =
      tty === true
        ? []
        : stdout
            .text()
            .split('\n')
            .filter((line) => line.startsWith('{'))
    return {
      code,
      stdout: stdout.text(),
      stderr: stderr.text(),
      events: lines.map((line) => JSON.parse(line) as Record<string, unknown>),
    }
  }
  const summaryOf = ({ events }: Outcome) => events.find(({ event }) => event === 'summary')
  const writes = (): string[] => authority.calls.filter((call) => call.startsWith('POST'))

  it('sends the orders of each interval and then its tick, in time order', async () => {
    const { code, events } = await replay(
      `${HEADER}\n${hour(1)},bob,1,0,0.22\n${hour(0)},ann,0,2,0.2\n${hour(0)},bob,1,0,0.2`,
    )
    assert.equal(code, 0)
    assert.deepEqual(writes(), [
      `POST /orders/ ${hour(0)}@ann`,
      `POST /orders/ ${hour(0)}@bob`,
      `POST /ticks/run/ ${hour(0)}`,
      `POST /orders/ ${hour(1)}@bob`,
      `POST /ticks/run/ ${hour(1)}`,
    ])
    assert.equal(authority.ticks.get(hour(1))?.timestamp, Date.UTC(2016, 7, 8, 1))
    assert.deepEqual(
      events
        .filter(({ event }) => event === 'tick')
        .map(({ tick_id, height, trades, kwh }) => [tick_id, height, trades, kwh]),
      [
        [hour(0), 0, 1, '1'],
        [hour(1), null, 0, '0'],
      ],
    )
  })

  it('sums up ticks, blocks, trades and energy', async () => {
    const outcome = await replay(fileOf(3))
    assert.equal(outcome.code, 0)
    assert.deepEqual(summaryOf(outcome), {
      event: 'summary',
      ticks: 3,
      blocks: 3,
      trades: 3,
      kwh: '6',
      amount: '1.56',
      currency: 'EUR',
      orders: 9,
      already_there: { blocks: 0, orders: 0 },
      below_minimum: 0,
      bad_rows: 0,
      repeated: 0,
      closed: 0,
      stopped: false,
      msg: '3 ticks, 3 blocks, 3 trades, 6 kWh from 9 orders · worth 1.56 EUR · already there: 0 blocks, 0 orders · 0 readings below the minimum',
    })
  })

  it('goes over one connection, so that orders arrive in the order of the file', async () => {
    await replay(fileOf(4))
    assert.equal(authority.connections(), 1)
  })

  it('commits nothing twice when it is run twice, and says what was there', async () => {
    await replay(fileOf(3))
    const committed = structuredClone([...authority.ticks])
    const again = await replay(fileOf(3))
    assert.equal(again.code, 0)
    assert.deepEqual([...authority.ticks], committed)
    assert.equal(authority.orders.size, 9)
    assert.deepEqual(summaryOf(again)?.already_there, { blocks: 3, orders: 9 })
    assert.deepEqual([summaryOf(again)?.trades, summaryOf(again)?.kwh], [3, '6'])
  })

  it('comes to the same trades when it is broken off at any request and run again', async () => {
    await replay(fileOf(2))
    const whole = structuredClone([...authority.ticks])
    const count = authority.calls.length
    for (let cut = 1; cut <= count; cut++) {
      for (const when of ['before', 'after'] as const) {
        await authority.close()
        authority = await startFakeAuthority()
        let seen = 0
        const stop = new AbortController()
        authority.intercept = (_call, response) => {
          seen++
          if (when === 'before' && seen === cut) response.destroy()
          // The request is handled, but its answer never arrives.
          if (when === 'after' && seen === cut) response.writeHead = () => response.destroy()
          if (seen > cut) response.destroy()
          return when === 'before' ? seen >= cut : seen > cut
        }
        const broken = await replay(fileOf(2), {}, { patienceMs: 1, signal: stop.signal })
        assert.equal(broken.code, 1)
        authority.intercept = () => false
        const rest = await replay(fileOf(2))
        assert.equal(rest.code, 0)
        assert.deepEqual([...authority.ticks], whole, `broken off ${when} request ${cut}`)
      }
    }
  })

  it('outlives a restart of the authority', async () => {
    const { port } = authority
    let restart: Promise<void> | undefined
    authority.intercept = (call, response) => {
      if (call !== `POST /ticks/run/ ${hour(0)}`) return false
      response.destroy()
      restart = authority.close().then(async () => {
        authority = await startFakeAuthority({ port })
      })
      return true
    }
    const outcome = await replay(fileOf(1), {}, { patienceMs: 10_000 })
    await restart
    assert.equal(outcome.code, 0)
    assert.ok(outcome.events.some(({ event, msg }) => event === 'notice' && String(msg).includes('trying again')))
  })

  it('gives up with one line when the authority is gone or hangs', async () => {
    authority.intercept = (call) => call.startsWith('POST /ticks/run/')
    const hanging = await replay(fileOf(1), {}, { patienceMs: 600 })
    assert.equal(hanging.code, 1)
    assert.match(
      hanging.stderr,
      /^solar-node: http:\/\/127\.0\.0\.1:\d+\/ has not answered for 0\.6 s \(no answer in time\).*\n$/,
    )
    assert.match(hanging.stderr, /What it has committed stays/)
  })

  it('fails at once where nothing listens, or something that speaks no HTTPS, and says what to check', async () => {
    const secure = await replay(fileOf(1), { to: authority.url.replace('http:', 'https:') }, { patienceMs: 60_000 })
    assert.equal(secure.code, 1)
    assert.match(secure.stderr, /cannot be reached \(\w+\): this port speaks no HTTPS.*use http:\/\/.*\n$/)
    await authority.close()
    const gone = await replay(fileOf(1), {}, { patienceMs: 60_000 })
    assert.equal(gone.code, 1)
    assert.match(gone.stderr, /cannot be reached \(ECONNREFUSED\): nothing listens on port \d+.*check host and port/)
    assert.ok(!gone.events.some(({ event }) => event === 'notice'))
  })

  it('waits for an authority that is gone after it has answered', async () => {
    authority.intercept = (call) => {
      if (call === `POST /ticks/run/ ${hour(0)}`) void authority.close()
      return false
    }
    const outcome = await replay(fileOf(2), {}, { patienceMs: 600 })
    assert.equal(outcome.code, 1)
    assert.match(outcome.stderr, /has not answered for 0\.6 s \(ECONN\w+\).*run the same command again/)
  })

  it('waits as long as HTTP 429 asks it to, also beyond its patience', async () => {
    let refused = 0
    const times: number[] = []
    authority.intercept = (call, response) => {
      if (call !== `POST /orders/ ${hour(0)}@bob`) return false
      times.push(performance.now())
      if (refused++ > 0) return false
      response.writeHead(429, { 'retry-after': '1' }).end('{"code":"too_many_requests"}')
      return true
    }
    const outcome = await replay(fileOf(1), {}, { patienceMs: 500 })
    assert.equal(outcome.code, 0)
    assert.ok(times.length === 2 && times[1]! - times[0]! >= 990, 'it did not wait')
  })

  it('keeps to its speed', async () => {
    const times: number[] = []
    authority.intercept = (call) => {
      if (call.startsWith('POST /ticks/run/')) times.push(performance.now())
      return false
    }
    await replay(fileOf(4), { speed: 10 })
    assert.ok(times[3]! - times[0]! > 250, `four ticks within ${times[3]! - times[0]!} ms`)
  })

  it('finishes the tick in hand when it is stopped, exits with 128 + signal and says how to go on', async () => {
    const stop = new AbortController()
    authority.intercept = (call) => {
      if (call === `POST /orders/ ${hour(1)}@bob`) stop.abort(new Interrupted('replay', 'SIGINT', 'go on'))
      return false
    }
    const outcome = await replay(fileOf(3), {}, { signal: stop.signal })
    assert.equal(outcome.code, 130)
    assert.equal(outcome.stderr, 'solar-node: replay was broken off by SIGINT: go on\n')
    assert.deepEqual([...authority.ticks.keys()], [hour(0), hour(1)])
    assert.deepEqual([summaryOf(outcome)?.ticks, summaryOf(outcome)?.stopped], [2, true])
    assert.match(String(summaryOf(outcome)?.msg), /run the same command again/)
  })

  it('does not wait for a hanging authority once it is stopped', async () => {
    const stop = new AbortController()
    authority.intercept = (call) => {
      const hangs = call.startsWith('POST /ticks/run/')
      if (hangs) stop.abort(new Interrupted('replay', 'SIGTERM'))
      return hangs
    }
    const before = spentMs()
    const outcome = await replay(fileOf(1), {}, { signal: stop.signal, patienceMs: 60_000 })
    assert.equal(outcome.code, 143)
    assert.ok(spentMs() - before < 5_000)
  })

  it('is done where it is stopped in its last tick', async () => {
    const stop = new AbortController()
    authority.intercept = (call) => {
      if (call === `POST /ticks/run/ ${hour(1)}`) stop.abort(new Interrupted('replay', 'SIGINT'))
      return false
    }
    const outcome = await replay(fileOf(2), {}, { signal: stop.signal })
    assert.deepEqual([outcome.code, summaryOf(outcome)?.stopped, authority.ticks.size], [0, false, 2])
  })

  describe('with bad rows', () => {
    const bad = `${fileOf(1)}\n${hour(1)},ann,much,0,0.2\n${hour(1)},"bob,1,0,0.2\n`

    it('sends nothing and names each line', async () => {
      const outcome = await replay(`${fileOf(1)}\n${hour(1)},ann,much,0,0.2\n\n${hour(1)},bob,1,0\n`)
      assert.equal(outcome.code, 1)
      assert.deepEqual(authority.calls, [])
      assert.deepEqual(
        outcome.events.map(({ event, line }) => [event, line]),
        [
          ['bad_row', 5],
          ['bad_row', 7],
        ],
      )
      assert.match(outcome.stderr, /has 2 bad rows, nothing was sent.*--skip-bad/)
    })

    it('leaves them out with --skip-bad', async () => {
      const outcome = await replay(`${fileOf(1)}\n${hour(1)},ann,much,0,0.2\n${hour(1)},bob,1,0,0.2\n`, {
        skipBad: true,
      })
      assert.equal(outcome.code, 0)
      assert.deepEqual([summaryOf(outcome)?.ticks, summaryOf(outcome)?.bad_rows], [2, 1])
      assert.ok(authority.orders.has(`${hour(1)}@bob`))
    })

    it('counts what is not CSV as one', async () => {
      const outcome = await replay(bad)
      assert.equal(outcome.code, 1)
      assert.deepEqual(
        outcome.events.map(({ line }) => line),
        [5, 6],
      )
    })

    it('tells the first ten of many and counts the rest; --json has them all', async () => {
      const many = [HEADER, ...Array.from({ length: 12 }, (_, number) => `${hour(number)},ann,much,0,0.2`)].join('\n')
      const badRows = ({ events }: Outcome) => events.filter(({ event }) => event === 'bad_row').length
      const piped = await replay(many)
      assert.equal(badRows(piped), 10)
      assert.equal(piped.events.at(-1)?.msg, 'and 2 more bad rows')
      assert.equal(badRows(await replay(many, { json: true })), 12)
      const shown = await replay(many, {}, { tty: true })
      assert.match(shown.stderr, /csv:11: .*\nand 2 more bad rows\nsolar-node: /)
    })

    it('refuses a file with a header alone, and one whose rows are all left out', async () => {
      for (const [csv, skipBad, reason] of [
        [`${HEADER}\n`, false, /readings\.csv: there is no reading to replay, only a header line/],
        [`${HEADER}\n\n,,,,\n`, false, /only a header line/],
        [`${HEADER}\n${hour(0)},ann,much,0,0.2\n`, true, /all rows are bad \(1\)/],
      ] as const) {
        const outcome = await replay(csv, { skipBad })
        assert.equal(outcome.code, 1)
        assert.match(outcome.stderr, reason)
      }
      assert.deepEqual(authority.calls, [])
    })

    it('shows them as file and line on a terminal', async () => {
      const outcome = await replay(`${HEADER}\n${hour(0)},ann,much,0,0.2\n`, {}, { tty: true })
      assert.match(outcome.stderr, /readings\.csv:2: load_kwh: expected a decimal number/)
    })
  })

  it('reads a file with a byte order mark, CRLF, quotes and spaces after commas', async () => {
    const csv = `\uFEFF${HEADER.replaceAll(',', ', ')}\r\n"${hour(0)}", ann, 0, 2, 0.2\r\n${hour(0)},"bob",1,0,0.2\r\n`
    const outcome = await replay(csv)
    assert.equal(outcome.code, 0)
    assert.deepEqual([...authority.orders.keys()], [`${hour(0)}@ann`, `${hour(0)}@bob`])
  })

  it('refuses a file without the columns, by their names', async () => {
    const outcome = await replay('time,home\n1,2\n')
    assert.equal(outcome.code, 1)
    assert.match(outcome.stderr, /interval_start_local or timestamp/)
    assert.match((await replay('')).stderr, /no header line/)
  })

  it('takes the files of all meters as one community, and what two of them have alike only once', async () => {
    const [roof, flat] = [join(folder, 'roof.csv'), join(folder, 'flat.csv')]
    await writeFile(roof, `${HEADER}\n${hour(0)},roof,0,2,0.2\n`)
    await writeFile(flat, `${HEADER.replaceAll(',', ';')}\n2016-08-08 02:00+02:00;flat;1,5;0;0,3\n`)
    const outcome = await replay('', { files: [roof, flat, flat] })
    assert.equal(outcome.code, 0, outcome.stderr)
    assert.deepEqual([summaryOf(outcome)?.trades, summaryOf(outcome)?.kwh, summaryOf(outcome)?.repeated], [1, '1.5', 1])
    await writeFile(roof, `${HEADER}\n${hour(0)},flat,9,0,0.3\n`)
    const contrary = await replay('', { files: [roof, flat] })
    assert.equal(contrary.code, 1)
    assert.match(
      contrary.stderr,
      /line 2: household: expected one reading an interval \(the first is in .*roof\.csv line 2\)/,
    )
  })

  describe('in local time', () => {
    const night = (times: readonly string[]) =>
      [HEADER, ...times.flatMap((time) => [`2025-10-26 ${time},ann,0,1,0.2`, `2025-10-26 ${time},bob,1,0,0.2`])].join(
        '\n',
      )
    const clock = zoneClock('Europe/Vienna')

    it('tells the hour that comes twice apart by the order of the rows, forward or backward', async () => {
      const times = ['01:30', '02:00', '02:30', '02:00', '02:30', '03:00']
      for (const rows of [times, times.toReversed()]) {
        await replay(night(rows), { clock })
        const starts = [...authority.ticks.keys()].map((id) => id.slice(11, 16))
        assert.deepEqual(starts, ['23:30', '00:00', '00:30', '01:00', '01:30', '02:00'])
      }
    })

    it('sends nothing where it cannot: the hour is there once, or there is no zone', async () => {
      const once = await replay(night(['01:00', '02:00', '03:00']), { clock })
      assert.match(once.stderr, /2 bad rows.*comes twice.*offset/)
      for (const [what, times] of [
        ['a row that is there twice', ['01:45', '02:00', '02:15', '02:15', '02:30', '02:45', '03:00']],
        ['the first of one hour', ['01:45', '02:00', '02:00', '02:15', '02:30', '02:45', '03:00']],
        ['rows out of order', ['01:45', '02:00', '02:30', '02:15', '02:45', '03:00']],
        ['a row that is missing', ['02:00', '02:15', '02:30', '02:45', '02:00', '02:30', '02:45', '03:00']],
      ] as const) {
        for (const rows of [times, times.toReversed()]) {
          const { code, stderr } = await replay(night(rows), { clock })
          assert.equal(code, 1, what)
          assert.match(stderr, /bad rows.*comes twice.*offset/, what)
        }
      }
      const twice = await replay(night(['02:00', '02:00']))
      assert.match(twice.stderr, /one reading an interval.*--zone/)
      const spring = await replay(`${HEADER}\n2025-03-30T02:30,ann,0,1,0.2`, { clock })
      assert.match(spring.stderr, /line 2: timestamp.*leave it out/)
      assert.deepEqual(authority.calls, [])
    })

    it('needs the zone where only the name of the column says so', async () => {
      const outcome = await replay(night(['01:00']).replace('timestamp', 'time_local'))
      assert.equal(outcome.code, 1)
      assert.match(outcome.stderr, /time_local are local.*--zone/)
    })
  })

  it('reads what Excel writes: UTF-16, the separator in the first line, empty rows and columns at the end', async () => {
    const csv = `sep=;\r\n${HEADER.replaceAll(',', ';')};\r\n${hour(0)};ann;0,5;2;0,3;\r\n;;;;;\r\n`
    const file = join(folder, 'excel.csv')
    await writeFile(file, Buffer.from(`\uFEFF${csv}`, 'utf16le'))
    const outcome = await replay('', { files: [file] })
    assert.equal(outcome.code, 0, outcome.stderr)
    assert.equal(authority.orders.get(`${hour(0)}@ann`)?.kwh, '1.5')
  })

  it('replays the sample of the documentation', async () => {
    const outcome = await replay('', { files: ['docs/examples/readings.csv'] })
    assert.equal(outcome.code, 0, outcome.stderr)
    const { ticks, blocks, trades, bad_rows } = summaryOf(outcome) ?? {}
    assert.deepEqual([ticks, bad_rows], [96, 0])
    assert.ok(Number(blocks) > 20 && Number(trades) > 50, `${String(blocks)} blocks, ${String(trades)} trades`)
  })

  it('reports readings that come after the tick of their interval, trades the rest, and exits 1', async () => {
    await replay(fileOf(1))
    const outcome = await replay(`${fileOf(2)}\n${hour(0)},dan,1,0,0.3`)
    assert.equal(outcome.code, 1)
    assert.match(outcome.stderr, /1 reading of 1 interval came too late.*2016-08-08T00:00:00 dan.*--corrections/)
    assert.deepEqual([summaryOf(outcome)?.closed, authority.ticks.size, authority.orders.size], [1, 2, 6])
  })

  it('counts readings that are below the minimum of the authority', async () => {
    await authority.close()
    authority = await startFakeAuthority({ minTradeMicro: 1_500_000n })
    const outcome = await replay(fileOf(1))
    assert.deepEqual([outcome.code, summaryOf(outcome)?.below_minimum, summaryOf(outcome)?.orders], [0, 1, 2])
  })

  it('says where the token comes from when it has none or a wrong one', async () => {
    const none = await replay(fileOf(1), { tokenFile: undefined as never })
    assert.equal(none.code, 1)
    assert.match(none.stderr, /HTTP 401.*--token-file.*tokens\.json/)
    await writeFile(tokenFile, 'something-else')
    authority.calls.length = 0
    assert.match((await replay(fileOf(1))).stderr, /HTTP 403.*--token-file.*nothing was sent/)
    assert.deepEqual(writes(), [])
  })

  it('says so when the same interval was replayed with other content', async () => {
    await replay(fileOf(1))
    const outcome = await replay(fileOf(1), { feedIn: '0.1' })
    assert.equal(outcome.code, 1)
    assert.match(outcome.stderr, /HTTP 409 order_conflict.*--feed-in/)
  })

  it('exits 2 for an option that cannot be, and names it', async () => {
    const wrong: readonly [Partial<ReplayOptions>, RegExp][] = [
      [{ to: 'ledger.example' }, /--to: expected a URL.*"ledger\.example"/],
      [{ to: 'ftp://ledger.example' }, /--to/],
      [{ feedIn: '8 cents' }, /--feed-in.*"8 cents"/],
      [{ speed: 0 }, /--speed.*"0"/],
      [{ speed: Number.NaN }, /--speed/],
      [{ files: [join(folder, 'none.csv')] }, /FILE.*no such file/],
      [{ tokenFile: join(folder, 'none.txt') }, /--token-file.*no such file/],
    ]
    for (const [options, line] of wrong) {
      const outcome = await replay(fileOf(1), options)
      assert.equal(outcome.code, 2, JSON.stringify(options))
      assert.match(outcome.stderr, line)
      assert.equal(outcome.stderr.trim().split('\n').length, 1)
    }
    assert.deepEqual(authority.calls, [])
  })

  it('takes tokens.json itself for a mistake and does not show what is in it', async () => {
    await writeFile(tokenFile, '{"operator":"secret-1"}')
    const outcome = await replay(fileOf(1))
    assert.equal(outcome.code, 2)
    assert.match(outcome.stderr, /--token-file.*tokens\.json/)
    assert.ok(!outcome.stderr.includes('secret-1'))
  })

  it('works below a path of the URL', async () => {
    const outcome = await replay(fileOf(1), { to: `${authority.url}/ledger` })
    assert.equal(outcome.code, 1)
    assert.deepEqual(authority.calls, ['GET /ledger/blocks/latest-headers/?n=1'])
  })

  it('draws no bar, and moves no cursor, on a terminal that cannot', async () => {
    const before = process.env.TERM
    process.env.TERM = 'dumb'
    try {
      const plain = await replay(fileOf(1), {}, { tty: true })
      assert.match(plain.stdout, /^1 tick, 1 block, 1 trade, 2 kWh from 3 orders · worth 0\.52 EUR [^\n]*\n$/)
      assert.ok(!plain.stdout.includes('\u001b'))
    } finally {
      if (before === undefined) delete process.env.TERM
      else process.env.TERM = before
    }
  })

  it('draws a progress bar on a terminal, and JSON lines there with --json', async () => {
    const bar = await replay(fileOf(2), {}, { tty: true })
    assert.equal(bar.code, 0)
    assert.match(bar.stdout, /2\/2 ticks · 2 trades · 4 kWh/)
    assert.match(bar.stdout, /2 ticks, 2 blocks, 2 trades, 4 kWh from 6 orders/)
    const json = await replay(fileOf(2), { json: true }, { tty: true })
    assert.match(json.stdout, /"event":"summary"/)
  })

  if (sharedFolder !== undefined) {
    const data = `${sharedFolder}data/citylearn-2022/`
    for (const [season, expected] of [
      ['summer', { withBothSides: 74, kwh: 111 }],
      ['winter', { withBothSides: 34, kwh: 44 }],
    ] as const) {
      it(`trades all that ten measured homes can share in a ${season} week`, async () => {
        const csv = await readFile(`${data}demo-week-${season}.csv`, 'utf8')
        const matchable = matchableByHour(csv)
        assert.equal(matchable.size, 168)
        const tradable = [...matchable].filter(([, micro]) => micro > 0n)
        const kwhMicro = tradable.reduce((sum, [, micro]) => sum + micro, 0n)
        assert.equal(tradable.length, expected.withBothSides)
        assert.equal(Math.round(Number(kwhMicro) / 1e6), expected.kwh)
        const outcome = await replay(csv)
        assert.equal(outcome.code, 0, outcome.stderr)
        assert.deepEqual([summaryOf(outcome)?.ticks, summaryOf(outcome)?.blocks], [168, expected.withBothSides])
        for (const [tickId, micro] of matchable) {
          const trades = authority.ticks.get(tickId)?.trades ?? []
          assert.equal(
            trades.reduce((sum, { kwh }) => sum + digits(kwh, 6), 0n),
            micro,
            tickId,
          )
        }
      })
    }
  }
})

/** A decimal text as an integer count of 10^-places; written anew here, to check the product's arithmetic against. */
function digits(text: string, places: number): bigint {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  const zeros = places + Number(exponent) - fraction.length
  assert.ok(zeros >= 0, `${text} has more than ${places} places`)
  return BigInt(whole + fraction + '0'.repeat(zeros))
}

/** Micro-kWh that the sellers and buyers of each hour could exchange. All prices of the data are above the feed-in price. */
function matchableByHour(csv: string): Map<string, bigint> {
  const sums = new Map<string, { sold: bigint; bought: bigint }>()
  for (const row of csv.trim().split('\n').slice(1)) {
    const [start = '', , load = '', , , pv = ''] = row.split(',')
    const unit = 10n ** 34n
    const net = digits(pv, 40) - digits(load, 40)
    const size = net < 0n ? -net : net
    const [floor, rest] = [size / unit, size % unit]
    const rounded = rest * 2n > unit || (rest * 2n === unit && floor % 2n === 1n) ? floor + 1n : floor
    const hourly = sums.get(start) ?? { sold: 0n, bought: 0n }
    sums.set(start, hourly)
    if (rounded >= 10_000n) hourly[net > 0n ? 'sold' : 'bought'] += rounded
  }
  return new Map([...sums].map(([start, { sold, bought }]) => [start, sold < bought ? sold : bought]))
}
