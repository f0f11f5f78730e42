import { strict as assert } from 'node:assert'
import type { MarketStore } from '../../src/ports/market-store.ts'
import type { Order } from '../../src/protocol/order.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import { MOST, order, T0, putOrder } from './fixtures.ts'

/** What every `MarketStore` gives the market where there are more orders than one clearing takes. */
export function marketStoreBookContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, a book that is too large: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    const put = async (id: string, user_id: string, side: Order['side'], price_per_kwh: string, more = {}) => {
      assert.equal(await putOrder(store, order(id, { user_id, side, price_per_kwh, ...more })), 'created')
    }
    const picked = async (orders: number, ofUser: number, at = T0) =>
      (await store.openOrders(at, { orders, ofUser })).orders.map(({ order_id }) => order_id)

    it('leaves out what can match nobody, whenever it came and however much it is', async () => {
      for (let n = 0; n < 20; n++) {
        await put(`dear${n}`, `mallory${n}`, 'sell', '999999.5')
        await put(`cheap${n}`, `mallory${n}`, 'buy', '0.000001')
      }
      await put('ann', 'ann', 'sell', '0.1')
      await put('ben', 'ben', 'buy', '0.3')
      assert.equal((await store.openOrders(T0, MOST)).orders.length, 42)
      const book = await store.openOrders(T0, { orders: 10, ofUser: 5 })
      assert.deepEqual(
        book.orders.map(({ order_id }) => order_id),
        ['ann', 'ben'],
      )
      assert.equal(book.last_order, (await store.openOrders(T0, MOST)).orders.at(-1)?.sequence)
    })

    it('takes the best of each side, by exact price, then arrival, whatever time it says that it is of', async () => {
      await put('buys-all', 'ben', 'buy', '999999999999.999999')
      await put('third', 'u1', 'sell', '123456789012.345679')
      await put('second', 'u2', 'sell', '123456789012.345678')
      await put('later', 'u3', 'sell', '9', { timestamp: T0 + 1 })
      await put('first', 'u4', 'sell', '9')
      await put('tenth', 'u5', 'sell', '10')
      assert.deepEqual(await picked(4, 9), ['buys-all', 'first', 'tenth'])
      assert.deepEqual(await picked(4, 9, T0 + 1), ['buys-all', 'later', 'first'])
      await put('sells-all', 'ann', 'sell', '0')
      await put('b2', 'u6', 'buy', '0.25')
      await put('b3', 'u7', 'buy', '2')
      await put('dearest', 'u8', 'sell', '999999999999.999999')
      assert.deepEqual(await picked(4, 9), ['buys-all', 'first', 'sells-all', 'b3'])
      assert.deepEqual(await picked(8, 9), ['buys-all', 'second', 'first', 'tenth', 'sells-all', 'b2', 'b3'])
    })

    it('takes a bounded part of one user: who crosses with itself alone keeps nobody out', async () => {
      for (let n = 0; n < 20; n++) {
        await put(`ms${n}`, 'mallory', 'sell', '0')
        await put(`mb${n}`, 'mallory', 'buy', '5')
      }
      await put('ann', 'ann', 'sell', '0.1')
      await put('ben', 'ben', 'buy', '0.3')
      assert.deepEqual(await picked(10, 2), ['ms0', 'mb0', 'ms1', 'mb1', 'ann', 'ben'])
    })

    it('counts no order that is not to be matched now', async () => {
      await put('over', 'mallory', 'sell', '0', { timestamp: T0 - 9, valid_until: T0 })
      await put('to-come', 'mallory', 'buy', '9', { timestamp: T0 + 1 })
      await put('ann', 'ann', 'sell', '3')
      await put('ben', 'ben', 'buy', '2')
      assert.deepEqual(await picked(2, 1), ['ann', 'ben'])
      assert.deepEqual(await picked(0, 1), [])
    })
  })
}
