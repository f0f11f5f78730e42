import assert from 'node:assert/strict'
import { silentLogger } from '../../../src/ports/logger.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { eventually } from '../../helpers/network.ts'
import type { OutboxRow, PlatformDatabase } from '../../helpers/platform-database.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'

/** A database for one community, and who writes into it beside the authority. */
export interface OutboxPlace {
  /** Settings of the authority. */
  readonly flags: Readonly<Record<string, unknown>>
  connect(community: Community): Promise<PlatformDatabase>
  cleanup(): Promise<void>
}

const tick = (n: number, ...rows: readonly object[]) =>
  tickOf(n, ...(rows.length === 0 ? [tradeRow(`${n}.0`, 'ann', 'ben')] : rows))
const HOUR_MS = 3_600_000
/** Much more than it takes, also where many others use the machine. */
const PATIENCE_MS = 30_000

type BadRow = readonly [what: string, row: () => string | object, code: string, reason: RegExp]
/** Beside a sealed tick 0 with the trade 0.0 of 1.5 kWh. */
const BAD_ROWS: readonly BadRow[] = [
  ['no JSON', () => 'tick 7', 'malformed', /^tick: expected JSON/],
  ['another shape', () => ({ ...tick(7), ticks: 1 }), 'malformed', /^tick\.ticks: expected no such field/],
  [
    'a user who cannot be one',
    () => tick(7, { ...tradeRow('7.0', 'ann', 'ben'), to_user_id: 'no user' }),
    'malformed',
    /^tick\.transactions\[0\]\.to_user_id: expected an identifier/,
  ],
  ['a trade with oneself', () => tick(7, tradeRow('7.0', 'ann', 'ann')), 'bad_transaction', /^transaction 7\.0:/],
  ['a wrong total', () => tick(7, tradeRow('7.0', 'ann', 'ben', '1.5', '0.31')), 'wrong_total', /^trade 7\.0:/],
  [
    'a time in the future',
    () => ({ ...tick(7), timestamp: Date.now() + HOUR_MS }),
    'from_the_future',
    /^tick tick-7: timestamp \d+ \(\S+Z\) is more than 2 minutes ahead/,
  ],
  [
    'a correction of a trade that is unknown',
    () =>
      tick(7, {
        ...{ kind: 'correction', id: '7.0', corrects: 'nothing', kwh_delta: '-1', amount_delta: '-0.2' },
        ...{ reason: 'meter', timestamp: tick(7).timestamp },
      }),
    'refused_row',
    /^7\.0:/,
  ],
  [
    'a trade of another tick',
    () => tick(7, tradeRow('0.0', 'ann', 'ben')),
    'duplicate_transaction',
    /transaction 0\.0/,
  ],
  [
    'the id of another tick',
    () => tick(0, tradeRow('0.0', 'ann', 'ben', '2', '0.4')),
    'tick_conflict',
    /^tick tick-0 was committed before with other content: transaction 0\.0: kwh is 2, committed is 1\.5$/,
  ],
]

/** What a platform that writes into the outbox can rely on, whichever database it is in. */
export function outboxBehaviour(name: string, open: () => Promise<OutboxPlace>): void {
  describe(`an outbox in ${name}`, () => {
    let place: OutboxPlace
    let community: Community
    let platform: PlatformDatabase
    const alarms: string[] = []

    beforeEach(async () => {
      alarms.length = 0
      place = await open()
      const logger = { ...silentLogger, error: (_fields: object, message: string) => void alarms.push(message) }
      community = await startCommunity({ voters: ['ann'], flags: place.flags, parts: { logger } })
      platform = await place.connect(community)
    })
    afterEach(async () => {
      await (platform as PlatformDatabase | undefined)?.close()
      await (community as Community | undefined)?.stop()
      await place.cleanup()
    })

    /** All rows, once none of them waits any more. */
    async function settled(): Promise<readonly OutboxRow[]> {
      let rows: readonly OutboxRow[] = []
      await eventually(
        'no row waits',
        async () => {
          rows = await platform.rows()
          return rows.every(({ done_at, error_code }) => done_at !== null || error_code !== null)
        },
        PATIENCE_MS,
      )
      return rows
    }

    const post = (body: object) => community.call('POST', '/ticks/', { role: 'platform', body })
    const latest = async (n: number) => {
      const { body } = await community.call('GET', `/blocks/latest-headers/?n=${n}`)
      return body.headers as { readonly header_hash: string; readonly header: { readonly timestamp: number } }[]
    }
    const hashes = async () => (await latest(100)).map(({ header_hash }) => header_hash)
    const metric = async (line: string) => {
      const response = await fetch(`${community.url}/metrics`)
      return (await response.text()).split('\n').includes(line)
    }

    it('is sealed in the order of its rows, and each says its block', async () => {
      await platform.write(tick(0), tick(1))
      await platform.write(tick(2))
      const rows = await settled()
      assert.deepEqual(
        rows.map(({ tick_id }) => tick_id),
        ['tick-0', 'tick-1', 'tick-2'],
      )
      assert.deepEqual(
        rows.map(({ block_hash }) => block_hash),
        await hashes(),
      )
      assert.ok(rows.every(({ tick }) => tick === null))
      assert.ok(await metric('solar_outbox_rows_total{outcome="sealed"} 3'))
      assert.ok(await metric('solar_outbox_rows{state="waiting"} 0'))
    })

    it('has the same block for a tick that is written again, or posted as well', async () => {
      await platform.write(tick(0), tick(0))
      const [first, second] = await settled()
      const posted = await post(tick(0))
      assert.equal(first?.block_hash, posted.body.block_hash)
      assert.equal(second?.block_hash, posted.body.block_hash)
      await post(tick(1))
      await platform.write(tick(1))
      assert.equal((await settled()).at(-1)?.tick_id, 'tick-1')
      assert.equal((await hashes()).length, 2)
    })

    it('takes numbers as databases write them in JSON, exactly', async () => {
      const row = { ...tradeRow('0.0', 'ann', 'ben'), from_user_id: 17 }
      const text = JSON.stringify(tick(0, row)).replace('"kwh":"1.5"', '"kwh":1.500000')
      await platform.write(text)
      const [{ error_reason, block_hash } = assert.fail()] = await settled()
      assert.equal(error_reason, null)
      const { body } = await community.call('GET', `/blocks/${block_hash}`, { role: 'platform' })
      const [transaction] = body.transactions as Record<string, unknown>[]
      assert.deepEqual([transaction?.kwh, transaction?.from_user_id], ['1.5', '17'])
    })

    it('seals a tick whose time has passed: never stuck, with the time of the block before it', async () => {
      await platform.write(tick(5), tick(3))
      await settled()
      const headers = await latest(2)
      assert.deepEqual(
        headers.map(({ header }) => header.timestamp),
        [tick(5).timestamp, tick(5).timestamp],
      )
    })

    it('records a tick without trades, which makes no block', async () => {
      await platform.write({ ...tick(0), transactions: [] })
      const [{ tick_id, block_hash, done_at } = assert.fail()] = await settled()
      assert.deepEqual([tick_id, block_hash, typeof done_at], ['tick-0', null, 'number'])
      assert.deepEqual(await hashes(), [])
    })

    for (const [what, row, code, reason] of BAD_ROWS) {
      it(`parks ${what} with the reason, and seals the next row`, async () => {
        await platform.write(tick(0), row(), tick(8))
        const rows = await settled()
        const [, parked] = rows
        assert.equal(parked?.error_code, code)
        assert.match(parked.error_reason ?? '', reason)
        assert.deepEqual([parked.block_hash, parked.done_at], [null, null])
        assert.ok(parked.tick !== null, 'its text stays')
        assert.deepEqual(
          rows.map(({ tick_id }) => tick_id),
          ['tick-0', null, 'tick-8'],
        )
        assert.deepEqual(alarms, [`ALARM outbox row ${parked.id} is parked: ${code}, ${parked.error_reason}`])
        assert.ok(await metric('solar_outbox_rows{state="parked"} 1'))
        assert.ok(await metric('solar_outbox_rows_total{outcome="parked"} 1'))
      })
    }

    it('takes a parked row again when its code is cleared: parked again, or sealed once it is right', async () => {
      await platform.write(tick(0, tradeRow('0.0', 'ann', 'ben', '1.5', '9')))
      await settled()
      const retry = 'update ledger_outbox set error_code = null, error_reason = null where error_code is not null'
      await platform.execute(retry)
      await eventually('it is parked again', () => alarms.length === 2, PATIENCE_MS)
      await platform.execute(retry.replace('set ', `set tick = replace(tick, '"9"', '"0.3"'), `))
      const [{ block_hash } = assert.fail()] = await settled()
      assert.deepEqual([block_hash], await hashes())
      assert.equal(alarms.length, 2)
    })

    it('is read on by the next start of the authority', async () => {
      await platform.write(tick(0))
      await settled()
      await community.stopAuthority()
      await platform.write(tick(1), tick(2))
      await community.startAuthority()
      const rows = await settled()
      assert.deepEqual(
        rows.map(({ tick_id }) => tick_id),
        ['tick-0', 'tick-1', 'tick-2'],
      )
      assert.equal((await hashes()).length, 3)
    })
  })
}
