import { strict as assert } from 'node:assert'
import type { MarketStore } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  commitTick,
  correction,
  enrolment,
  MOST,
  order,
  putOrder,
  recoveryOf,
  registryTick,
  sealWaiting,
  T0,
  tick,
  trade,
} from './fixtures.ts'

const coded = (code: string) => (error: unknown) => isSolarError(error, code)

/** What ties a tick, and a block, to the block before it, in every `MarketStore`. */
export function marketStoreTipContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, the tip: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    /** Seals t0, t1, ... up to this many blocks. */
    async function grow(blocks: number): Promise<void> {
      for (let height = (await store.lastBlock())?.height ?? -1; ++height < blocks;) {
        await commitTick(store, tick(`t${height}`, [trade(`t${height}`, `x${height}`)]))
        await sealWaiting(store)
      }
    }

    lateCommits()
    recoveries()
    fences()
    voidTicks()

    function lateCommits(): void {
      it('takes no tick that was checked on another block than the last', async () => {
        const [first, second] = [blockRow(0, 't0').block_hash, blockRow(1, 't1').block_hash]
        const late = (parent: string | null) => ({ ...tick('late', [trade('late', 'a')]), parent })
        await assert.rejects(store.commitTick(late(first)), coded('tip_moved'))
        await grow(2)
        for (const parent of [null, first, 'ab'.repeat(32)]) {
          await assert.rejects(store.commitTick(late(parent)), (error) => {
            assert.ok(isSolarError(error, 'tip_moved'))
            assert.match(error.message, new RegExp(`the chain ends at ${second}; send it again$`))
            return true
          })
        }
        assert.equal(await store.tick('late'), undefined)
        assert.equal(await store.transaction('a'), undefined)
        await store.commitTick(late(second))
      })

      it('takes nothing but new trades of a platform while another tick has no block yet', async () => {
        await grow(1)
        await putOrder(store, order('o'))
        await commitTick(store, tick('waits', [trade('waits', 'w')]))
        const fills = [{ order_id: 'o', transaction_id: 'm', kwh_micro: 1n }]
        const others = [
          registryTick(enrolment('r')),
          tick('c', [trade('c', 'y'), correction('c', 'fix', 'x0')]),
          tick('m', [trade('m', 'm')], { source: 'market', fills }),
        ]
        for (const other of others) {
          await assert.rejects(commitTick(store, other), (error) => {
            assert.ok(isSolarError(error, 'tip_moved'))
            assert.match(error.message, /tick waits comes first and has no block yet/)
            return true
          })
        }
        assert.equal((await store.order('o'))?.status, 'open')
        await commitTick(store, tick('p', [trade('p', 'z')]))
        await sealWaiting(store)
        for (const other of others) {
          await commitTick(store, other)
          await sealWaiting(store)
        }
        assert.equal((await store.lastBlock())?.height, 5)
      })
    }

    function recoveries(): void {
      const recovery = (id: string, recovers?: string) => ({
        ...registryTick(recoveryOf('authority', id)),
        ...(recovers !== undefined && { recovers }),
      })
      const comesFirst = (tickId: string) => (error: unknown) => {
        assert.ok(isSolarError(error, 'tip_moved'), String(error))
        return error.message.includes(`tick ${tickId} comes first`)
      }

      it('takes the recovery of who is to seal it before all that waits, but for another such recovery', async () => {
        await grow(1)
        const enrolled = registryTick(enrolment('r'))
        await commitTick(store, enrolled)
        await commitTick(store, tick('p', [trade('p', 'z')]))
        assert.equal(await store.waitingRecovery('authority'), undefined)
        await assert.rejects(commitTick(store, recovery('r1')), comesFirst(enrolled.tick_id))
        await commitTick(store, recovery('r1', 'authority'))
        await assert.rejects(commitTick(store, recovery('r2', 'authority')), comesFirst(recovery('r1').tick_id))
        const { tick_id, timestamp, transactions } = recovery('r1')
        assert.deepEqual(await store.waitingRecovery('authority'), { tick_id, timestamp, transactions })
        assert.equal(await store.waitingRecovery('authority-b'), undefined)
        assert.equal((await store.nextUnsealedTick())?.tick_id, enrolled.tick_id)
        await store.fence(blockRow(1, tick_id))
        assert.equal(await store.waitingRecovery('authority'), undefined)
        await commitTick(store, recovery('r2', 'authority'))
      })
    }

    function fences(): void {
      it('fences no block whose parent it does not have: heights have no gap', async () => {
        const missing = (height: number, tickId: string, variant?: string, parent?: string) =>
          assert.rejects(store.fence(blockRow(height, tickId, variant, parent)), coded('missing_parent'))
        await commitTick(store, tick('t0', [trade('t0', 'a')]))
        await missing(1, 't0')
        await sealWaiting(store)
        await commitTick(store, tick('t1', [trade('t1', 'b')]))
        await missing(2, 't1')
        await missing(1, 't1', 'other', blockRow(0, 't0', 'other').block_hash)
        assert.deepEqual(
          (await store.blocks(0, 9)).map(({ height }) => height),
          [0],
        )
        assert.equal((await store.nextUnsealedTick())?.tick_id, 't1')
        await store.fence(blockRow(1, 't1'))
      })
    }

    function voidTicks(): void {
      describe('a tick that can never be sealed', () => {
        const why = { parent: null, reason: 'house-18 is enrolled already', at: T0 + 5 }

        it('is set aside whole, under its id for ever, and gives its orders back what it took', async () => {
          await putOrder(store, order('o', { kwh: '3' }))
          const fills = [{ order_id: 'o', transaction_id: 'a', kwh_micro: 2_500_000n }]
          const poison = tick('m', [trade('m', 'a'), enrolment('r')], { source: 'market', fills })
          const transactions = poison.transactions.map((tx) => ({ ...tx, tick_id: 'm' }))
          await commitTick(store, { ...poison, transactions })
          await commitTick(store, tick('next', [trade('next', 'b')]))
          await store.voidTick('m', why)
          store = await opened.reopen()
          assert.deepEqual(await store.voidTicks(), [
            { tick_id: 'm', timestamp: T0, source: 'market', transactions, reason: why.reason, voided_at: T0 + 5 },
          ])
          assert.deepEqual([await store.tick('m'), await store.transaction('a')], [undefined, undefined])
          assert.deepEqual(
            (await store.openOrders(T0, MOST)).orders.map(({ open_micro }) => open_micro),
            [3_000_000n],
          )
          assert.equal((await store.nextUnsealedTick())?.tick_id, 'next')
          await sealWaiting(store)
          await assert.rejects(commitTick(store, tick('m', [trade('m', 'c')])), (error) => {
            assert.ok(isSolarError(error, 'tick_void'))
            assert.deepEqual(error.fields, { tick_id: 'm', reason: why.reason, voided_at: T0 + 5 })
            return true
          })
          await commitTick(store, tick('m2', [trade('m2', 'a')]))
        })

        it('is not set aside once it has a block, nor on another block than the one on which it was refused', async () => {
          await commitTick(store, tick('t0', [trade('t0', 'a')]))
          await assert.rejects(
            store.voidTick('t0', { ...why, parent: blockRow(0, 't0').block_hash }),
            coded('tip_moved'),
          )
          await sealWaiting(store)
          await assert.rejects(store.voidTick('t0', why), coded('tip_moved'))
          await store.voidTick('t0', { ...why, parent: blockRow(0, 't0').block_hash })
          await store.voidTick('nobody', { ...why, parent: blockRow(0, 't0').block_hash })
          assert.deepEqual(await store.voidTicks(), [])
          assert.equal((await store.tick('t0'))?.block?.height, 0)
        })

        it('gives no user to the voter that it would have enrolled, and takes none from one that is enrolled', async () => {
          const change = enrolment('r')
          const given = { user: { voter_id: change.subject_id, user_id: 'ann' } }
          await commitTick(store, registryTick(change, given))
          await store.voidTick(change.tick_id, why)
          assert.deepEqual(await store.users(), new Map())
          assert.deepEqual(
            (await store.voidTicks(change.tick_id)).map(({ tick_id }) => tick_id),
            [change.tick_id],
          )
          assert.deepEqual([await store.voidTicks('another'), await store.voidTickCount()], [[], 1])

          await commitTick(store, registryTick(enrolment('r2'), given))
          await sealWaiting(store)
          const again = enrolment('r3')
          await commitTick(store, registryTick(again))
          await store.voidTick(again.tick_id, { ...why, parent: (await store.lastBlock())?.block_hash ?? null })
          assert.deepEqual(await store.users(), new Map([[change.subject_id, 'ann']]))
          assert.deepEqual(await store.users(change.subject_id), new Map([[change.subject_id, 'ann']]))
          assert.deepEqual(await store.users('nobody'), new Map())
        })

        it('loses the bodies that are redacted elsewhere', async () => {
          await commitTick(store, tick('t0', [trade('t0', 'a')]))
          await store.fence({ ...blockRow(0, 't0'), finalized_at: T0 })
          const rows = [correction('t1', 'fix', 'a'), trade('t1', 'b')]
          await commitTick(store, tick('t1', rows))
          await store.voidTick('t1', { ...why, parent: blockRow(0, 't0').block_hash })
          await store.redact({ tx_id: 'a', redacted_by: 'mia', reason: 'erasure', redacted_at: T0 })
          assert.deepEqual((await store.voidTicks())[0]?.transactions, [
            { kind: 'redacted', tx_hash: tick('t1', rows).tx_hashes[0] },
            rows[1],
          ])
        })
      })
    }
  })
}
