import { strict as assert } from 'node:assert'
import type { BlockRow, MarketStore, RestoredTick } from '../../src/ports/market-store.ts'
import { isSolarError } from '../../src/protocol/errors.ts'
import { hashHeader } from '../../src/protocol/header.ts'
import { unknownId, unknownRedaction } from '../../src/protocol/redaction.ts'
import { hashTransaction, type Transaction } from '../../src/protocol/transaction.ts'
import type { OpenedStore } from '../helpers/stores.ts'
import {
  blockRow,
  commitTick,
  correction,
  enrolment,
  MOST,
  order,
  putOrder,
  registryTick,
  sealed,
  storedAs,
  T0,
  tick,
  trade,
} from './fixtures.ts'

const failing = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(isSolarError(error, code), String(error))
  assert.match(error.message, message)
  return true
}

/** A block of this height over these transactions, and its tick as it is known from the block; header time T0 + height. */
function restored(
  height: number,
  transactions: readonly Transaction[],
  below?: BlockRow,
): { row: BlockRow; tick: RestoredTick } {
  const tick_id = transactions[0]!.tick_id
  const head = sealed(height, transactions, '', below?.block_hash)
  const { chain_id, timestamp } = head.header
  return {
    row: { height, block_hash: hashHeader(head.header), tick_id, sealed: head, finalized_at: null },
    tick: {
      ...{ tick_id, timestamp, transactions, source: 'restored', content_hash: chain_id },
      tx_hashes: transactions.map(hashTransaction),
      redactions: [],
    },
  }
}

/** The same row as it was drawn another nonce for. */
const again = <T extends Transaction>(tx: T): T => ({ ...tx, nonce: '00'.repeat(16) })

/** What every `MarketStore` must do when it is an older backup and its blocks come back. */
export function marketStoreRestoreContract(name: string, open: () => Promise<OpenedStore<MarketStore>>): void {
  describe(`market store contract, blocks that are put back: ${name}`, () => {
    let opened: OpenedStore<MarketStore>
    let store: MarketStore

    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(() => opened.cleanup())

    const restore = async (block: ReturnType<typeof restored>) => store.restoreBlock(block.row, block.tick)
    const openIds = async (at: number) => (await store.openOrders(at, MOST)).orders.map(({ order_id }) => order_id)
    const statusOf = async (id: string) => (await store.order(id))?.status

    newBlocks()
    ticksWithoutName()
    committedTicks()
    orders()

    function newBlocks(): void {
      it('are whole: the tick, its transactions and the block row, also after reopening', async () => {
        const first = restored(0, [trade('t1', 'a'), trade('t1', 'b')])
        const enrolled = registryTick(enrolment('r'))
        const second = restored(1, enrolled.transactions, first.row)
        const third = restored(2, [correction('t3', 'fix', 'b'), trade('t3', 'c')], second.row)
        await restore(first)
        await restore({ ...second, tick: { ...second.tick, source: 'registry' } })
        await restore({ ...third, row: { ...third.row, finalized_at: T0 + 7 } })
        store = await opened.reopen()
        assert.deepEqual(await store.tick('t1'), storedAs(first.tick, first.row))
        assert.equal((await store.tick(enrolled.tick_id))?.source, 'registry')
        assert.deepEqual(await store.transactionsOfTick('t3'), third.tick.transactions)
        assert.deepEqual(
          (await store.blocks(0, 10)).map(({ height, block_hash, finalized_at }) => [height, block_hash, finalized_at]),
          [
            [0, first.row.block_hash, null],
            [1, second.row.block_hash, null],
            [2, third.row.block_hash, T0 + 7],
          ],
        )
        assert.equal(await store.nextUnsealedTick(), undefined)
        const place = await store.transaction('fix')
        assert.deepEqual([place?.height, place?.tx_hash], [2, third.tick.tx_hashes[0]])
      })

      it('are taken again, and no others of their height', async () => {
        const block = restored(0, [trade('t1', 'a')])
        await restore(block)
        await restore(block)
        await assert.rejects(restore(restored(0, [trade('t2', 'b')])), failing('fenced', /^height 0 /))
        assert.equal(await store.tick('t2'), undefined)
      })

      it('come one after another: a height that is not the next is refused', async () => {
        await assert.rejects(restore(restored(1, [trade('t1', 'a')])), failing('corrupt', /height 0 next.*height 1/))
        assert.equal(await store.tick('t1'), undefined)
      })

      it('follow what the store has sealed itself', async () => {
        await commitTick(store, tick('t1', [trade('t1', 'a')]))
        await store.fence(blockRow(0, 't1'))
        await restore(restored(1, [correction('t2', 'fix', 'a')]))
        assert.equal((await store.lastBlock())?.height, 1)
      })

      it('whose corrections cannot be leave nothing behind', async () => {
        const first = restored(0, [trade('t1', 'a', { kwh: '2.5' })])
        await restore(first)
        const rows = [trade('t2', 'b'), correction('t2', 'fix', 'a', { kwh_delta: '-2.6' })]
        const tooMuch = restored(1, rows, first.row)
        await assert.rejects(restore(tooMuch), failing('refused_row', /would fall below 0 kWh/))
        assert.equal(await store.tick('t2'), undefined)
        assert.equal((await store.blocks(0, 10)).length, 1)
      })
    }

    function ticksWithoutName(): void {
      describe('of which no transaction is left', () => {
        const gone = trade('t1', 'a')
        const hole = { kind: 'redacted', tx_hash: hashTransaction(gone) } as const
        const tick_id = unknownId(hole.tx_hash)

        /** The block of a tick whose only trade nobody shows: its own name is gone with it. */
        function nameless(height: number): ReturnType<typeof restored> {
          const { row, tick } = restored(height, [gone])
          const redactions = [unknownRedaction(hole.tx_hash, height)]
          return { row: { ...row, tick_id }, tick: { ...tick, tick_id, transactions: [hole], redactions } }
        }
        const postedAt = (id: string, timestamp: number) =>
          commitTick(store, { ...tick(id, [trade(id, `${id}.0`)]), timestamp })

        it('keep out the ticks of a platform that may be theirs, also after reopening', async () => {
          const block = nameless(0)
          await restore(block)
          store = await opened.reopen()
          const { timestamp } = block.row.sealed.header
          for (const at of [timestamp, timestamp - 1000]) {
            await assert.rejects(postedAt('t1', at), failing('tick_conflict', /t1.*put back without a body/))
          }
          assert.equal(await store.tick('t1'), undefined)
          await postedAt('t2', timestamp + 1)
          assert.notEqual(await store.tick('t2'), undefined)
        })

        it('take the name of the tick that waits for that block: its hashes are the same', async () => {
          await commitTick(store, tick('t1', [gone]))
          await restore(nameless(0))
          assert.equal(await store.nextUnsealedTick(), undefined)
          const stored = await store.tick('t1')
          assert.deepEqual([stored?.block?.height, stored?.transactions, stored?.tx_ids], [0, [hole], ['a']])
          assert.equal(await store.tick(tick_id), undefined)
          const later = tick('t2', [trade('t2', 'b')])
          await commitTick(store, later)
          assert.notEqual(await store.tick('t2'), undefined, 'a name that is known keeps nobody out')
        })

        it('keep out no change of the registry, which is never removed', async () => {
          await restore(nameless(0))
          const change = registryTick(enrolment('r'))
          await commitTick(store, { ...change, timestamp: T0 - 1000 })
          assert.notEqual(await store.tick(change.tick_id), undefined)
        })
      })

      it('with a transaction left keep nobody out', async () => {
        const block = restored(0, [trade('t1', 'a')])
        await restore(block)
        await commitTick(store, { ...tick('t0', [trade('t0', 'b')]), timestamp: block.row.sealed.header.timestamp })
        assert.notEqual(await store.tick('t0'), undefined)
      })
    }

    function committedTicks(): void {
      describe('over ticks that were committed and have no block', () => {
        it('take the place of the same rows, whose nonces differ', async () => {
          const rows = [trade('t1', 'a'), trade('t1', 'b', { kwh: '1', total_amount: '0.2' })]
          await commitTick(store, tick('t1', rows.map(again), { timestamp: T0 + 3 }))
          const block = restored(0, rows)
          await restore(block)
          store = await opened.reopen()
          assert.deepEqual(await store.tick('t1'), storedAs(block.tick, block.row))
          assert.equal(await store.nextUnsealedTick(), undefined)
        })

        it('take the place of the same change of the registry', async () => {
          const enrolled = registryTick(enrolment('r'))
          await commitTick(store, enrolled)
          const block = restored(0, enrolled.transactions)
          await restore({ ...block, tick: { ...block.tick, source: 'registry' } })
          assert.deepEqual((await store.tick(enrolled.tick_id))?.block, block.row)
        })

        const others: readonly (readonly [string, readonly Transaction[], RegExp])[] = [
          ['another value', [trade('t1', 'a', { kwh: '3' }), trade('t1', 'b')], /transaction a: kwh is 2\.5.*is 3$/],
          ['another order', [trade('t1', 'b'), trade('t1', 'a')], /transaction a is at position 0, committed is 1$/],
          ['a row less', [trade('t1', 'a')], /transaction b is not among those that are committed$/],
          ['no rows at all', [], /transaction a is not among those that are committed$/],
        ]
        for (const [what, rows, message] of others) {
          it(`are refused where the tick has ${what}, and nothing is half done`, async () => {
            const committed = tick('t1', rows.map(again))
            await commitTick(store, committed)
            await putOrder(store, order('o', { timestamp: T0 }))
            const block = restored(0, [trade('t1', 'a'), trade('t1', 'b')])
            await assert.rejects(restore(block), failing('tick_conflict', message))
            const { fills, ...expected } = committed
            assert.deepEqual([fills, await store.tick('t1')], [[], storedAs(expected, null)])
            assert.deepEqual(await store.blocks(0, 10), [])
            assert.deepEqual(await openIds(T0), ['o'])
          })
        }

        it('are refused where a transaction is in another tick', async () => {
          await commitTick(store, tick('t9', [trade('t9', 'b')]))
          const block = restored(0, [trade('t1', 'a'), trade('t1', 'b')])
          await assert.rejects(
            restore(block),
            failing(
              'corrupt',
              /^SQL, transaction b: expected it in tick t1, as in the sealed block 0, found it in tick t9$/,
            ),
          )
          assert.equal(await store.tick('t1'), undefined)
        })

        it('leave other ticks waiting for a block of their own', async () => {
          await commitTick(store, tick('t9', [trade('t9', 'z')]))
          await restore(restored(0, [trade('t1', 'a')]))
          assert.equal((await store.nextUnsealedTick())?.tick_id, 't9')
        })
      })
    }

    function orders(): void {
      describe('and orders', () => {
        const fill = (order_id: string, transaction_id: string, kwh_micro: bigint) => ({
          order_id,
          transaction_id,
          kwh_micro,
        })

        it('placed until then never match again, whether they are there or are placed once more', async () => {
          await putOrder(store, order('here', { timestamp: T0 }))
          await putOrder(store, order('later', { timestamp: T0 + 1 }))
          const first = restored(0, [trade('t1', 'a')])
          await restore(first)
          await putOrder(store, order('posted-again', { timestamp: T0 - 5 }))
          assert.deepEqual(await openIds(T0 + 10), ['later'])
          assert.deepEqual([await statusOf('here'), await statusOf('posted-again')], ['expired', 'expired'])
          assert.equal(await statusOf('later'), 'open')
          store = await opened.reopen()
          assert.deepEqual(await openIds(T0 + 10), ['later'])
          await restore(restored(1, [trade('t2', 'b')], first.row))
          assert.deepEqual(await openIds(T0 + 10), [])
        })

        it('stay open over a change of the registry, which trades nothing', async () => {
          await putOrder(store, order('here', { timestamp: T0 - 1 }))
          const block = restored(0, registryTick(enrolment('r')).transactions)
          await restore({ ...block, tick: { ...block.tick, source: 'registry' } })
          assert.deepEqual(await openIds(T0), ['here'])
        })

        it('keep the fills of the tick that the block seals', async () => {
          await putOrder(store, order('o', { kwh: '3' }))
          const fills = [fill('o', 'a', 2_500_000n)]
          await commitTick(store, tick('m1', [again(trade('m1', 'a'))], { source: 'market', fills }))
          const block = restored(0, [trade('m1', 'a')])
          await restore(block)
          assert.deepEqual(await store.order('o'), {
            order: order('o', { kwh: '3' }),
            status: 'partial',
            transactions: [{ id: 'a', tx_hash: block.tick.tx_hashes[0], block_hash: block.row.block_hash }],
          })
          assert.deepEqual(await openIds(T0), [])
        })

        it('get back what market ticks without a block have taken, and those ticks are gone', async () => {
          await putOrder(store, order('old', { kwh: '3' }))
          await putOrder(store, order('new', { kwh: '3', timestamp: T0 + 1 }))
          await commitTick(
            store,
            tick('m1', [trade('m1', 'x')], {
              ...{ source: 'market', timestamp: T0 + 1 },
              fills: [fill('old', 'x', 2_500_000n), fill('new', 'x', 2_500_000n)],
            }),
          )
          // It was sealed with other trades.
          await restore(restored(0, [trade('m1', 'z')]))
          assert.equal(await store.transaction('x'), undefined)
          assert.equal(await store.nextUnsealedTick(), undefined)
          assert.deepEqual(
            (await store.openOrders(T0 + 1, MOST)).orders.map(({ order_id, open_micro }) => [order_id, open_micro]),
            [['new', 3_000_000n]],
          )
          assert.deepEqual((await store.order('old'))?.transactions, [])
          assert.equal(await statusOf('old'), 'expired')
        })
      })
    }
  })
}
