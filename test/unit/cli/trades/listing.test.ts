import assert from 'node:assert/strict'
import {
  csvFormat,
  jsonFormat,
  textFormat,
  type ListingFormat,
  type ListingHead,
} from '../../../../src/cli/trades/format.ts'
import { listTrades, surveyOf, userOf } from '../../../../src/cli/trades/listing.ts'
import { timeOption } from '../../../../src/cli/trades/time-option.ts'
import { checkZone } from '../../../../src/cli/time-zone.ts'
import type { OwnTradesSource } from '../../../../src/node/own-trades-source.ts'
import type { Correction, ShownTransaction, Trade } from '../../../../src/protocol/transaction.ts'

const AT = Date.UTC(2026, 5, 1, 12)
const sealed = { tick_id: 'tick-1', nonce: '00'.repeat(16) }

const trade = (id: string, from: string, to: string, timestamp = AT): Trade => ({
  ...{ kind: 'trade', id, from_user_id: from, to_user_id: to, kwh: '1.5', price_per_kwh: '0.2', total_amount: '0.3' },
  ...{ timestamp, ...sealed },
})
const correction = (id: string, corrects: string, kwh_delta: string, amount_delta: string): Correction => ({
  ...{ kind: 'correction', id, corrects, kwh_delta, amount_delta, reason: 'late reading', timestamp: AT + 9_000_000 },
  ...sealed,
})

/** Pages of two, so that every list has several. */
function sourceOf(...transactions: readonly ShownTransaction[]): OwnTradesSource {
  const timeOf = (tx: ShownTransaction): number => (tx.kind === 'redacted' ? 0 : tx.timestamp)
  return {
    user: undefined,
    currency: 'EUR',
    caveat: null,
    async *pages({ from, to }) {
      const left = transactions.filter((tx) => timeOf(tx) >= from && timeOf(tx) < to)
      for (let at = 0; at < left.length; at += 2) {
        yield await Promise.resolve(
          left.slice(at, at + 2).map((transaction) => ({ transaction, tx_hash: 'ab'.repeat(32), height: 7 })),
        )
      }
    },
  }
}

async function list(source: OwnTradesSource, user: string, range = { from: 0, to: AT + 1 }) {
  const { corrections } = await surveyOf(source, user)
  const listing = listTrades(source, range, user, corrections)
  const listed = []
  let step = await listing.next()
  for (; step.done !== true; step = await listing.next()) listed.push(step.value)
  return { listed, sums: step.value }
}

const HEAD: ListingHead = { user: 'ann', from: null, to: null, currency: 'EUR', zone: 'Europe/Vienna', note: null }
async function formatted(format: ListingFormat, source: OwnTradesSource, head = HEAD): Promise<string> {
  const { listed, sums } = await list(source, head.user ?? '')
  return format.begin(head) + listed.map((one) => format.item(one, head)).join('') + format.end(sums, head)
}

describe('the list of one’s own trades', () => {
  const source = sourceOf(
    trade('t1', 'ann', 'ben', AT - 2),
    trade('t2', 'ben', 'ann', AT - 1),
    trade('t3', 'ben', 'cyd', AT),
    correction('c1', 't1', '-0.25', '-0.05'),
    correction('c2', 't1', '-0.25', '-0.05'),
  )

  it('sums what corrections left, also those that were made after the range, over all pages', async () => {
    const { listed, sums } = await list(source, 'ann')
    assert.deepEqual(
      listed.map(({ trade: { id }, side, net, corrections }) => [id, side, net.kwh, net.total_amount, corrections]),
      [
        ['t1', 'sold', '1', '0.2', 2],
        ['t2', 'bought', '1.5', '0.3', 0],
      ],
    )
    assert.deepEqual(sums, {
      ...{ trades: 2, corrected: 1, kwh_sold: '1', kwh_bought: '1.5', earned: '0.2', paid: '0.3', balance: '-0.1' },
    })
  })

  it('has trades from its first moment on and before its last', async () => {
    const ids = async (from: number, to: number) =>
      (await list(source, 'ben', { from, to })).listed.map(({ trade: { id } }) => id)
    assert.deepEqual(await ids(AT - 2, AT), ['t1', 't2'])
    assert.deepEqual(await ids(AT - 1, AT + 1), ['t2', 't3'])
    assert.deepEqual(await ids(AT + 1, AT + 2), [])
  })

  it('takes the one party of all trades for the household, and asks for a name where that tells nobody', async () => {
    const whose = (...transactions: readonly ShownTransaction[]) => {
      const own = sourceOf(...transactions)
      return (asked?: string) => surveyOf(own, asked).then((survey) => userOf(survey, asked))
    }
    const three = [trade('a', 'ann', 'ben'), trade('b', 'cyd', 'ann'), trade('c', 'ann', 'ben')]
    assert.equal(await whose(...three)(), 'ann')
    assert.equal(await whose(...three)('ben'), 'ben')
    assert.equal(await whose()(), null)
    assert.equal(await whose()('ann'), 'ann')
    const two = whose(trade('a', 'ann', 'ben'))
    await assert.rejects(two(), /user: all trades here are between ann and ben: name the one whose sums you want/)
    // The key of a household may be called after its user; it is no user.
    await assert.rejects(
      two('ann.phone'),
      /user: ann\.phone is a party of none of the trades here, they are of ann and ben/,
    )
  })

  it('is for people: local times with their offset, what is left, and the sums', async () => {
    assert.equal(
      await formatted(textFormat, source, { ...HEAD, from: '2026-06-01', note: 'a note' }),
      `2026-06-01 13:59:59 +02:00  sold          1.5 kWh at 0.2 EUR/kWh = 0.3 EUR to ben (t1); corrected, left: 1 kWh, 0.2 EUR
2026-06-01 13:59:59 +02:00  bought        1.5 kWh at 0.2 EUR/kWh = 0.3 EUR from ben (t2)
trades      2 of ann, 2026-06-01 to now (Europe/Vienna); 1 corrected
sold        1 kWh for 0.2 EUR, after corrections
bought      1.5 kWh for 0.3 EUR, after corrections
balance     -0.1 EUR
note        a note
`,
    )
  })

  it('is one line of JSON, with and without trades', async () => {
    const text = await formatted(jsonFormat(), source)
    assert.equal(text.indexOf('\n'), text.length - 1)
    const { trades, sums, ...head } = JSON.parse(text) as {
      trades: Record<string, unknown>[]
      sums: { balance: string }
    }
    assert.equal(sums.balance, '-0.1')
    assert.deepEqual(head, { user: 'ann', from: null, to: null, currency: 'EUR', note: null })
    assert.deepEqual(
      trades.map(({ id, counterparty, net, height }) => ({ id, counterparty, net, height })),
      [
        { id: 't1', counterparty: 'ben', net: { kwh: '1', total_amount: '0.2' }, height: 7 },
        { id: 't2', counterparty: 'ben', net: { kwh: '1.5', total_amount: '0.3' }, height: 7 },
      ],
    )
    const empty = JSON.parse(await formatted(jsonFormat(), sourceOf())) as {
      trades: unknown[]
      sums: { balance: string }
    }
    assert.deepEqual([empty.trades, empty.sums.balance], [[], '0'])
  })

  it('is CSV that no spreadsheet takes for formulas', async () => {
    const ids = ['+1', '-1', '@1', 'a=1']
    const lines = (await formatted(csvFormat, sourceOf(...ids.map((id) => trade(id, 'ann', id))))).split('\r\n')
    assert.equal(lines.pop(), '')
    const [header = '', ...rows] = lines.map((line) => line.split(','))
    assert.deepEqual(
      rows.map((row) => [row[header.indexOf('id')], row[header.indexOf('counterparty')]]),
      [
        ["'+1", "'+1"],
        ["'-1", "'-1"],
        ["'@1", "'@1"],
        ['a=1', 'a=1'],
      ],
    )
    assert.ok(rows.every((row) => row.length === header.length))
    assert.equal(rows[0]?.[header.indexOf('time')], '2026-06-01T12:00:00.000Z')
  })

  it('quotes a field with a comma, a quote or a line break as RFC 4180 has it', async () => {
    const text = await formatted(csvFormat, sourceOf(trade('t', 'ann', 'ben')), { ...HEAD, currency: 'a,"b"\n' })
    assert.ok(text.includes(',"a,""b""\n",'), text)
  })
})

describe('a time on the command line', () => {
  it('is a date, which begins at midnight of the zone, or a time with its offset', () => {
    assert.equal(timeOption('--from', '2026-06-01', 'Europe/Vienna'), Date.UTC(2026, 4, 31, 22))
    assert.equal(timeOption('--from', '2026-06-01', 'UTC'), Date.UTC(2026, 5, 1))
    assert.equal(timeOption('--to', '2026-06-01T14:00+02:00', 'UTC'), AT)
    assert.equal(timeOption('--to', '2026-06-01T12:00:00Z', 'Europe/Vienna'), AT)
    // The day on which the clocks of Beirut go forward at midnight begins at 01:00.
    assert.equal(timeOption('--from', '2022-03-27', 'Asia/Beirut'), Date.UTC(2022, 2, 26, 22))
  })

  for (const text of ['', 'yesterday', '2026-02-30', '2026-06-01T14:00', '1969-12-31', '1780315200000', '2026-6-1']) {
    it(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => timeOption('--to', text, 'UTC'),
        /^UsageError: --to: expected a date such as 2026-06-01, or a time with/,
      )
    })
  }

  it('is in a zone by its name', () => {
    for (const name of ['Europe/Vienna', 'UTC', 'Asia/Kathmandu']) assert.equal(checkZone(name), name)
    for (const name of ['', '+02:00', 'Europe/Atlantis', 'a'.repeat(1000)]) {
      assert.throws(() => checkZone(name), /^UsageError: --zone: expected a time zone such as Europe\/Vienna, got "/)
    }
  })
})
