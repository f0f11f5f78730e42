import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { verifyVote, voteShape } from '../../../src/protocol/vote.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import { startCommunity, type Community, type Household } from '../../helpers/community.ts'
import { sharedFolder } from '../../helpers/shared.ts'
import { cliGroup, jsonLines, type CliEnd } from './cli.ts'
import { countRows, queryRows } from './database.ts'
import { expectedTicks, micro } from './expected.ts'

/** Three households; their limits, sizes and decimals are the cases in which a calculation goes wrong. */
const SMALL_WEEK = [
  'timestamp,household,load_kwh,pv_kwh,price_per_kwh',
  ...['T00:00,ann,0,0,0.22', 'T00:00,ben,1.5,0,0.22', 'T00:00,cyd,0.7,0,0.22'], // only buyers
  ...['T01:00,ann,0.5,3.25,0.22', 'T01:00,ben,1.5,0,0.22', 'T01:00,cyd,0.7,0,0.3'], // more offered than wanted
  ...['T02:00,ann,0.5,1.75,0.22', 'T02:00,ben,1.5,0,0.22', 'T02:00,cyd,0.7,0,0.3'], // more wanted, two bids
  ...['T03:00,ann,0,2,0.22', 'T03:00,ben,0,1,0.22', 'T03:00,cyd,0,1,0.22'], // only sellers
  ...['T04:00,ann,0,1,0.22', 'T04:00,ben,0.4,0,0.079999', 'T04:00,cyd,0.3,0,0.08'], // one bid below the feed-in price
  ...['T05:00,ann,0,0.0100005,0.22', 'T05:00,ben,0.0100015,0,0.22', 'T05:00,cyd,0.009999,0,0.22'], // halves, the minimum
  ...['T06:00,ann,9.7529096e-08,1e0,0.22', 'T06:00,ben,0.3333333333333333,0,0.22', 'T06:00,cyd,0.6666666,0,0.22'],
  ...['T07:00,ann,0,1,0.22', 'T07:00,ben,0,0.5,0.22', 'T07:00,cyd,1.5,0,0.22'], // equal
]
  .map((row, index) => (index === 0 ? row : `2016-08-08${row}`))
  .join('\n')

interface Shape {
  readonly ticks: number
  readonly households: readonly [string, string]
}

interface TickLine {
  readonly tick_id: string
  readonly height: number | null
  readonly block_hash: string
  readonly kwh: string
}

function describeReplay(name: string, csv: () => Promise<string>, shape: Shape): void {
  describe(`a replay of ${name}`, () => {
    const clis = cliGroup()
    let text: string
    let whole: Community
    let broken: Community
    let lights: Household[]
    let first: CliEnd
    let killedAt: number

    const argsOf = (community: Community): string[] => [
      ...['replay', join(community.folder, 'readings.csv'), '--to', community.url],
      ...['--token-file', join(community.folder, 'operator.token')],
    ]
    const start = async (): Promise<Community> => {
      // One seed, so that the two authorities draw the same nonces: what differs then differs because of the replay.
      const community = await startCommunity({ voters: shape.households, seed: 'replay' })
      await writeFile(join(community.folder, 'readings.csv'), text)
      await writeFile(join(community.folder, 'operator.token'), community.tokens.operator)
      return community
    }
    const ticksOf = (end: CliEnd): TickLine[] =>
      jsonLines(end.stdout).filter(({ event }) => event === 'tick') as unknown as TickLine[]

    /** Kills the replay in the middle of its work, then runs it again to the end. */
    async function replayInTwo(): Promise<number> {
      const cut = clis.start(argsOf(broken))
      let seen = 0
      await cut.line(({ event }) => (event === 'tick' && ++seen === Math.ceil(shape.ticks / 2) ? true : undefined))
      cut.kill('SIGKILL')
      assert.equal((await cut.ended).signal, 'SIGKILL')
      const ticks = countRows(broken.database).ticks
      const again = await clis.run(...argsOf(broken))
      assert.equal(again.code, 0, again.stderr)
      assert.equal(ticksOf(again).length, shape.ticks)
      return ticks
    }

    before(async () => {
      text = await csv()
      whole = await start()
      broken = await start()
      const [overTcp, overWs] = shape.households
      lights = [
        await whole.startHousehold(overTcp, { transport: 'tcp' }),
        await whole.startHousehold(overWs, { transport: 'ws' }),
      ]
      await Promise.all(lights.map((light) => light.live()))
      ;[first, killedAt] = await Promise.all([clis.run(...argsOf(whole)), replayInTwo()])
    })
    after(async () => {
      await clis.killAll()
      for (const community of [whole, broken] as (Community | undefined)[]) await community?.stop()
    })

    it(`runs ${shape.ticks} ticks, with one block for each that trades`, () => {
      assert.equal(first.code, 0, first.stderr)
      const ticks = ticksOf(first)
      const expected = expectedTicks(text)
      assert.deepEqual(
        ticks.map(({ tick_id }) => tick_id),
        expected.map(({ tickId }) => tickId),
      )
      assert.equal(ticks.length, shape.ticks)
      const sealed = ticks.filter(({ height }) => height !== null)
      assert.deepEqual(
        sealed.map(({ tick_id }) => tick_id),
        expected.filter(({ tradedMicro }) => tradedMicro > 0n).map(({ tickId }) => tickId),
      )
      assert.deepEqual(
        sealed.map(({ height }) => height),
        sealed.map((_, index) => index),
      )
      const counts = countRows(whole.database)
      assert.equal(counts.ticks, shape.ticks)
      assert.equal(counts.blocks, sealed.length)
      assert.ok(sealed.length > 0)
    })

    it('trades in each tick exactly what an independent calculation says', async () => {
      const expected = new Map(expectedTicks(text).map((tick) => [tick.tickId, tick]))
      for (const { tick_id, height, block_hash } of ticksOf(first)) {
        const tick = expected.get(tick_id)
        assert.ok(tick)
        if (height === null) {
          assert.equal(tick.tradedMicro, 0n, tick_id)
          continue
        }
        const { body } = await whole.call('GET', `/blocks/${block_hash}`, { role: 'auditor' })
        const trades = body.transactions as Record<string, string>[]
        const traded = new Map<string, bigint>()
        let total = 0n
        for (const trade of trades) {
          const [kwh, price] = [micro(trade.kwh), micro(trade.price_per_kwh)]
          const [seller = '', buyer = ''] = [trade.from_user_id, trade.to_user_id]
          for (const who of [seller, buyer]) traded.set(who, (traded.get(who) ?? 0n) + kwh)
          const sell = tick.orders.get(seller)
          const buy = tick.orders.get(buyer)
          assert.ok(sell?.side === 'sell' && buy?.side === 'buy', tick_id)
          assert.ok(sell.limitMicro <= price && price <= buy.limitMicro, `${tick_id}: the price is within both limits`)
          const cost = micro(trade.total_amount) * 1_000_000n - kwh * price
          assert.ok(cost <= 500_000n && cost >= -500_000n, `${tick_id}: the total is kwh x price`)
          total += kwh
        }
        assert.equal(total, tick.tradedMicro, tick_id)
        for (const [who, kwh] of traded) assert.ok(kwh <= (tick.orders.get(who)?.kwhMicro ?? 0n), `${tick_id}: ${who}`)
      }
    })

    it('is verified block by block over TCP and over WebSocket as it happens, and every vote counts', async () => {
      const sealed = ticksOf(first).filter(({ height }) => height !== null)
      const counted = () => whole.events.filter(({ type }) => type === 'vote').length
      await whole.until('both households voted on every block', () => counted() === 2 * sealed.length)
      for (const { events } of lights) {
        const followed = events.flatMap((event) => (event.type === 'header' ? [event.sealed.header.height] : []))
        assert.deepEqual(
          followed,
          sealed.map(({ height }) => height),
        )
        assert.ok(events.every((event) => event.type !== 'header' || event.how === 'linked'))
        assert.ok(!events.some(({ type }) => type === 'alarm'))
      }
      const registry = Registry.fromGenesis(whole.genesis)
      for (const { block_hash: hash, height } of sealed) {
        const { body } = await whole.call('GET', `/blocks/${hash}/votes/`, { role: 'auditor' })
        const votes = (body.votes as { vote: unknown }[]).map(({ vote }) => voteShape(vote, 'vote'))
        assert.deepEqual(votes.map(({ voter_id }) => voter_id).sort(), [...shape.households].sort())
        for (const vote of votes) {
          assert.equal(vote.decision, 'ack')
          const target = { hash, height: Number(height) }
          assert.deepEqual(verifyVote(vote, whole.chainId, target, registry.active(vote.voter_id)), { ok: true })
        }
      }
    })

    it("proves each household's own trades to it, all of them and no others", () => {
      const byHousehold = queryRows(
        whole.database,
        'select id, from_user_id, to_user_id from transactions order by id',
      ) as { id: string; from_user_id: string; to_user_id: string }[]
      for (const [index, id] of shape.households.entries()) {
        const own = byHousehold.filter((row) => row.from_user_id === id || row.to_user_id === id)
        const verified = lights[index]?.events.flatMap((event) =>
          event.type === 'verified' ? event.trades.map(({ transaction }) => transaction.id) : [],
        )
        assert.deepEqual(
          verified?.sort(),
          own.map((row) => row.id),
        )
        assert.ok(own.length > 0)
      }
    })

    it('commits nothing when it is run a second time', async () => {
      const before = countRows(whole.database)
      const second = await clis.run(...argsOf(whole))
      assert.equal(second.code, 0, second.stderr)
      assert.deepEqual(ticksOf(second).map(withoutMessage), ticksOf(first).map(withoutMessage))
      assert.deepEqual(countRows(whole.database), before)
      const { body } = await whole.call('GET', '/blocks/latest-headers/?n=1')
      assert.equal(body.tip_height, before.blocks - 1)
      const summary = jsonLines(second.stdout).at(-1)
      assert.deepEqual(summary?.already_there, { blocks: before.blocks, orders: before.orders })
    })

    it('ends in the same state, byte for byte, when it is broken off in the middle and run again', () => {
      assert.ok(killedAt >= Math.floor(shape.ticks / 2) && killedAt < shape.ticks, `killed after ${killedAt} ticks`)
      // Only the whole one has households that vote.
      assert.deepEqual({ ...countRows(broken.database), votes: 0 }, { ...countRows(whole.database), votes: 0 })
      for (const sql of [
        'select height, block_hash, tick_id, sealed from blocks order by height',
        'select * from transactions order by tick_id, position',
        // But for when they arrived.
        'select order_id, user_id, side, kwh, price_per_kwh, timestamp, valid_until, open_micro, closed ' +
          'from orders order by sequence',
      ]) {
        assert.deepEqual(queryRows(broken.database, sql), queryRows(whole.database, sql))
      }
    })
  })
}

/** Whether a block was there before is what differs between a first and a second run. */
const withoutMessage = ({ tick_id, height, block_hash, kwh }: TickLine): TickLine => ({
  tick_id,
  height,
  block_hash,
  kwh,
})

describeReplay('a small file', () => Promise.resolve(SMALL_WEEK), { ticks: 8, households: ['ann', 'ben'] })

if (sharedFolder !== undefined) {
  const file = `${sharedFolder}data/citylearn-2022/demo-week-summer.csv`
  describeReplay('a measured summer week of ten homes', () => readFile(file, 'utf8'), {
    ticks: 168,
    households: ['Building_1', 'Building_2'],
  })
}
