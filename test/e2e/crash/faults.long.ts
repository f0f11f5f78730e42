import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Gossip } from '../../../src/ports/gossip.ts'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import type { MarketStore, TickCommit } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { hashTransaction, type Transaction } from '../../../src/protocol/transaction.ts'
import { openPostgres } from '../../../src/storage/sql/postgres.ts'
import { putOrder } from '../../contract/fixtures.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { NOW, openBareLedger, tickOf, type BareLedger } from './bare-ledger.ts'
import { FAULT_MESSAGE, WRITES, type Fault } from './faults.ts'

const FAULTS: readonly Fault[] = WRITES.flatMap((write) => [
  { write, written: false },
  { write, written: true },
])
const nameOf = ({ write, written }: Fault): string =>
  `${write} fails ${written ? 'although it has written' : 'without having written'}`
/** A committed tick as SQL takes it. */
function commitOf(tickId: string): TickCommit {
  const { tick_id, timestamp, transactions: rows } = tickOf(tickId)
  const transactions = rows.map((row, index): Transaction => ({ ...row, tick_id, nonce: `${index}`.padStart(32, '0') }))
  const tx_hashes = transactions.map(hashTransaction)
  const rest = { source: 'platform', content_hash: sha256Hex(tickId), fills: [], parent: null } as const
  return { tick_id, timestamp, transactions, tx_hashes, ...rest }
}
const isFault = (error: unknown): boolean => error instanceof Error && error.message === FAULT_MESSAGE

for (const database of ['SQLite', 'PostgreSQL'] as const) {
  describe(`a write to ${database} that fails in the middle of a tick`, () => {
    failingWrites(database)
  })
}

function failingWrites(database: 'SQLite' | 'PostgreSQL'): void {
  let folder: string
  let opened: BareLedger[] = []
  let databases: TempDatabase[] = []
  const openLedger = async (name = 'ledger', publish: Gossip['publish'] = () => Promise.resolve(0)) => {
    const ledger = await openBareLedger(join(folder, name), publish, await databaseOf(name))
    opened.push(ledger)
    return ledger
  }
  async function databaseOf(name: string): Promise<() => Promise<MarketStore>> {
    if (database === 'SQLite') return () => openSqlite(join(folder, `${name}.db`))
    const temporary = await tempDatabase()
    databases.push(temporary)
    return () => openPostgres(temporary.url)
  }
  const answersOf = (...answers: readonly TickAnswer[]) => new Map(answers.map((answer) => [answer.tick_id, answer]))
  const heightsTold = ({ events }: BareLedger) =>
    events.flatMap((event) => (event.type === 'header' ? [event.sealed.header.height] : []))

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'solar-faults-'))
  })
  afterEach(async () => {
    await Promise.all(opened.map((ledger) => ledger.close()))
    await Promise.all(databases.map((temporary) => temporary.drop()))
    ;[opened, databases] = [[], []]
    await rm(folder, { recursive: true })
  })

  for (const fault of FAULTS) {
    describe(nameOf(fault), () => {
      it('is told to the caller, and the same tick again is sealed once', async () => {
        const ledger = await openLedger()
        const first = await ledger.runner.accept(tickOf('a'))
        ledger.faults.plan(fault)
        await assert.rejects(ledger.runner.accept(tickOf('b')), isFault)
        const retried = await ledger.runner.accept(tickOf('b'))
        const third = await ledger.runner.accept(tickOf('c'))
        assert.deepEqual([first.height, retried.height, third.height], [0, 1, 2])
        assert.deepEqual(await ledger.runner.accept(tickOf('b')), retried)
        await ledger.check(answersOf(first, retried, third))
        assert.deepEqual(heightsTold(ledger), [0, 1, 2])
      })

      it('is made good by the next tick, in the order of commitment', async () => {
        const ledger = await openLedger()
        ledger.faults.plan(fault)
        await assert.rejects(ledger.runner.accept(tickOf('a')), isFault)
        const next = await ledger.runner.accept(tickOf('b'))
        const retried = await ledger.runner.accept(tickOf('a'))
        const committed = fault.write !== 'commitTick' || fault.written
        assert.deepEqual([retried.height, next.height], committed ? [0, 1] : [1, 0])
        await ledger.check(answersOf(next, retried))
        assert.deepEqual(heightsTold(ledger), [0, 1])
      })

      it('is made good by the next start', async () => {
        const ledger = await openLedger()
        const first = await ledger.runner.accept(tickOf('a'))
        ledger.faults.plan(fault)
        await assert.rejects(ledger.runner.accept(tickOf('b')), isFault)
        await ledger.restart()
        const retried = await ledger.runner.accept(tickOf('b'))
        assert.equal(retried.height, 1)
        await ledger.check(answersOf(first, retried))
      })

      it('leaves the orders of a market tick to be filled once', async () => {
        const ledger = await openLedger()
        const order = { kwh: '2', price_per_kwh: '0.2', timestamp: NOW }
        await putOrder(ledger.store, { ...order, order_id: 'sell', user_id: 'ada', side: 'sell' })
        await putOrder(ledger.store, { ...order, order_id: 'buy', user_id: 'ben', side: 'buy' })
        ledger.faults.plan(fault)
        await assert.rejects(ledger.runner.run({ tick_id: 'noon' }), isFault)
        const retried = await ledger.runner.run({ tick_id: 'noon' })
        assert.equal(retried.transactions.length, 1)
        const empty = await ledger.runner.run({ tick_id: 'one' })
        assert.deepEqual([empty.height, empty.transactions], [null, []])
        for (const side of ['sell', 'buy']) {
          const state = await ledger.store.order(side)
          assert.equal(state?.status, 'filled')
          assert.deepEqual(
            state.transactions.map(({ id }) => id),
            retried.transactions.map(({ id }) => id),
          )
        }
        await ledger.check(answersOf(retried, empty))
      })

      it('and the repair that fails too, is repaired by the one after', async () => {
        const ledger = await openLedger()
        ledger.faults.plan(fault, { write: 'append', written: false }, { write: 'append', written: true })
        const failures: unknown[] = []
        let answer: TickAnswer | undefined
        while (answer === undefined) {
          answer = await ledger.runner.accept(tickOf('a')).catch((error: unknown) => {
            assert.ok(isFault(error), String(error))
            failures.push(error)
            return undefined
          })
        }
        // What the store has although it said no needs no repair; the mark is raised before the block is appended.
        const isAppended = fault.write === 'append' && fault.written
        assert.equal(failures.length, isAppended ? 1 : 3)
        await ledger.check(answersOf(answer))
      })
    })
  }

  for (const fault of FAULTS.filter(({ write }) => write !== 'commitTick')) {
    it(`in a proposal (${nameOf(fault)}) costs the next tick neither its place nor an error`, async () => {
      const ledger = await openLedger()
      // Committed by somebody else who writes into the same database.
      await ledger.store.commitTick(commitOf('a'))
      ledger.faults.plan(fault)
      await assert.rejects(ledger.runner.proposeNext(), isFault)
      const next = await ledger.runner.accept(tickOf('b'))
      assert.equal(next.height, 1)
      assert.equal((await ledger.store.tick('a'))?.block?.height, 0)
      assert.equal(await ledger.runner.proposeNext(), undefined)
      assert.deepEqual(heightsTold(ledger), [0, 1])
    })
  }

  it('refuses a tick for its content without forgetting what is under way', async () => {
    const ledger = await openLedger()
    const first = await ledger.runner.accept(tickOf('a'))
    await assert.rejects(ledger.runner.accept({ ...tickOf('b'), transactions: tickOf('a').transactions }), (error) =>
      isSolarError(error, 'duplicate_transaction'),
    )
    const second = await ledger.runner.accept(tickOf('b'))
    assert.equal(second.height, 1)
    await ledger.check(answersOf(first, second))
  })

  it('never loses or doubles anything, whichever writes fail in whichever order', async () => {
    const step = fc.record({
      tick: fc.integer({ min: 0, max: 5 }),
      faults: fc.array(fc.constantFrom(...FAULTS), { maxLength: 3 }),
      then: fc.constantFrom('go on', 'restart', 'propose'),
    })
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const ledger = await openLedger(`run-${run++}`)
        const answers = new Map<string, TickAnswer>()
        for (const { tick, faults, then } of steps) {
          const wanted = tickOf(`tick-${tick}`)
          ledger.faults.plan(...faults)
          // A platform asks until it is answered.
          for (let tries = 0; ; tries++) {
            assert.ok(tries <= faults.length, 'each fault costs one try at most')
            try {
              const answer = await ledger.runner.accept(wanted)
              assert.deepEqual(answers.get(wanted.tick_id) ?? answer, answer)
              answers.set(wanted.tick_id, answer)
              break
            } catch (error) {
              assert.ok(isFault(error), String(error))
              if (then === 'propose') await ledger.runner.proposeNext().catch(() => undefined)
            }
          }
          ledger.faults.plan()
          if (then === 'restart') await ledger.restart()
          await ledger.check(answers)
        }
        assert.deepEqual(
          [...answers.values()].map(({ height }) => height).sort(),
          [...answers.keys()].map((_, n) => n),
        )
      }),
      { numRuns: 25 },
    )
  })

  describe('gossip', () => {
    const cases: readonly (readonly [string, Gossip['publish']])[] = [
      ['that fails', () => Promise.reject(new Error('no network'))],
      [
        'that throws',
        () => {
          throw new Error('no network')
        },
      ],
      ['that never ends', () => new Promise(() => undefined)],
    ]
    for (const [name, publish] of cases) {
      it(`${name} keeps neither the block nor the next tick from being answered`, async () => {
        const ledger = await openLedger('ledger', publish)
        const first = await ledger.runner.accept(tickOf('a'))
        const second = await ledger.runner.accept(tickOf('b'))
        await ledger.runner.idle()
        assert.deepEqual([first.height, second.height], [0, 1])
        await ledger.check(answersOf(first, second))
        await ledger.restart()
        await ledger.check(answersOf(first, second))
      })
    }
  })
}
