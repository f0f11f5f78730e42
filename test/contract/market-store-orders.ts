import { strict as assert } from 'node:assert'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { blockRow, commitTick, MOST, order, putOrder, T0, tick, trade } from './fixtures.ts'

const MAX = Number.MAX_SAFE_INTEGER
const coded = (code: string) => (error: unknown) => isSolarError(error, code)

/** What every `MarketStore` keeps of orders. */
export function marketStoreOrdersContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, orders: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    const statusOf = async (id: string) => (await store.order(id))?.status
    const openIds = async (at = T0) => (await store.openOrders(at, MOST)).orders.map(({ order_id }) => order_id)

    it('are stored once: equal content is the same order, other content is not', async () => {
      const placed = order('o1', { kwh: '999999999999.999999', valid_until: MAX })
      assert.equal(await putOrder(store, placed), 'created')
      assert.equal(await putOrder(store, placed), 'same')
      assert.equal(await putOrder(store, { ...placed, kwh: '1' }), 'different')
      assert.equal(await putOrder(store, order('o1', { kwh: placed.kwh })), 'different')
      store = await opened.reopen()
      assert.deepEqual(await store.order('o1'), { order: placed, status: 'open', transactions: [] })
      assert.equal(await store.order('o2'), undefined)
    })

    it('are open from their timestamp until valid_until, in order of arrival', async () => {
      await putOrder(store, order('z', { timestamp: T0 + 10 }))
      await putOrder(store, order('a', { timestamp: T0, valid_until: T0 + 20, kwh: '999999999999.999999' }))
      await putOrder(store, order('m', { timestamp: T0 }))
      const openAt = async (at: number) => (await store.openOrders(at, MOST)).orders.map(({ order_id }) => order_id)
      assert.deepEqual(await openAt(T0 - 1), [])
      assert.deepEqual(await openAt(T0), ['a', 'm'])
      assert.deepEqual(await openAt(T0 + 10), ['z', 'a', 'm'])
      assert.deepEqual(await openAt(T0 + 19), ['z', 'a', 'm'])
      assert.deepEqual(await openAt(T0 + 20), ['z', 'm'])
      const [first, second] = (await store.openOrders(T0 + 10, MOST)).orders
      assert.ok(first!.sequence < second!.sequence)
      assert.equal(second!.open_micro, 999_999_999_999_999_999n)
      assert.equal(second!.valid_until, T0 + 20)
      assert.ok(!('valid_until' in first!))
    })

    it('for one moment only are refused once the market has run then, and stop its tick if it has not seen them', async () => {
      const moment = (id: string) => order(id, { timestamp: T0, valid_until: T0 + 1 })
      assert.equal(await putOrder(store, moment('early')), 'created')
      const market = tick('m1', [], { source: 'market', timestamp: T0 })
      assert.equal(await commitTick(store, { ...market, last_order: 0 }), 'book_moved')
      assert.equal(await store.tick('m1'), undefined)
      const { last_order } = await store.openOrders(T0, MOST)
      assert.equal(await commitTick(store, { ...market, last_order }), 'committed')
      assert.deepEqual(await putOrder(store, moment('late')), { closed_by: 'm1' })
      assert.equal(await store.order('late'), undefined)
      assert.equal(await putOrder(store, moment('early')), 'same')
      assert.equal(await putOrder(store, order('open', { timestamp: T0 })), 'created')
    })

    it('are filled by the tick that trades them, in the same transaction', async () => {
      await putOrder(store, order('buy', { kwh: '3' }))
      await putOrder(store, order('sell', { side: 'sell', kwh: '2.5' }))
      const rows = [trade('t1', 'b'), trade('t1', 'a')]
      const fills = [
        { order_id: 'buy', transaction_id: 'b', kwh_micro: 1_500_000n },
        { order_id: 'sell', transaction_id: 'b', kwh_micro: 1_500_000n },
        { order_id: 'buy', transaction_id: 'a', kwh_micro: 1_000_000n },
        { order_id: 'sell', transaction_id: 'a', kwh_micro: 1_000_000n },
      ]
      const taken = tick('t1', rows, { fills, source: 'market' })
      await assert.rejects(commitTick(store, { ...taken, transactions: [trade('t1', 'b'), trade('t1', 'b')] }))
      assert.equal((await store.openOrders(T0, MOST)).orders.length, 2)
      await commitTick(store, taken)
      const hashes = taken.tx_hashes
      const unsealed = [
        { id: 'b', tx_hash: hashes[0], block_hash: null },
        { id: 'a', tx_hash: hashes[1], block_hash: null },
      ]
      assert.deepEqual(await store.order('buy'), {
        order: order('buy', { kwh: '3' }),
        status: 'partial',
        transactions: unsealed,
      })
      assert.equal((await store.order('sell'))?.status, 'filled')
      const row = blockRow(0, 't1')
      await store.fence(row)
      store = await opened.reopen()
      const sealedTransactions = unsealed.map((tx) => ({ ...tx, block_hash: row.block_hash }))
      assert.deepEqual((await store.order('buy'))?.transactions, sealedTransactions)
      assert.deepEqual(
        (await store.openOrders(T0, MOST)).orders.map(({ order_id, open_micro }) => [order_id, open_micro]),
        [['buy', 500_000n]],
      )
    })

    it('never give more than they have: such a tick is not stored', async () => {
      await putOrder(store, order('small', { kwh: '1' }))
      const take = (order_id: string, kwh_micro: bigint) =>
        commitTick(store, tick('t1', [trade('t1', 'a')], { fills: [{ order_id, transaction_id: 'a', kwh_micro }] }))
      await assert.rejects(take('small', 1_000_001n), coded('corrupt'))
      await assert.rejects(take('nobody', 1n), coded('corrupt'))
      assert.equal(await store.tick('t1'), undefined)
      await take('small', 1_000_000n)
      assert.equal((await store.order('small'))?.status, 'filled')
    })

    it('expire with the time of the ticks, unless they were filled at least in part', async () => {
      await putOrder(store, order('untouched', { valid_until: T0 + 10 }))
      await putOrder(store, order('touched', { valid_until: T0 + 10 }))
      await putOrder(store, order('unlimited'))
      const fills = [{ order_id: 'touched', transaction_id: 'a', kwh_micro: 1n }]
      await commitTick(store, tick('t1', [trade('t1', 'a')], { fills, timestamp: T0 + 9 }))
      assert.equal((await store.order('untouched'))?.status, 'open')
      await commitTick(store, tick('t2', [], { timestamp: T0 + 10 }))
      await commitTick(store, tick('t3', [], { timestamp: T0 + 5 }))
      const statuses = ['untouched', 'touched', 'unlimited'].map(async (id) => (await store.order(id))?.status)
      assert.deepEqual(await Promise.all(statuses), ['expired', 'partial', 'open'])
    })

    it('leave the book when they are cancelled: what was traded stays, the rest is gone, the id is taken', async () => {
      await putOrder(store, order('part', { kwh: '3' }))
      await putOrder(store, order('whole'))
      await putOrder(store, order('done', { kwh: '1' }))
      const fills = [
        { order_id: 'part', transaction_id: 'a', kwh_micro: 1_000_000n },
        { order_id: 'done', transaction_id: 'a', kwh_micro: 1_000_000n },
      ]
      await commitTick(store, tick('t1', [trade('t1', 'a')], { fills, source: 'market' }))
      const cancelled = await store.cancelOrder('part')
      assert.equal(cancelled?.status, 'cancelled')
      assert.deepEqual(
        cancelled.transactions.map(({ id }) => id),
        ['a'],
      )
      assert.equal((await store.cancelOrder('whole'))?.status, 'cancelled')
      assert.equal((await store.cancelOrder('done'))?.status, 'filled')
      assert.equal(await store.cancelOrder('nobody'), undefined)
      store = await opened.reopen()
      assert.deepEqual(await openIds(), [])
      assert.deepEqual(await store.cancelOrder('part'), cancelled)
      assert.equal(await putOrder(store, order('whole')), 'same')
      assert.equal(await statusOf('whole'), 'cancelled')
    })

    it('that were cancelled after a tick has matched them stop its commit, and nothing is stored', async () => {
      await putOrder(store, order('buy', { kwh: '1' }))
      const { last_order } = await store.openOrders(T0, MOST)
      const fills = [{ order_id: 'buy', transaction_id: 'a', kwh_micro: 1_000_000n }]
      const matched = { ...tick('t1', [trade('t1', 'a')], { fills, source: 'market' }), last_order }
      await store.cancelOrder('buy')
      assert.equal(await commitTick(store, matched), 'book_moved')
      assert.equal(await store.tick('t1'), undefined)
      assert.equal(await store.transaction('a'), undefined)
      assert.equal(await statusOf('buy'), 'cancelled')
    })

    it('stay cancelled where the tick that filled a part of them becomes void', async () => {
      await putOrder(store, order('buy', { kwh: '3' }))
      const fills = [{ order_id: 'buy', transaction_id: 'a', kwh_micro: 1_000_000n }]
      await commitTick(store, tick('t1', [trade('t1', 'a')], { fills, source: 'market' }))
      await store.cancelOrder('buy')
      await store.voidTick('t1', { parent: null, reason: 'it cannot be', at: T0 })
      assert.deepEqual(await openIds(), [])
      assert.equal(await statusOf('buy'), 'cancelled')
    })

    it('expire so long after they arrived, whatever time they say that they are of', async () => {
      await putOrder(store, order('old', { timestamp: T0 - 1_000_000 }), T0 - 10)
      await putOrder(store, order('backdated', { timestamp: 1 }), T0)
      await store.expireOrders(T0)
      assert.deepEqual(await openIds(), ['backdated'])
      assert.deepEqual([await statusOf('old'), await statusOf('backdated')], ['expired', 'open'])
    })

    it('are so many of one user, those that can still trade', async () => {
      const place = (id: string, more = {}) => putOrder(store, order(id, more), T0, 2)
      assert.equal(await place('o1'), 'created')
      assert.equal(await place('o2', { valid_until: T0 + 5 }), 'created')
      assert.equal(await place('o3'), 'too_many')
      assert.equal(await place('moment', { valid_until: T0 + 1 }), 'too_many')
      assert.equal(await store.order('o3'), undefined)
      assert.equal(await place('o1'), 'same')
      assert.equal(await place('o1', { kwh: '9' }), 'different')
      assert.equal(await place('theirs', { user_id: 'flat-2' }), 'created')
      await commitTick(store, tick('t1', [], { source: 'market', timestamp: T0 + 5 }))
      assert.equal(await place('o3'), 'created', 'o2 is over')
      assert.equal(await place('o4'), 'too_many')
      await store.cancelOrder('o1')
      assert.equal(await place('o4'), 'created')
    })
  })
}
