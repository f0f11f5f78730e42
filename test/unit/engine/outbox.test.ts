import assert from 'node:assert/strict'
import { createOutboxReader, type OutboxParts, type OutboxReader } from '../../../src/engine/outbox.ts'
import { tickInPieces } from '../../../src/http/routes/ticks.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { PlatformTick, TickAnswer } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { OutboxStore } from '../../../src/ports/outbox.ts'
import { protocolError } from '../../../src/protocol/errors.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { sqliteOutbox, type OpenedOutbox } from '../../helpers/platform-database.ts'
import { createVirtualClock } from '../../helpers/virtual-clock.ts'

const NOW = 1_760_000_000_000
const POLL_MS = 600_000
const tick = (tick_id: string) => ({ tick_id, timestamp: NOW, transactions: [] })
const answerOf = ({ tick_id }: PlatformTick): TickAnswer => {
  const hash = sha256Hex(tick_id)
  return { tick_id, height: 0, block_hash: hash, header_hash: hash, merkle_root: hash, transactions: [] }
}
const isPromised = <T>(promise: Promise<T>): Promise<boolean> =>
  Promise.race([promise.then(() => true), new Promise<false>((resolve) => setImmediate(() => resolve(false)))])

describe('the reader of the outbox', () => {
  let opened: OpenedOutbox
  let reader: OutboxReader | undefined
  /** Tick ids in the order in which they were accepted. */
  let accepted: string[]
  let alarms: string[]
  let clock: ReturnType<typeof createVirtualClock>
  /** How long it rests after each look; resolves the next `rests`. */
  let onRest: (delayMs: number) => void

  beforeEach(async () => {
    opened = await sqliteOutbox()
    accepted = []
    alarms = []
    clock = createVirtualClock(NOW)
    onRest = () => undefined
  })
  afterEach(async () => {
    await reader?.stop()
    reader = undefined
    await opened.cleanup()
  })

  /** Resolves, with the time that it will rest, when the reader has nothing to do any more. */
  const rests = (): Promise<number> => new Promise((resolve) => (onRest = resolve))

  function create(parts: Partial<OutboxParts> = {}, store: Partial<OutboxStore> = {}): OutboxReader {
    return (reader = createOutboxReader({
      store: { ...opened.store, ...store },
      readTick: tickInPieces,
      accept: (one) => {
        accepted.push(one.tick_id)
        return Promise.resolve(answerOf(one))
      },
      clock: {
        now: () => clock.now(),
        after: (delayMs, task) => {
          onRest(delayMs)
          return clock.after(delayMs, task)
        },
      },
      logger: { ...silentLogger, error: (_fields, message) => alarms.push(message) },
      pollMs: POLL_MS,
      onRow: () => undefined,
      ...parts,
    }))
  }

  it('takes what waits, lowest id first, and looks again after its interval', async () => {
    await opened.platform.write(tick('b'), tick('a'))
    const rested = rests()
    create().start()
    assert.equal(await rested, POLL_MS)
    assert.deepEqual(accepted, ['b', 'a'])
    const rows = await opened.platform.rows()
    assert.deepEqual(
      rows.map(({ tick_id, block_hash, done_at }) => [tick_id, block_hash, done_at]),
      [
        ['b', sha256Hex('b'), NOW],
        ['a', sha256Hex('a'), NOW],
      ],
    )
    await opened.platform.write(tick('c'))
    const again = rests()
    clock.advance(POLL_MS)
    await again
    assert.deepEqual(accepted, ['b', 'a', 'c'])
  })

  it('takes more rows than it reads at a time', async () => {
    const ids = Array.from({ length: 250 }, (_, n) => `t${n}`)
    await opened.platform.write(...ids.map(tick))
    const rested = rests()
    create().start()
    await rested
    assert.deepEqual(accepted, ids)
  })

  it('looks once more when it is told of a row while it looks', async () => {
    let tell = (): void => undefined
    const onOutbox: OutboxStore['onOutbox'] = (wake) => {
      tell = wake
      return () => Promise.resolve()
    }
    const outboxRows: OutboxStore['outboxRows'] = async (limit) => {
      const found = await opened.store.outboxRows(limit)
      if (accepted.length === 0) {
        // Committed just after the look that found nothing.
        await opened.platform.write(tick('late'))
        accepted.push('told')
        tell()
      }
      return found
    }
    const rested = rests()
    create({}, { onOutbox, outboxRows }).start()
    assert.equal(await rested, POLL_MS)
    assert.deepEqual(accepted, ['told', 'late'])
  })

  const unreadable: readonly (readonly [what: string, sqlValue: string, reason: RegExp])[] = [
    ['no JSON', `'soup'`, /^tick: expected JSON/],
    ['nothing', `''`, /^tick: expected JSON/],
    ['half a document', `'{"tick_id":'`, /^tick: expected JSON/],
    ['text that is not UTF-8', `cast(x'ff7b7d' as text)`, /^tick: expected JSON/],
    ['bytes that are not text', `x'00ff'`, /^tick: expected JSON/],
    ['an array', `'[]'`, /^tick: expected an object/],
    ['no tick_id', `'{"timestamp":1,"transactions":[]}'`, /^tick\.tick_id: expected a value/],
    ['an unknown field', `'{"tick_id":"t","timestamp":1,"transactions":[],"note":1}'`, /^tick\.note: expected no such/],
    ['a field named by a zero byte', `'{"a\\u0000b":1}'`, /^tick\.a\?b: expected no such field/],
    [
      'a field with an endless name',
      `'{"${'x'.repeat(10_000)}":1}'`,
      /^tick\.x{77}\.\.\.: expected no such field, got 1$/,
    ],
    ['brackets without end', `'${'['.repeat(100_000)}'`, /^tick: expected JSON/],
    [
      'a trade that is none',
      `'{"tick_id":"t","timestamp":1760000000000,"transactions":[{}]}'`,
      /^tick\.transactions\[0\]\.id/,
    ],
    ['an amount that is no number', `'{"tick_id":"t","timestamp":1e999,"transactions":[]}'`, /^tick\.timestamp/],
    ['too much', `'"' || printf('%.*c', ${32 * 1024 * 1024}, 'x') || '"'`, /^tick: expected at most 33554432 bytes/],
  ]
  for (const [what, value, reason] of unreadable) {
    it(`parks ${what}, says why, and takes the next row`, async () => {
      await opened.platform.execute(`insert into ledger_outbox (tick) values (${value})`)
      await opened.platform.write(tick('next'))
      const rested = rests()
      create().start()
      assert.equal(await rested, POLL_MS)
      const [parked, next] = await opened.platform.parked()
      assert.equal(next, undefined)
      assert.equal(parked?.error_code, 'malformed')
      assert.match(parked.error_reason, reason)
      assert.deepEqual(accepted, ['next'])
      assert.equal(alarms.length, 1)
      assert.match(alarms[0]!, new RegExp(`^ALARM outbox row ${parked.id} is parked: malformed, tick`))
    })
  }

  const refusals = [
    protocolError('wrong_total', {
      id: 'a',
      kwh: '1',
      price_per_kwh: '1',
      total_amount: '2',
      expected: '1',
      amount_decimals: 6,
    }),
    protocolError('bad_transaction', { id: 'a', reason: 'from and to are the same' }),
    ledgerError('refused_row', { id: 'a', reason: 'it corrects a trade that is not sealed' }),
    ledgerError('from_the_future', { what: 'tick bad', timestamp: NOW + 1_000_000, now: NOW }),
    ledgerError('tick_too_large', { count: 100_001, limit: 100_000 }),
    ledgerError('tick_conflict', { tick_id: 'bad', difference: 'transaction a: kwh is 2, committed is 1' }),
    ledgerError('duplicate_transaction', { id: 'a' }),
  ]
  for (const refusal of refusals) {
    it(`parks a row that is refused with ${refusal.code}, and takes the next one`, async () => {
      await opened.platform.write(tick('bad'), tick('next'))
      const rested = rests()
      create({
        accept: (one) => (one.tick_id === 'bad' ? Promise.reject(refusal) : Promise.resolve(answerOf(one))),
      }).start()
      await rested
      const rows = await opened.platform.rows()
      assert.deepEqual(
        rows.map(({ tick_id, error_code, error_reason }) => [tick_id, error_code, error_reason]),
        [
          [null, refusal.code, refusal.message],
          ['next', null, null],
        ],
      )
    })
  }

  const troubles = [
    ledgerError('store_failed', { store: 'sql', operation: 'commitTick', retryable: true, reason: 'it is gone' }),
    ledgerError('store_failed', { store: 'level', operation: 'append', retryable: false, reason: 'the disk is full' }),
    ledgerError('not_ready', { reason: 'the database is an older backup' }),
    ledgerError('fenced', { height: 3, tick_id: 'a', sealed: 'aa' }),
    ledgerError('corrupt', { place: 'trades', expected: 'right', found: 'wrong' }),
    new TypeError('a mistake of this program'),
  ]
  for (const trouble of troubles) {
    it(`parks nothing and passes nothing over while it fails with "${trouble.message}"`, async () => {
      await opened.platform.write(tick('first'), tick('second'))
      let failures = 7
      const accept = (one: PlatformTick): Promise<TickAnswer> => {
        if (failures-- > 0) return Promise.reject(trouble)
        accepted.push(one.tick_id)
        return Promise.resolve(answerOf(one))
      }
      const waits: number[] = []
      let rested = rests()
      create({ accept }).start()
      for (let delayMs = await rested; delayMs !== POLL_MS; delayMs = await rested) {
        waits.push(delayMs)
        assert.deepEqual(await opened.store.outboxCounts(), { waiting: 2, parked: 0 })
        rested = rests()
        clock.advance(delayMs)
      }
      assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
      assert.deepEqual(accepted, ['first', 'second'])
      assert.deepEqual(alarms, [])
    })
  }

  for (const written of [false, true]) {
    it(`asks for the same tick again if the row's end ${written ? 'was written and still failed' : 'failed'}`, async () => {
      await opened.platform.write(tick('first'), tick('second'))
      let isBroken = true
      const finishOutboxRow: OutboxStore['finishOutboxRow'] = async (...row) => {
        if (written || !isBroken) await opened.store.finishOutboxRow(...row)
        if (!isBroken) return
        isBroken = false
        throw ledgerError('store_failed', { store: 'sql', operation: 'it', retryable: true, reason: 'cut off' })
      }
      let rested = rests()
      create({}, { finishOutboxRow }).start()
      assert.equal(await rested, 1_000)
      rested = rests()
      clock.advance(1_000)
      assert.equal(await rested, POLL_MS)
      assert.deepEqual(accepted, written ? ['first', 'second'] : ['first', 'first', 'second'])
      const rows = await opened.platform.rows()
      assert.deepEqual(
        rows.map(({ tick_id }) => tick_id),
        ['first', 'second'],
      )
    })
  }

  it('finishes the row in hand when it stops, takes no other, and goes on there when it starts again', async () => {
    await opened.platform.write(tick('first'), tick('second'))
    let release = (): void => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    let taken = (): void => undefined
    const inHand = new Promise<void>((resolve) => (taken = resolve))
    const accept = async (one: PlatformTick): Promise<TickAnswer> => {
      accepted.push(one.tick_id)
      taken()
      await released
      return answerOf(one)
    }
    const reader = create({ accept })
    reader.start()
    await inHand
    const stopped = reader.stop()
    assert.equal(await isPromised(stopped), false)
    release()
    await stopped
    assert.deepEqual(accepted, ['first'])
    assert.deepEqual(await opened.store.outboxCounts(), { waiting: 1, parked: 0 })
    clock.advance(10 * POLL_MS)
    assert.equal(clock.waiting(), 0)

    const rested = rests()
    reader.start()
    await rested
    assert.deepEqual(accepted, ['first', 'second'])
  })
})
