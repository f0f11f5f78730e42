import { strict as assert } from 'node:assert'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  correction,
  enrolment,
  order,
  registryTick,
  registryTransactions,
  T0,
  tick,
  trade,
  storedAs,
} from './fixtures.ts'
import { idOf } from '../helpers/shown.ts'

const coded = (code: string) => (error: unknown) => isSolarError(error, code)

/** What every `MarketStore` must do with registry changes and the users of voters. */
export function marketStoreRegistryContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, registry: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    registryChanges()
    usersOfVoters()
    fencedAsFinal()

    function registryChanges(): void {
      describe('registry changes', () => {
        it('of every action come back exactly as they were committed, also after reopening', async () => {
          const ticks = registryTransactions().map((tx) => registryTick(tx))
          for (const committed of ticks) await store.commitTick(committed)
          store = await opened.reopen()
          for (const { fills, ...expected } of ticks) {
            assert.deepEqual(fills, [])
            const [transaction] = expected.transactions
            assert.deepEqual(await store.tick(expected.tick_id), storedAs(expected, null))
            assert.deepEqual(await store.transactionsOfTick(expected.tick_id), [transaction])
            assert.deepEqual((await store.transaction(transaction!.id))?.transaction, transaction)
          }
        })

        it('are sealed in the order of commitment, as all ticks are', async () => {
          const [first, second] = [enrolment('z', { timestamp: T0 + 9 }), enrolment('a')]
          await store.commitTick(tick('t1', [trade('t1', 'x')]))
          await store.commitTick(registryTick(first))
          await store.commitTick(tick('t2', [trade('t2', 'y')]))
          await store.commitTick(registryTick(second))
          const sealed: unknown[] = []
          for (let next = await store.nextUnsealedTick(); next; next = await store.nextUnsealedTick()) {
            await store.fence(blockRow(sealed.length, next.tick_id))
            sealed.push(next)
          }
          assert.deepEqual(sealed, [
            { tick_id: 't1', timestamp: T0, transactions: [trade('t1', 'x')] },
            { tick_id: first.tick_id, timestamp: T0 + 9, transactions: [first] },
            { tick_id: 't2', timestamp: T0, transactions: [trade('t2', 'y')] },
            { tick_id: second.tick_id, timestamp: T0, transactions: [second] },
          ])
        })

        it('keep their place between other kinds', async () => {
          await store.commitTick(tick('t0', [trade('t0', 'a')]))
          await store.fence(blockRow(0, 't0'))
          const change = enrolment('r')
          const id = change.tick_id
          const rows = [trade(id, 'b'), change, correction(id, 'fix', 'a'), trade(id, 'c')]
          await store.commitTick(tick(id, rows))
          assert.deepEqual(await store.transactionsOfTick(id), rows)
        })

        it('are listed for an auditor, with their block, and for no party', async () => {
          const change = enrolment('r', { timestamp: T0 + 1 })
          await store.commitTick(tick('t1', [trade('t1', 'a'), trade('t1', 'b', { timestamp: T0 + 2 })]))
          await store.commitTick(registryTick(change, { user: { voter_id: change.subject_id, user_id: 'roof-1' } }))
          const row = blockRow(0, change.tick_id)
          await store.fence(row)
          const range = { from: 0, to: T0 + 10, limit: 10 }
          const all = await store.transactions(range)
          assert.deepEqual(
            all.transactions.map(({ transaction, height }) => [idOf(transaction), height]),
            [
              ['a', null],
              ['r', 0],
              ['b', null],
            ],
          )
          assert.deepEqual(all.transactions[1], {
            transaction: change,
            tx_hash: registryTick(change).tx_hashes[0],
            tick_id: change.tick_id,
            block_hash: row.block_hash,
            height: 0,
          })
          for (const [user_id, expected] of [
            ['roof-1', ['a', 'b']],
            [change.subject_id, []],
            ['null', []],
          ] as const) {
            const page = await store.transactions({ ...range, user_id })
            assert.deepEqual(
              page.transactions.map(({ transaction }) => idOf(transaction)),
              expected,
            )
          }
        })

        it('share their ids with trades, and none is taken twice', async () => {
          await store.commitTick(registryTick(enrolment('taken')))
          await assert.rejects(store.commitTick(registryTick(enrolment('taken'))), coded('tick_conflict'))
          const rows = [trade('t1', 'a'), trade('t1', 'taken')]
          await assert.rejects(store.commitTick(tick('t1', rows)), coded('duplicate_transaction'))
          await store.commitTick(tick('t1', [trade('t1', 'a')]))
          await assert.rejects(store.commitTick(registryTick(enrolment('a'))), coded('duplicate_transaction'))
          assert.equal(await store.tick(enrolment('a').tick_id), undefined)
        })

        it('are no trades that could be corrected', async () => {
          const change = enrolment('r')
          await store.commitTick(registryTick(change))
          await store.fence(blockRow(0, change.tick_id))
          const fix = correction('t1', 'fix', 'r', { kwh_delta: '1', amount_delta: '1' })
          await assert.rejects(store.commitTick(tick('t1', [fix])), coded('refused_row'))
        })

        it('are no time of the market: no order expires by them', async () => {
          await store.putOrder(order('o1', { valid_until: T0 + 10 }))
          await store.commitTick(tick('t1', [], { timestamp: T0 + 9 }))
          await store.commitTick(registryTick(enrolment('r', { timestamp: T0 + 20 })))
          assert.equal((await store.order('o1'))?.status, 'open')
          await store.commitTick(tick('t2', [], { timestamp: T0 + 10 }))
          assert.equal((await store.order('o1'))?.status, 'expired')
        })
      })
    }

    function usersOfVoters(): void {
      describe('the users of voters', () => {
        const enrol = (id: string, voter_id: string, user_id: string) =>
          store.commitTick(registryTick(enrolment(id), { user: { voter_id, user_id } }))

        it('are those of the enrolments, the last one of a voter, also after reopening', async () => {
          assert.deepEqual(await store.users(), new Map())
          await enrol('r1', 'phone', 'ann')
          await enrol('r2', 'tablet', 'ann')
          await enrol('r3', 'meter', 'bob')
          await store.commitTick(registryTick(enrolment('r4')))
          await enrol('r5', 'phone', 'bob')
          store = await opened.reopen()
          const expected = new Map([
            ['meter', 'bob'],
            ['phone', 'bob'],
            ['tablet', 'ann'],
          ])
          assert.deepEqual(await store.users(), expected)
        })

        it('are stored with their tick or not at all', async () => {
          await enrol('r1', 'phone', 'ann')
          await assert.rejects(enrol('r1', 'phone', 'mallory'), coded('tick_conflict'))
          await store.commitTick(tick('t1', [trade('t1', 'r2')]))
          await assert.rejects(enrol('r2', 'tablet', 'mallory'), coded('duplicate_transaction'))
          assert.deepEqual(await store.users(), new Map([['phone', 'ann']]))
        })
      })
    }

    function fencedAsFinal(): void {
      it('counts a block that was fenced as final', async () => {
        for (const height of [0, 1]) {
          await store.commitTick(tick(`t${height}`, [trade(`t${height}`, `${height}`)]))
          await store.fence({ ...blockRow(height, `t${height}`), finalized_at: T0 })
          assert.equal(await store.finalHeight(), height)
        }
        store = await opened.reopen()
        assert.equal(await store.finalHeight(), 1)
      })
    }
  })
}
