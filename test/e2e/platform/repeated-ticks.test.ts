import assert from 'node:assert/strict'
import { startCommunity, type Answer, type Community } from '../../helpers/community.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'

const ROWS = [
  tradeRow('a', 'ann', 'ben'),
  tradeRow('b', 'cyd', 'ann', '2.5', '0.5'),
  tradeRow('c', 'ann', 'cyd', '0.25', '0.05'),
]
const [A, B, C] = ROWS as [(typeof ROWS)[0], (typeof ROWS)[0], (typeof ROWS)[0]]
const NEW = tradeRow('d', 'ben', 'ann')
const TICK = tickOf(1, ...ROWS)

/** What the 409 says beside the sentence. */
interface Difference {
  readonly transaction_id?: string
  readonly field?: string
  readonly stored?: unknown
  readonly sent?: unknown
}

const withRows = (...rows: readonly object[]): object => ({ ...TICK, transactions: rows })
const position = (transaction_id: string, stored: number | null, sent: number | null): Difference => ({
  transaction_id,
  field: 'position',
  stored,
  sent,
})

const OTHERS: readonly (readonly [what: string, tick: object, sentence: RegExp, difference: Difference])[] = [
  [
    'another value of a trade',
    withRows(A, { ...B, kwh: '3', total_amount: '0.6' }, C),
    /transaction b: kwh is 3, committed is 2\.5$/,
    { transaction_id: 'b', field: 'kwh', stored: '2.5', sent: '3' },
  ],
  [
    'another time of a trade',
    withRows(A, B, { ...C, timestamp: C.timestamp + 1 }),
    /transaction c: timestamp is (\d+), committed is \d+$/,
    { transaction_id: 'c', field: 'timestamp', stored: C.timestamp, sent: C.timestamp + 1 },
  ],
  ['a trade less', withRows(A, C), /transaction b is missing, committed is it at position 1$/, position('b', 1, null)],
  ['no trade at all', withRows(), /transaction a is missing, committed is it at position 0$/, position('a', 0, null)],
  [
    'a trade more',
    withRows(A, NEW, B, C),
    /transaction d is not among those that are committed$/,
    position('d', null, 1),
  ],
  ['a trade twice', withRows(A, B, C, A), /transaction a is there twice$/, position('a', null, 3)],
  ['another order', withRows(A, C, B), /transaction c is at position 1, committed is 2$/, position('c', 2, 1)],
  [
    'another time of the tick',
    { ...TICK, timestamp: TICK.timestamp + 1 },
    /timestamp is \d+, committed is \d+$/,
    { field: 'timestamp', stored: TICK.timestamp, sent: TICK.timestamp + 1 },
  ],
]

describe('a tick that a platform posts again', () => {
  let community: Community
  let first: Answer

  before(async () => {
    community = await startCommunity({ voters: ['ann'] })
    first = await post(TICK)
    assert.equal(first.status, 200)
    assert.equal(first.body.height, 0)
  })
  after(() => (community as Community | undefined)?.stop())

  const post = (body: object) => community.call('POST', '/ticks/', { role: 'platform', body })
  const tipHeight = async () => (await community.call('GET', '/blocks/latest-headers/?n=1')).body.tip_height

  it('has the same block as answer, once or many times at once', async () => {
    const again = await Promise.all(Array.from({ length: 8 }, () => post(TICK)))
    for (const answer of again) assert.deepEqual(answer, first)
    assert.equal(await tipHeight(), 0)
  })

  it('is the same however its numbers and fields are written', async () => {
    const spelled = ROWS.map(({ timestamp, ...row }) => ({ kind: 'trade', timestamp, ...row, kwh: Number(row.kwh) }))
    assert.deepEqual(await post(withRows(...spelled)), first)
  })

  for (const [what, tick, sentence, expected] of OTHERS) {
    it(`is refused with ${what}, which is named, and nothing is sealed`, async () => {
      const { status, body } = await post(tick)
      assert.deepEqual([status, body.code, body.tick_id], [409, 'tick_conflict', TICK.tick_id], JSON.stringify(body))
      assert.match(String(body.detail), sentence)
      const { transaction_id, field, stored, sent } = body
      const found = { ...(transaction_id !== undefined && { transaction_id }), field, stored, sent }
      assert.deepEqual(found, expected)
      assert.equal(await tipHeight(), 0)
      assert.deepEqual(await post(TICK), first)
    })
  }

  it('has the same answer from the next start of the authority', async () => {
    await community.stopAuthority()
    await community.startAuthority()
    assert.deepEqual(await post(TICK), first)
    const [, tick, sentence] = OTHERS[0]!
    assert.match(String((await post(tick)).body.detail), sentence)
  })

  it('without trades makes no block, however often, and is no other tick with trades', async () => {
    const empty = tickOf(2)
    const answers = [await post(empty), await post(empty)]
    for (const { status, body } of answers) assert.deepEqual([status, body.height], [200, null])
    const { status, body } = await post({ ...empty, transactions: [NEW] })
    assert.deepEqual([status, body.transaction_id], [409, 'd'])
    assert.equal(await tipHeight(), 0)
  })

  it('is counted once in the metrics, beside what was empty and what was refused', async () => {
    const counted = async (outcome: string): Promise<number> => {
      const metrics = await (await fetch(`${community.url}/metrics`)).text()
      return Number(new RegExp(`^solar_ticks_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(metrics)?.[1] ?? 0)
    }
    const outcomes = ['sealed', 'empty', 'failed']
    const before = await Promise.all(outcomes.map(counted))
    const again = tickOf(8, tradeRow('counted', 'ann', 'ben'))
    for (const status of [200, 200]) assert.equal((await post(again)).status, status)
    assert.equal((await post(tickOf(9))).status, 200)
    assert.equal((await post(tickOf(10, tradeRow('counted', 'ann', 'ben')))).status, 409)
    const after = await Promise.all(outcomes.map(counted))
    assert.deepEqual(
      after.map((count, index) => count - (before[index] ?? 0)),
      [1, 1, 1],
    )
  })
})
