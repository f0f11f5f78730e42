import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { formatDelta, formatQuantity, parseQuantity } from '../../src/protocol/decimal.ts'
import { identifier } from '../../src/protocol/shape.ts'
import { idOf } from '../helpers/shown.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  commitTick,
  correction,
  MOST,
  order,
  sealWaiting,
  T0,
  tick,
  trade,
  vote,
  putOrder,
} from './fixtures.ts'

const MAX_MICRO = 10n ** 18n - 1n
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** What every `MarketStore` must keep digit for digit, whatever its database makes of numbers and of text. */
export function marketStoreExactContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, exactness: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    it('gives any quantity, delta, price and timestamp back digit for digit', async () => {
      const micro = fc.bigInt({ min: 0n, max: MAX_MICRO })
      const signedMicro = fc.bigInt({ min: -MAX_MICRO, max: MAX_MICRO })
      const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
      await commitTick(store, tick('first', [trade('first', 'corrected', { kwh: '999999999999', total_amount: '0' })]))
      await store.fence(blockRow(0, 'first'))
      let count = 0
      await fc.assert(
        fc.asyncProperty(micro, micro, signedMicro, time, async (kwh, price, change, timestamp) => {
          const id = `t${++count}`
          const quantities = { kwh: formatQuantity(kwh), price_per_kwh: formatQuantity(price), timestamp }
          // Up, then down by the same: the sum stays what a quantity can spell.
          const size = change < 0n ? -change : change
          const up = correction(id, `${id}-up`, 'corrected', { kwh_delta: '0', amount_delta: formatDelta(size) })
          const down = { ...up, id: `${id}-down`, amount_delta: formatDelta(-size) }
          const rows = [trade(id, id, quantities), up, down]
          await commitTick(store, tick(id, rows, { timestamp }))
          await sealWaiting(store)
          assert.deepEqual(await store.transactionsOfTick(id), rows)
          assert.equal((await store.tick(id))?.timestamp, timestamp)
        }),
        { numRuns: 60 },
      )
    })

    it('subtracts fills from an order without losing a digit beyond 2^53', async () => {
      const [kwh, bite] = ['999999999999.999999', '123456789012.345678']
      await putOrder(store, order('o1', { kwh }))
      const whole = parseQuantity(kwh)
      assert.equal((await store.openOrders(T0, MOST)).orders[0]?.open_micro, whole)
      for (let rest = whole - parseQuantity(bite), n = 0; n < 3; rest -= parseQuantity(bite), n++) {
        const fills = [{ order_id: 'o1', transaction_id: `x${n}`, kwh_micro: parseQuantity(bite) }]
        await commitTick(store, tick(`t${n}`, [trade(`t${n}`, `x${n}`, { kwh: bite })], { fills }))
        assert.equal((await store.openOrders(T0, MOST)).orders[0]?.open_micro, rest)
      }
    })

    it('keeps any identifier and any text of a reason', async () => {
      const anyIdentifier = fc.stringMatching(/^[A-Za-z0-9._:@+-]{1,64}$/).map((text) => identifier(text, 'id'))
      const anyReason = fc.stringMatching(/^[ -~]{1,200}$/)
      await commitTick(store, tick('first', [trade('first', 'corrected')]))
      await store.fence(blockRow(0, 'first'))
      let count = 0
      await fc.assert(
        fc.asyncProperty(anyIdentifier, anyReason, async (from_user_id, reason) => {
          const id = `t${++count}`
          const fields = { reason, kwh_delta: '0', amount_delta: '0.000001' }
          const rows = [trade(id, id, { from_user_id }), correction(id, `${id}-fix`, 'corrected', fields)]
          await commitTick(store, tick(id, rows))
          await sealWaiting(store)
          assert.deepEqual(await store.transactionsOfTick(id), rows)
        }),
        { numRuns: 30 },
      )
    })

    it('sorts by bytes, whatever the language of the database', async () => {
      const ids = ['a', 'B', 'b', 'A', '_', '-', '+', '.', ':', '@', '0', '9', 'Z', 'z', 'a-b', 'aB', 'a.b', 'ab']
      await commitTick(
        store,
        tick(
          't1',
          ids.map((id) => trade('t1', id)),
        ),
      )
      const found: string[] = []
      for (let after: string | null = ''; after !== null;) {
        const page = await store.transactions({ from: 0, to: T0 + 1, limit: 5, ...(after !== '' && { after }) })
        found.push(...page.transactions.map(({ transaction }) => idOf(transaction)))
        after = page.next
      }
      const sorted = ids.toSorted(byBytes)
      assert.deepEqual(found, sorted)
      const row = blockRow(0, 't1')
      await store.fence(row)
      await store.putVotes(ids.map((id) => vote(row.block_hash, 0, id)))
      assert.deepEqual(
        (await store.votesOf(row.block_hash)).map(({ voter_id }) => voter_id),
        sorted,
      )
      assert.deepEqual(
        (await store.acksFrom(0)).map(({ voter_id }) => voter_id),
        sorted,
      )
    })
  })
}
