import { strict as assert } from 'node:assert'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  commitTick,
  correction,
  enrolment,
  order,
  putOrder,
  registryTick,
  registryTransactions,
  sealWaiting,
  storedAs,
  T0,
  tick,
  trade,
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
          for (const committed of ticks) {
            await sealWaiting(store)
            await commitTick(store, committed)
          }
          store = await opened.reopen()
          for (const { fills, ...expected } of ticks) {
            assert.deepEqual(fills, [])
            const [transaction] = expected.transactions
            const { block, ...found } = (await store.tick(expected.tick_id))!
            assert.deepEqual({ ...found, block: null }, storedAs(expected, null))
            assert.equal(block?.tick_id, expected.tick_id === ticks.at(-1)?.tick_id ? undefined : expected.tick_id)
            assert.deepEqual(await store.transactionsOfTick(expected.tick_id), [transaction])
            assert.deepEqual((await store.transaction(transaction!.id))?.transaction, transaction)
          }
        })

        it('wait for no other tick: each is committed once all before it have their blocks', async () => {
          const change = registryTick(enrolment('z', { timestamp: T0 + 9 }))
          await commitTick(store, tick('t1', [trade('t1', 'x')]))
          await assert.rejects(commitTick(store, change), coded('tip_moved'))
          assert.equal(await store.tick(change.tick_id), undefined)
          await sealWaiting(store)
          await commitTick(store, change)
          await commitTick(store, tick('t2', [trade('t2', 'y')]))
          assert.equal((await store.nextUnsealedTick())?.tick_id, change.tick_id)
        })

        it('keep their place between other kinds', async () => {
          await commitTick(store, tick('t0', [trade('t0', 'a')]))
          await store.fence(blockRow(0, 't0'))
          const change = enrolment('r')
          const id = change.tick_id
          const rows = [trade(id, 'b'), change, correction(id, 'fix', 'a'), trade(id, 'c')]
          await commitTick(store, tick(id, rows))
          assert.deepEqual(await store.transactionsOfTick(id), rows)
        })

        it('are listed for an auditor, with their block, and for no party', async () => {
          const change = enrolment('r', { timestamp: T0 + 1 })
          await commitTick(store, tick('t1', [trade('t1', 'a'), trade('t1', 'b', { timestamp: T0 + 2 })]))
          await sealWaiting(store)
          await commitTick(store, registryTick(change, { user: { voter_id: change.subject_id, user_id: 'roof-1' } }))
          await sealWaiting(store)
          const row = blockRow(1, change.tick_id)
          const range = { from: 0, to: T0 + 10, limit: 10 }
          const all = await store.transactions(range)
          assert.deepEqual(
            all.transactions.map(({ transaction, height }) => [idOf(transaction), height]),
            [
              ['a', 0],
              ['r', 1],
              ['b', 0],
            ],
          )
          assert.deepEqual(all.transactions[1], {
            transaction: change,
            tx_hash: registryTick(change).tx_hashes[0],
            tick_id: change.tick_id,
            block_hash: row.block_hash,
            height: 1,
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
          await commitTick(store, registryTick(enrolment('taken')))
          await assert.rejects(commitTick(store, registryTick(enrolment('taken'))), coded('tick_conflict'))
          // As soon as one is committed: no block has it yet.
          assert.equal((await store.nextUnsealedTick())?.tick_id, enrolment('taken').tick_id)
          const rows = [trade('t1', 'a'), trade('t1', 'taken')]
          await assert.rejects(commitTick(store, tick('t1', rows)), coded('duplicate_transaction'))
          await commitTick(store, tick('t1', [trade('t1', 'a')]))
          await sealWaiting(store)
          await assert.rejects(commitTick(store, registryTick(enrolment('a'))), coded('duplicate_transaction'))
          assert.equal(await store.tick(enrolment('a').tick_id), undefined)
        })

        it('are no trades that could be corrected', async () => {
          const change = enrolment('r')
          await commitTick(store, registryTick(change))
          await store.fence(blockRow(0, change.tick_id))
          const fix = correction('t1', 'fix', 'r', { kwh_delta: '1', amount_delta: '1' })
          await assert.rejects(commitTick(store, tick('t1', [fix])), coded('refused_row'))
        })

        it('are no time of the market: no order expires by them', async () => {
          await putOrder(store, order('o1', { valid_until: T0 + 10 }))
          await commitTick(store, tick('t1', [], { timestamp: T0 + 9 }))
          await commitTick(store, registryTick(enrolment('r', { timestamp: T0 + 20 })))
          assert.equal((await store.order('o1'))?.status, 'open')
          await commitTick(store, tick('t2', [], { timestamp: T0 + 10 }))
          assert.equal((await store.order('o1'))?.status, 'expired')
        })
      })
    }

    function usersOfVoters(): void {
      describe('the users of voters', () => {
        const enrol = async (id: string, voter_id: string, user_id: string) => {
          await sealWaiting(store)
          await commitTick(store, registryTick(enrolment(id), { user: { voter_id, user_id } }))
        }

        it('are those of the enrolments, the last one of a voter, also after reopening', async () => {
          assert.deepEqual(await store.users(), new Map())
          await enrol('r1', 'phone', 'ann')
          await enrol('r2', 'tablet', 'ann')
          await enrol('r3', 'meter', 'bob')
          await sealWaiting(store)
          await commitTick(store, registryTick(enrolment('r4')))
          await enrol('r5', 'phone', 'bob')
          store = await opened.reopen()
          const expected = new Map([
            ['meter', 'bob'],
            ['phone', 'bob'],
            ['tablet', 'ann'],
          ])
          assert.deepEqual(await store.users(), expected)
          assert.deepEqual(await store.votersOf('bob'), ['meter', 'phone'])
          assert.deepEqual(await store.votersOf('ann'), ['tablet'])
          assert.deepEqual(await store.votersOf('nobody'), [])
        })

        it('are named for those whom no enrolment brought; the first word counts', async () => {
          await enrol('r1', 'phone', 'ann')
          const named = Array.from({ length: 2_500 }, (_, at) => [`of-genesis-${at}`, `user-${at}`] as const)
          await store.nameUsers(new Map([['phone', 'mallory'], ...named]))
          await store.nameUsers(new Map([['of-genesis-7', 'mallory']]))
          await store.nameUsers(new Map())
          store = await opened.reopen()
          assert.deepEqual(await store.users('of-genesis-7'), new Map([['of-genesis-7', 'user-7']]))
          assert.deepEqual((await store.users()).size, 2_501)
          assert.equal((await store.users()).get('phone'), 'ann')
        })

        it('are stored with their tick or not at all', async () => {
          await enrol('r1', 'phone', 'ann')
          await assert.rejects(enrol('r1', 'phone', 'mallory'), coded('tick_conflict'))
          await commitTick(store, tick('t1', [trade('t1', 'r2')]))
          await assert.rejects(enrol('r2', 'tablet', 'mallory'), coded('duplicate_transaction'))
          assert.deepEqual(await store.users(), new Map([['phone', 'ann']]))
        })
      })
    }

    function fencedAsFinal(): void {
      it('counts a block that was fenced as final', async () => {
        for (const height of [0, 1]) {
          await commitTick(store, tick(`t${height}`, [trade(`t${height}`, `${height}`)]))
          await store.fence({ ...blockRow(height, `t${height}`), finalized_at: T0 })
          assert.equal(await store.finalHeight(), height)
        }
        store = await opened.reopen()
        assert.equal(await store.finalHeight(), 1)
      })
    }
  })
}
