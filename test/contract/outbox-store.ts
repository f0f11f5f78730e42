import assert from 'node:assert/strict'
import { MAX_TICK_BYTES } from '../../src/protocol/limits.ts'
import { sha256Hex } from '../../src/protocol/hash.ts'
import type { OpenedOutbox } from '../helpers/platform-database.ts'

const SEALED = { tick_id: 't1', block_hash: sha256Hex('a block') }
const WHY = { code: 'malformed', reason: 'tick: expected JSON, got soup' }

/** What every implementation of `OutboxStore` must do. `open` gives a new, empty store each time. */
export function outboxStoreContract(name: string, open: () => Promise<OpenedOutbox>): void {
  describe(`outbox store contract: ${name}`, () => {
    let opened: OpenedOutbox
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(() => opened.cleanup())

    /** The text of a row that waits. */
    async function textOf(id: bigint): Promise<string> {
      const row = await opened.store.outboxTick(id)
      assert.ok(row !== undefined && 'bytes' in row)
      return new TextDecoder().decode(row.bytes)
    }

    it('is empty at first', async () => {
      const { store } = opened
      assert.deepEqual(await store.outboxRows(10), [])
      assert.deepEqual(await store.outboxCounts(), { waiting: 0, parked: 0 })
      assert.equal(await store.outboxTick(1n), undefined)
    })

    it('gives rows in the order in which they were written, no more than asked for, each as it was written', async () => {
      const { store, platform } = opened
      const texts = ['{"tick_id":"t1"}', 'not JSON', '', '{"é":"☀ \\u0000"}', `"${'x'.repeat(100_000)}"`]
      await platform.write(...texts.slice(0, 2))
      await platform.write(...texts.slice(2))
      const ids = await store.outboxRows(10)
      assert.deepEqual(await Promise.all(ids.map(textOf)), texts)
      assert.deepEqual(
        ids,
        ids.toSorted((a, b) => Number(a - b)),
      )
      assert.deepEqual(await store.outboxRows(2), ids.slice(0, 2))
      assert.deepEqual(await store.outboxCounts(), { waiting: 5, parked: 0 })
    })

    it('takes any id that a BIGINT holds, digit for digit', async () => {
      const { store, platform } = opened
      const ids = [-3n, 9007199254740993n, 9223372036854775807n]
      const overriding = name === 'PostgreSQL' ? 'overriding system value' : ''
      for (const id of ids) {
        await platform.execute(`insert into ledger_outbox (id, tick) ${overriding} values (${id}, '"${id}"')`)
      }
      assert.deepEqual(await store.outboxRows(10), ids)
      assert.deepEqual(await Promise.all(ids.map(textOf)), ['"-3"', '"9007199254740993"', '"9223372036854775807"'])
      await store.finishOutboxRow(9007199254740993n, SEALED, 1)
      await store.parkOutboxRow(9223372036854775807n, WHY)
      assert.deepEqual(await store.outboxRows(10), [-3n])
    })

    it('forgets the text of a row that is sealed, and says what it became', async () => {
      const { store, platform } = opened
      await platform.write('{"tick_id":"t1"}', '{"tick_id":"t2"}')
      const [first = 0n, second = 0n] = await store.outboxRows(10)
      await store.finishOutboxRow(first, SEALED, 1_760_000_000_001)
      await store.finishOutboxRow(second, { tick_id: 't2', block_hash: null }, Number.MAX_SAFE_INTEGER)
      const common = { tick: null, error_code: null, error_reason: null }
      const rows = await platform.rows()
      assert.deepEqual(
        rows.map((row) => ({ ...row })),
        [
          { ...common, id: Number(first), ...SEALED, done_at: 1_760_000_000_001 },
          { ...common, id: Number(second), tick_id: 't2', block_hash: null, done_at: Number.MAX_SAFE_INTEGER },
        ],
      )
      assert.deepEqual(await store.outboxRows(10), [])
      assert.equal(await store.outboxTick(first), undefined)
      assert.deepEqual(await store.outboxCounts(), { waiting: 0, parked: 0 })
    })

    it('keeps a parked row out until its code is cleared', async () => {
      const { store, platform } = opened
      await platform.write('soup', '{}')
      const [first = 0n, second = 0n] = await store.outboxRows(10)
      await store.parkOutboxRow(first, WHY)
      assert.deepEqual(await store.outboxRows(10), [second])
      assert.equal(await store.outboxTick(first), undefined)
      assert.deepEqual(await store.outboxCounts(), { waiting: 1, parked: 1 })
      const [{ tick, error_code, error_reason } = assert.fail()] = await platform.rows()
      assert.deepEqual([tick, error_code, error_reason], ['soup', WHY.code, WHY.reason])

      await platform.execute('update ledger_outbox set error_code = null, error_reason = null')
      assert.deepEqual(await store.outboxRows(10), [first, second])
      assert.equal(await textOf(first), 'soup')
    })

    it('changes no row that is sealed or parked already', async () => {
      const { store, platform } = opened
      await platform.write('{}', '{}')
      const [first = 0n, second = 0n] = await store.outboxRows(10)
      await store.finishOutboxRow(first, SEALED, 5)
      await store.parkOutboxRow(second, WHY)
      const before = await platform.rows()
      await store.parkOutboxRow(first, WHY)
      await store.finishOutboxRow(second, SEALED, 6)
      assert.deepEqual(await platform.rows(), before)
    })

    it('reads nothing of a row that is too long', async () => {
      const { store, platform } = opened
      await platform.write('x'.repeat(MAX_TICK_BYTES), 'x'.repeat(MAX_TICK_BYTES + 1))
      const [fits = 0n, tooLong = 0n] = await store.outboxRows(10)
      const row = await store.outboxTick(fits)
      assert.ok(row !== undefined && 'bytes' in row)
      assert.equal(row.bytes.length, MAX_TICK_BYTES)
      assert.deepEqual(await store.outboxTick(tooLong), { tooLong: MAX_TICK_BYTES + 1 })
    })

    it('takes no row without a tick', async () => {
      const insert = opened.platform.execute('insert into ledger_outbox (tick) values (null)')
      await assert.rejects(insert, /ledger_outbox_tick/)
    })
  })
}
