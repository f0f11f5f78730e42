import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TickAnswer } from '../../../src/ports/ledger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { openPostgres } from '../../../src/storage/sql/postgres.ts'
import { tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import { tempDir } from '../../helpers/temp.ts'
import { openBareLedger, tickOf, type BareLedger } from './bare-ledger.ts'

describe('two authorities with one key on one PostgreSQL', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let database: TempDatabase
  let ledgers: BareLedger[]

  beforeEach(async () => {
    folder = await tempDir()
    database = await tempDatabase()
    const open = (name: string) =>
      openBareLedger(
        join(folder.path, name),
        () => Promise.resolve(0),
        () => openPostgres(database.url),
      )
    ledgers = [await open('first'), await open('second')]
  })
  afterEach(async () => {
    await Promise.all(ledgers.map((ledger) => ledger.close()))
    await database.drop()
    await folder.remove()
  })

  /** As a platform does: the same tick again until it is answered. Gives the codes of the refusals on the way, too. */
  async function insist(ledger: BareLedger, id: string): Promise<{ answer: TickAnswer; refusals: string[] }> {
    const refusals: string[] = []
    for (;;) {
      try {
        return { answer: await ledger.runner.accept(tickOf(id)), refusals }
      } catch (error) {
        assert.ok(isSolarError(error), String(error))
        refusals.push(error.code)
        assert.ok(refusals.length < 20, refusals.join())
      }
    }
  }

  it('fence each other: whoever comes second takes what was sealed and goes on above it', async () => {
    const [first, second] = ledgers as [BareLedger, BareLedger]
    const answers = new Map<string, TickAnswer>()
    const a = await insist(first, 'a')
    const b = await insist(second, 'b')
    // What it had checked was no longer the tip: nothing was committed, and the retry is on what was sealed.
    assert.deepEqual([a.refusals, b.refusals], [[], ['tip_moved']])
    assert.deepEqual([a.answer.height, b.answer.height], [0, 1])
    for (const { answer } of [a, b]) answers.set(answer.tick_id, answer)
    await second.check(answers)
    await first.runner.proposeNext()
    await first.check(answers)
  })

  it('seal ticks that both are sent at the same time once, and answer them alike', async () => {
    const answers = new Map<string, TickAnswer>()
    const ids = Array.from({ length: 15 }, (_, n) => `t${n}`)
    const answered = await Promise.all(
      ledgers.map(async (ledger, n) => {
        const own = new Map<string, TickAnswer>()
        const [all, alone] = [ids, ids.map((id) => `${id}-of-${n}`)]
        for (const id of all.flatMap((one, at) => [one, alone[at] ?? '']))
          own.set(id, (await insist(ledger, id)).answer)
        return own
      }),
    )
    for (const own of answered) {
      for (const [id, answer] of own) {
        assert.deepEqual(answers.get(id) ?? answer, answer)
        answers.set(id, answer)
      }
    }
    assert.equal(answers.size, 45)
    assert.deepEqual(
      [...answers.values()].map(({ height }) => height).sort((a, b) => (a ?? 0) - (b ?? 0)),
      Array.from({ length: 45 }, (_, height) => height),
    )
    for (const ledger of ledgers) {
      await ledger.runner.proposeNext()
      await ledger.check(answers)
    }
  })
})
