import { strict as assert } from 'node:assert'
import type { BlockRow, MarketStore } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { Transaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  CHAIN,
  commitTick,
  correction,
  OTHER_CHAIN,
  sealWaiting,
  storedAs,
  T0,
  tick,
  trade,
} from './fixtures.ts'
import { idOf } from '../helpers/shown.ts'

const MAX = Number.MAX_SAFE_INTEGER
const coded = (code: string) => (error: unknown) => isSolarError(error, code)

async function commitSealed(
  store: MarketStore,
  height: number,
  transactions: readonly Transaction[],
): Promise<BlockRow> {
  const tickId = transactions[0]!.tick_id
  await commitTick(store, tick(tickId, transactions))
  const row = blockRow(height, tickId)
  await store.fence(row)
  return row
}

/** What every implementation of `MarketStore` must do. `open` gives a new, empty store each time. */
export function marketStoreContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    describe('the chain it belongs to', () => {
      it('is bound once and for all', async () => {
        assert.equal(await store.chainId(), undefined)
        await store.bindChain(CHAIN)
        await store.bindChain(CHAIN)
        await assert.rejects(store.bindChain(OTHER_CHAIN), coded('wrong_chain'))
        assert.equal(await (await opened.reopen()).chainId(), CHAIN)
      })
    })

    describe('ticks of a range of blocks', () => {
      it('are given by height as each alone, with their rows in order, and those without a block are not', async () => {
        const ticks = [
          tick(
            'z',
            ['c', 'a', 'b'].map((id) => trade('z', id)),
            { source: 'market' },
          ),
          tick('y', [trade('y', 'd')]),
          tick('x', [correction('x', 'e', 'a'), trade('x', 'f')], { timestamp: MAX }),
        ]
        for (const [height, each] of ticks.entries()) {
          await commitTick(store, each)
          await store.fence(blockRow(height, each.tick_id))
        }
        await commitTick(store, tick('unsealed', [trade('unsealed', 'g')]))
        const expected = ticks.map(({ fills, parent, ...sealedTick }, height) => {
          assert.deepEqual([fills, parent], [[], null])
          return [height, { ...sealedTick, tx_ids: sealedTick.transactions.map(idOf) }] as const
        })
        assert.deepEqual(
          [...(await store.sealedTicks(0, 9))].sort(([a], [b]) => a - b),
          expected,
        )
        assert.deepEqual([...(await store.sealedTicks(1, 2))], expected.slice(1, 2))
        assert.deepEqual([...(await store.sealedTicks(3, 9))], [])
      })
    })

    describe('ticks', () => {
      it('come back exactly as they were committed, also after reopening', async () => {
        const transactions = [
          trade('t1', 'a', { kwh: '999999999999.999999', price_per_kwh: '0.000001', total_amount: '1000000' }),
          trade('t1', 'b', { timestamp: MAX, kwh: '0.000001', from_user_id: 'x:1@y+z' }),
          trade('t1', 'c', { total_amount: '0' }),
        ]
        const committed = tick('t1', transactions, { timestamp: MAX, source: 'market' })
        await commitTick(store, committed)
        const { fills, ...expected } = committed
        assert.deepEqual(fills, [])
        assert.deepEqual(await store.tick('t1'), storedAs(expected, null))
        store = await opened.reopen()
        assert.deepEqual(await store.tick('t1'), storedAs(expected, null))
        assert.deepEqual(await store.transactionsOfTick('t1'), transactions)
        assert.equal(await store.tick('t2'), undefined)
        assert.deepEqual(await store.transactionsOfTick('t2'), [])
      })

      it('keep their order, whatever the ids and however many rows', async () => {
        const rows = Array.from({ length: 1_311 }, (_, index) => trade('t1', `id-${(index * 7919) % 1_311}`))
        await commitTick(store, tick('t1', rows))
        assert.deepEqual(await store.transactionsOfTick('t1'), rows)
        assert.deepEqual((await store.tick('t1'))?.tx_hashes, tick('t1', rows).tx_hashes)
      })

      it('are committed once: the same tick_id again is a conflict, whatever its content', async () => {
        await commitTick(store, tick('t1', [trade('t1', 'a')]))
        await assert.rejects(commitTick(store, tick('t1', [trade('t1', 'a')])), coded('tick_conflict'))
        await assert.rejects(commitTick(store, tick('t1', [trade('t1', 'b')])), coded('tick_conflict'))
        assert.equal(await store.transaction('b'), undefined)
      })

      it('with an id of another tick leave nothing behind and name the id', async () => {
        await commitTick(store, tick('t1', [trade('t1', 'taken')]))
        const rows = ['a', 'b', 'taken', 'c'].map((id) => trade('t2', id))
        await assert.rejects(commitTick(store, tick('t2', rows)), (error) => {
          assert.ok(isSolarError(error, 'duplicate_transaction'))
          assert.deepEqual(error.fields, { id: 'taken' })
          return true
        })
        assert.equal(await store.tick('t2'), undefined)
        assert.equal(await store.transaction('a'), undefined)
        assert.equal((await store.nextUnsealedTick())?.tick_id, 't1')
        await commitTick(
          store,
          tick(
            't2',
            rows.filter(({ id }) => id !== 'taken'),
          ),
        )
      })

      it('with one id twice are refused', async () => {
        const rows = [trade('t1', 'a'), trade('t1', 'a', { kwh: '1' })]
        await assert.rejects(commitTick(store, tick('t1', rows)), coded('duplicate_transaction'))
        assert.equal(await store.tick('t1'), undefined)
      })

      it('refuse rows of another tick', async () => {
        await assert.rejects(commitTick(store, tick('t1', [trade('t2', 'a')])), coded('refused_row'))
        assert.equal(await store.tick('t1'), undefined)
      })

      it('wait to be sealed in the order of commitment, and empty ones do not', async () => {
        assert.equal(await store.nextUnsealedTick(), undefined)
        await commitTick(store, tick('late', [trade('late', 'a')], { timestamp: T0 + 9 }))
        await commitTick(store, tick('empty', []))
        await commitTick(store, tick('early', [trade('early', 'b')], { timestamp: T0 }))
        assert.deepEqual(await store.nextUnsealedTick(), {
          tick_id: 'late',
          timestamp: T0 + 9,
          transactions: [trade('late', 'a')],
        })
        await store.fence(blockRow(0, 'late'))
        assert.equal((await store.nextUnsealedTick())?.tick_id, 'early')
        store = await opened.reopen()
        assert.equal((await store.nextUnsealedTick())?.tick_id, 'early')
        await store.fence(blockRow(1, 'early'))
        assert.equal(await store.nextUnsealedTick(), undefined)
        assert.deepEqual((await store.tick('empty'))?.block, null)
      })

      it('are read whole or not at all while they are being committed', async () => {
        const rows = Array.from({ length: 500 }, (_, index) => trade('t1', `id-${index}`))
        const committing = commitTick(store, tick('t1', rows))
        let seen = 0
        for (let reads = 0; reads < 50 && seen === 0; reads++) {
          const [found, next] = [await store.transactionsOfTick('t1'), await store.tick('t1')]
          seen = next?.transactions.length ?? 0
          assert.ok(found.length === 0 || found.length === 500, `${found.length} rows`)
          assert.ok(next === undefined || seen === 500, `${seen} rows`)
        }
        await committing
        assert.equal((await store.transactionsOfTick('t1')).length, 500)
      })

      it('committed at the same time under one tick_id: exactly one is there', async () => {
        const results = await Promise.allSettled(
          ['a', 'b', 'c'].map((id) => commitTick(store, tick('t1', [trade('t1', id)]))),
        )
        assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
        assert.equal((await store.transactionsOfTick('t1')).length, 1)
      })
    })

    describe('corrections', () => {
      it('of a sealed trade are stored exactly', async () => {
        await commitSealed(store, 0, [trade('t1', 'a')])
        const fix = correction('t2', 'fix', 'a', { kwh_delta: '-2.5', amount_delta: '999999999998.999999' })
        await commitTick(store, tick('t2', [fix, trade('t2', 'b')]))
        assert.deepEqual(await store.transactionsOfTick('t2'), [fix, trade('t2', 'b')])
      })

      it('of a trade that is not there, of the same tick or no trade are refused', async () => {
        await commitSealed(store, 0, [trade('t2', 'sealed')])
        await commitSealed(store, 1, [correction('t3', 'fix', 'sealed')])
        for (const corrects of ['nowhere', 'sibling', 'fix']) {
          const rows = [trade('t4', 'sibling'), correction('t4', 'fix-2', corrects)]
          await assert.rejects(commitTick(store, tick('t4', rows)), coded('refused_row'), corrects)
        }
        assert.equal(await store.tick('t4'), undefined)
      })

      it('keep the running sums at 0 or above, over ticks and within one', async () => {
        await commitSealed(store, 0, [trade('t1', 'a', { kwh: '2.5', total_amount: '0.5' })])
        const by = (id: string, kwh_delta: string, amount_delta: string) =>
          correction('t2', id, 'a', { kwh_delta, amount_delta })
        const refused = [
          [by('f1', '-2.500001', '0')],
          [by('f1', '0', '-0.500001')],
          [by('f1', '-2', '0'), by('f2', '-0.500001', '0')],
          [by('f1', '-3', '0'), by('f2', '3', '0')],
        ]
        for (const rows of refused) await assert.rejects(commitTick(store, tick('t2', rows)), coded('refused_row'))
        await commitTick(store, tick('t2', [by('f1', '-2', '-0.4'), by('f2', '-0.5', '-0.1')]))
        await sealWaiting(store)
        const third = correction('t3', 'f3', 'a', { kwh_delta: '-0.000001', amount_delta: '0' })
        await assert.rejects(commitTick(store, tick('t3', [third])), coded('refused_row'))
        await sealWaiting(store)
        await commitTick(store, tick('t3', [{ ...third, kwh_delta: '1' }]))
      })

      it('keep within what a receipt can show: 12 digits, 1,000 corrections', async () => {
        await commitSealed(store, 0, [trade('t1', 'a', { kwh: '2.5', total_amount: '0.5' })])
        const by = (id: string, kwh_delta: string, amount_delta: string) =>
          correction('t2', id, 'a', { kwh_delta, amount_delta })
        const most = '999999999999.999999'
        for (const rows of [[by('f', most, '0')], [by('f', '0', most)], [by('f', '999999999997.5', '0')]]) {
          await assert.rejects(commitTick(store, tick('t2', rows)), coded('refused_row'))
        }
        const many = Array.from({ length: 1_001 }, (_, n) => by(`f${n}`, n === 0 ? '999999999997.499999' : '0', '0.1'))
        await assert.rejects(
          commitTick(store, tick('t2', many)),
          /a has 1000 corrections, the most that a receipt shows/,
        )
        await commitTick(store, tick('t2', many.slice(0, 1_000)))
        await sealWaiting(store)
        const last = { ...many[1_000]!, tick_id: 't3' }
        await assert.rejects(commitTick(store, tick('t3', [last])), coded('refused_row'))
      })
    })

    describe('the fence', () => {
      it('takes the same bytes again and no others for a height, a tick or a hash', async () => {
        await commitTick(store, tick('t1', [trade('t1', 'a')]))
        await commitTick(store, tick('t2', [trade('t2', 'b')]))
        const row = blockRow(0, 't1')
        await store.fence(row)
        await store.fence(row)
        const others = [
          blockRow(0, 't2', 'other'),
          blockRow(0, 't1', 'other'),
          blockRow(1, 't1'),
          { ...row, tick_id: 't2' },
        ]
        others.push({ ...row, sealed: { ...row.sealed, signature: 'ab'.repeat(64) } })
        for (const other of others) {
          await assert.rejects(store.fence(other), (error) => {
            assert.ok(isSolarError(error, 'fenced'))
            assert.deepEqual(error.fields, { height: other.height, tick_id: other.tick_id, sealed: row.block_hash })
            return true
          })
        }
        store = await opened.reopen()
        await store.fence(row)
        assert.deepEqual(await store.blocks(0, 10), [row])
        assert.deepEqual(await store.lastBlock(), row)
        assert.deepEqual(await store.blockByHash(row.block_hash), row)
        assert.deepEqual((await store.tick('t1'))?.block, row)
      })

      it('lets exactly one of two seals of a height through', async () => {
        await commitTick(store, tick('t1', [trade('t1', 'a')]))
        const rivals = [blockRow(0, 't1', 'ours'), blockRow(0, 't1', 'theirs')]
        const results = await Promise.allSettled(rivals.map((row) => store.fence(row)))
        const winner = results.findIndex(({ status }) => status === 'fulfilled')
        const loser = results[1 - winner]
        assert.ok(loser?.status === 'rejected' && isSolarError(loser.reason, 'fenced'))
        assert.deepEqual(await store.blocks(0, 10), [rivals[winner]])
      })

      it('gives rows from a height on, ascending, and the highest', async () => {
        assert.equal(await store.lastBlock(), undefined)
        const rows: BlockRow[] = []
        for (let height = 0; height < 12; height++) {
          rows.push(await commitSealed(store, height, [trade(`t${height}`, `tx-${height}`)]))
        }
        assert.deepEqual(await store.blocks(3, 5), rows.slice(3, 8))
        assert.deepEqual(await store.blocks(10, 5), rows.slice(10))
        assert.deepEqual(await store.blocks(12, 5), [])
        assert.deepEqual(await store.lastBlock(), rows[11])
        assert.equal(await store.blockByHash(sha256Hex('no block')), undefined)
      })
    })

    describe('transactions', () => {
      const idsOf = (page: Awaited<ReturnType<MarketStore['transactions']>>) =>
        page.transactions.map(({ transaction }) => idOf(transaction))
      const all = { from: 0, to: MAX, limit: 100 }

      it('say where they are: in a tick, and once sealed in a block', async () => {
        const row = trade('t1', 'a')
        await commitTick(store, tick('t1', [row]))
        const place = { transaction: row, tx_hash: tick('t1', [row]).tx_hashes[0], tick_id: 't1' }
        assert.deepEqual(await store.transaction('a'), { ...place, block_hash: null, height: null })
        const fenced = blockRow(0, 't1')
        await store.fence(fenced)
        assert.deepEqual(await store.transaction('a'), { ...place, block_hash: fenced.block_hash, height: 0 })
        assert.deepEqual((await store.transactions(all)).transactions, [await store.transaction('a')])
        assert.equal(await store.transaction('b'), undefined)
      })

      it('are listed by time, then id, within [from, to)', async () => {
        const rows = [
          trade('t1', 'late', { timestamp: T0 + 2 }),
          trade('t1', 'b', { timestamp: T0 + 1 }),
          trade('t1', 'B', { timestamp: T0 + 1 }),
          trade('t1', 'first', { timestamp: T0 }),
        ]
        await commitTick(store, tick('t1', rows))
        assert.deepEqual(idsOf(await store.transactions(all)), ['first', 'B', 'b', 'late'])
        const part = await store.transactions({ from: T0 + 1, to: T0 + 2, limit: 10 })
        assert.deepEqual(idsOf(part), ['B', 'b'])
        assert.equal(part.next, null)
        assert.deepEqual(await store.transactions({ from: T0 + 3, to: T0 + 3, limit: 10 }), {
          transactions: [],
          next: null,
        })
      })

      it('come in pages that leave out nothing and repeat nothing, for all and for one party', async () => {
        const rows = Array.from({ length: 120 }, (_, index) =>
          trade('t1', `id:${index}`, {
            timestamp: T0 + Math.floor(index / 10) * 4_000_000 * (index > 60 ? 40 : 1),
            ...(index % 3 === 0 ? { from_user_id: 'me' } : index % 3 === 1 ? { to_user_id: 'me' } : {}),
          }),
        )
        await commitTick(store, tick('t1', rows))
        for (const user_id of [undefined, 'me']) {
          const expected = rows
            .filter((row) => user_id === undefined || row.from_user_id === user_id || row.to_user_id === user_id)
            .sort((a, b) => a.timestamp - b.timestamp || (a.id < b.id ? -1 : 1))
            .map(({ id }) => id)
          for (const limit of [1, 7, expected.length, 200]) {
            const found: string[] = []
            let after: string | null | undefined
            while (after !== null) {
              const query = { ...all, limit, ...(user_id && { user_id }), ...(after !== undefined && { after }) }
              const page = await store.transactions(query)
              assert.ok(page.transactions.length <= limit)
              found.push(...idsOf(page))
              after = page.next
            }
            assert.deepEqual(found, expected)
          }
        }
      })

      it('of a party are its trades on either side and their corrections, nobody else’s', async () => {
        const mine = { from_user_id: 'me', to_user_id: 'you' }
        await commitSealed(store, 0, [
          trade('t1', 'sold', mine),
          trade('t1', 'bought', { from_user_id: 'roof-2', to_user_id: 'me' }),
          trade('t1', 'theirs', { from_user_id: 'me-too', to_user_id: 'you' }),
        ])
        const later = { timestamp: T0 + 400 * 24 * 3_600_000 }
        await commitTick(
          store,
          tick('t2', [correction('t2', 'fix', 'sold', later), correction('t2', 'their-fix', 'theirs', later)]),
        )
        assert.deepEqual(idsOf(await store.transactions({ ...all, user_id: 'me' })), ['bought', 'sold', 'fix'])
        assert.deepEqual(idsOf(await store.transactions({ ...all, user_id: 'you' })), [
          'sold',
          'theirs',
          'fix',
          'their-fix',
        ])
        assert.deepEqual(idsOf(await store.transactions({ ...all, user_id: 'nobody' })), [])
        for (const user of [{}, { user_id: 'me' }]) {
          assert.deepEqual(idsOf(await store.transactions({ ...all, ...user, corrects: 'sold' })), ['fix'])
        }
        assert.deepEqual(idsOf(await store.transactions({ ...all, corrects: 'nothing' })), [])
        const since = await store.transactions({ user_id: 'me', from: T0 + 1, to: MAX, limit: 5 })
        assert.deepEqual(idsOf(since), ['fix'])
      })

      it('refuse a cursor that no page gave', async () => {
        for (const after of ['', 'abc', '12', 'x:y', '99999999999999999:a', '1:ä']) {
          await assert.rejects(store.transactions({ ...all, after }), coded('malformed'), after)
        }
      })
    })

    describe('signed requests', () => {
      it('are remembered once, until they have expired', async () => {
        assert.equal(await store.rememberRequest('r1', T0), true)
        assert.equal(await store.rememberRequest('r1', T0), false)
        store = await opened.reopen()
        assert.equal(await store.rememberRequest('r1', T0 + 1), false)
        assert.equal(await store.rememberRequest('r2', T0 + 120_000), true)
        assert.equal(await store.rememberRequest('r1', T0), false)
        const together = await Promise.all([1, 2, 3].map(() => store.rememberRequest('r3', T0)))
        assert.equal(together.filter(Boolean).length, 1)
      })

      it('are forgotten once no clock accepts them any more', async () => {
        await store.rememberRequest('old', T0)
        await store.rememberRequest('new', T0 + 3_600_000)
        assert.equal(await store.rememberRequest('old', T0 + 3_600_000), true)
      })
    })

    it('refuses to work after it was closed', async () => {
      await store.close()
      await assert.rejects(store.lastBlock(), coded('store_failed'))
      await assert.rejects(commitTick(store, tick('t1', [])), coded('store_failed'))
    })
  })
}
