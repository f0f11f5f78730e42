import { strict as assert } from 'node:assert'
import type { MarketStore, TickCommit } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { unknownRedaction, type Redaction } from '../../src/protocol/redaction.ts'
import { hashTransaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  commitTick,
  correction,
  enrolment,
  MOST,
  order,
  registryTick,
  T0,
  tick,
  trade,
  putOrder,
} from './fixtures.ts'

const coded = (code: string) => (error: unknown) => isSolarError(error, code)
const ALL = { from: 0, to: Number.MAX_SAFE_INTEGER, limit: 100 }
const asked = (tx_id: string) => ({ tx_id, redacted_by: 'mia', reason: 'erasure asked for', redacted_at: T0 + 99 })

/** What every implementation of `MarketStore` must do when a body is removed. */
export function marketStoreRedactContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, redaction: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    const a = trade('t0', 'a', { timestamp: T0 + 5 })
    const b = trade('t0', 'b', { from_user_id: 'roof-2' })
    const fix = correction('t1', 'fix', 'a')

    async function seal(height: number, committed: TickCommit, finalized_at: number | null = T0): Promise<void> {
      await commitTick(store, committed)
      await store.fence({ ...blockRow(height, committed.tick_id), finalized_at })
    }

    async function sealAll(): Promise<void> {
      await putOrder(store, order('buy-a', { kwh: '4' }))
      await putOrder(store, order('buy-b', { user_id: 'flat-2' }))
      const fills = [
        { order_id: 'buy-a', transaction_id: 'a', kwh_micro: 2_500_000n },
        { order_id: 'buy-b', transaction_id: 'b', kwh_micro: 2_500_000n },
      ]
      await seal(0, tick('t0', [a, b], { fills }))
      await seal(1, tick('t1', [fix]))
    }

    it('leaves the hash and the record, of the trade and its corrections, also after reopening', async () => {
      await sealAll()
      const records = await store.redact(asked('a'))
      const common = { redacted_by: 'mia', redacted_at: T0 + 99, reason: 'erasure asked for' }
      const expected = [
        { tx_hash: hashTransaction(a), tx_id: 'a', height: 0, ...common },
        { tx_hash: hashTransaction(fix), tx_id: 'fix', height: 1, ...common },
      ]
      assert.deepEqual(records, expected)
      store = await opened.reopen()
      assert.deepEqual(await store.redactions(), expected)
      assert.equal(await store.redactionCount(), 2)
      const hole = { kind: 'redacted', tx_hash: hashTransaction(a) }
      assert.deepEqual(await store.transactionsOfTick('t0'), [hole, b])
      assert.deepEqual((await store.tick('t0'))?.tx_ids, ['a', 'b'])
      const sealed = (await store.sealedTicks(0, 1)).get(0)
      assert.deepEqual(
        [sealed?.transactions, sealed?.tx_ids],
        [
          [hole, b],
          ['a', 'b'],
        ],
      )
      assert.deepEqual((await store.tick('t0'))?.tx_hashes, [a, b].map(hashTransaction))
      assert.notEqual((await store.tick('t0'))?.content_hash, tick('t0', [a, b]).content_hash)
      assert.deepEqual((await store.transaction('a'))?.transaction, hole)
      assert.equal((await store.transaction('fix'))?.height, 1)
    })

    it('shows it to nobody but who may see all, and then as a hash', async () => {
      await sealAll()
      await store.redact(asked('a'))
      const kinds = async (user_id?: string) =>
        (await store.transactions({ ...ALL, ...(user_id !== undefined && { user_id }) })).transactions.map(
          ({ transaction }) => transaction.kind,
        )
      assert.deepEqual(await kinds(), ['redacted', 'trade', 'redacted'])
      assert.deepEqual([await kinds('roof-1'), await kinds('roof-2')], [[], ['trade']])
      assert.deepEqual((await store.transactions({ ...ALL, corrects: 'a' })).transactions, [])
    })

    it('takes what its orders tell, closes them, and knows their ids when they are placed again', async () => {
      await sealAll()
      await store.redact(asked('a'))
      assert.equal(await store.order('buy-a'), undefined)
      assert.deepEqual((await store.openOrders(T0 + 1, MOST)).orders, [])
      assert.equal(await putOrder(store, order('buy-a', { kwh: '4' })), 'different')
      const other = await store.order('buy-b')
      assert.deepEqual([other?.status, other?.transactions.map(({ id }) => id)], ['filled', ['b']])
    })

    it('is done again in a backup that is older, by the records of the blocks', async () => {
      await sealAll()
      const record = (tx: typeof a | typeof fix, height: number): Redaction => ({
        ...{ tx_hash: hashTransaction(tx), tx_id: tx.id, height },
        ...{ redacted_by: 'mia', redacted_at: T0 + 99, reason: 'erasure asked for' },
      })
      const records = [record(a, 0), record(fix, 1)]
      const elsewhere = record(trade('t7', 'of another block'), 7)
      assert.deepEqual(await store.redactAgain([...records, elsewhere]), records)
      assert.deepEqual(await store.redactions(), records)
      assert.deepEqual(await store.transactionsOfTick('t0'), [{ kind: 'redacted', tx_hash: hashTransaction(a) }, b])
      const again = correction('t2', 'fix-2', 'a')
      await assert.rejects(commitTick(store, tick('t2', [again])), coded('refused_row'))
      assert.deepEqual(await store.redactAgain(records), [])
      store = await opened.reopen()
      assert.deepEqual(await store.redact(asked('a')), [records[0]])
    })

    it('is done once: again it gives the first record', async () => {
      await sealAll()
      const [first] = await store.redact(asked('a'))
      assert.deepEqual(await store.redact({ ...asked('a'), reason: 'another', redacted_at: T0 + 500 }), [first])
      assert.equal((await store.redactions()).length, 2)
      await assert.rejects(commitTick(store, tick('t2', [correction('t2', 'fix-2', 'a')])), coded('refused_row'))
      await assert.rejects(commitTick(store, tick('t3', [trade('t3', 'a')])), coded('duplicate_transaction'))
    })

    it('is refused, and nothing removed, while the trade or a correction of it is not final', async () => {
      await seal(0, tick('t0', [a]))
      await seal(1, tick('t1', [fix]), null)
      await commitTick(store, tick('t2', [trade('t2', 'c')]))
      for (const id of ['a', 'c']) await assert.rejects(store.redact(asked(id)), coded('refused_row'))
      assert.deepEqual([await store.transactionsOfTick('t0'), await store.redactions()], [[a], []])
    })

    it('is refused for a correction alone, a change of the registry and what is not there', async () => {
      await sealAll()
      await seal(2, registryTick(enrolment('r')))
      for (const id of ['fix', 'r']) await assert.rejects(store.redact(asked(id)), coded('refused_row'))
      await assert.rejects(store.redact(asked('nobody')), coded('unknown_transaction'))
      assert.deepEqual(await store.redactions(), [])
    })

    describe('of a block that is put back', () => {
      const hole = { kind: 'redacted', tx_hash: hashTransaction(a) } as const
      const nobodyKnows = unknownRedaction(hole.tx_hash, 0)
      const record = { ...nobodyKnows, tx_id: 'a', redacted_by: 'mia', redacted_at: T0, reason: 'erasure asked for' }
      const restored = (redactions: readonly Redaction[]) => {
        const { fills, parent, ...committed } = tick('t0', [a, b])
        assert.deepEqual([fills, parent], [[], null])
        return { ...committed, transactions: [hole, b], redactions }
      }

      it('is known as what is known of it: its hash alone, or its id and record too', async () => {
        await store.restoreBlock(blockRow(0, 't0'), restored([nobodyKnows]))
        assert.deepEqual(await store.transactionsOfTick('t0'), [hole, b])
        assert.deepEqual(await store.redactions(), [nobodyKnows])
        assert.match((await store.tick('t0'))?.tx_ids[0] ?? '', /^redacted:/)
      })

      it('keeps the id from being used again, where it is known', async () => {
        await store.restoreBlock(blockRow(0, 't0'), restored([record]))
        store = await opened.reopen()
        assert.deepEqual(await store.redactions(), [record])
        assert.deepEqual((await store.tick('t0'))?.tx_ids, ['a', 'b'])
        await assert.rejects(commitTick(store, tick('t9', [trade('t9', 'a')])), coded('duplicate_transaction'))
      })

      for (const known of [record, nobodyKnows]) {
        it(`goes from the tick that was committed here (its id is ${known.tx_id ?? 'unknown'})`, async () => {
          await putOrder(store, order('buy-a', { kwh: '4' }))
          const fills = [{ order_id: 'buy-a', transaction_id: 'a', kwh_micro: 2_500_000n }]
          await commitTick(store, tick('t0', [{ ...a, nonce: '00'.repeat(16) }, b], { fills }))
          await store.restoreBlock(blockRow(0, 't0'), restored([known]))
          store = await opened.reopen()
          assert.deepEqual(await store.transactionsOfTick('t0'), [hole, b])
          assert.deepEqual((await store.tick('t0'))?.tx_ids, ['a', 'b'])
          assert.deepEqual((await store.tick('t0'))?.tx_hashes, [a, b].map(hashTransaction))
          assert.equal(await store.order('buy-a'), undefined)
          assert.equal(await store.nextUnsealedTick(), undefined)
        })
      }

      for (const known of [record, nobodyKnows]) {
        it(`takes its corrections with it, which a peer has left (its id is ${known.tx_id ?? 'unknown'})`, async () => {
          await store.restoreBlock(blockRow(0, 't0'), restored([known]))
          const rows = [fix, correction('t1', 'fix-b', 'b')]
          const { transactions, tx_hashes, ...rest } = tick('t1', rows)
          await store.restoreBlock(blockRow(1, 't1'), { ...rest, transactions, tx_hashes, redactions: [] })
          store = await opened.reopen()
          const gone = { kind: 'redacted', tx_hash: hashTransaction(fix) }
          assert.deepEqual(await store.transactionsOfTick('t1'), [gone, rows[1]])
          assert.deepEqual((await store.tick('t1'))?.tx_ids, ['fix', 'fix-b'])
          const reason = 'the trade that it corrects is gone'
          assert.deepEqual((await store.redactions())[1], {
            ...unknownRedaction(gone.tx_hash, 1),
            tx_id: 'fix',
            reason,
          })
          await assert.rejects(commitTick(store, tick('t2', [correction('t2', 'fix-2', 'a')])), coded('refused_row'))
        })
      }

      it('is refused where another transaction was committed in its place', async () => {
        await commitTick(store, tick('t0', [trade('t0', 'other'), b]))
        await assert.rejects(store.restoreBlock(blockRow(0, 't0'), restored([record])), coded('tick_conflict'))
        assert.deepEqual([await store.redactions(), await store.blocks(0, 1)], [[], []])
      })
    })
  })
}
