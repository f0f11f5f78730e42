import assert from 'node:assert/strict'
import { cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { auditDirectory } from '../../../src/node/audit.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import type { PlatformTick, TickAnswer } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { platformTick } from './platform.ts'

describe('a store that is put back from a backup, or lost', function () {
  this.timeout(60_000)
  let folder: string
  let data: string
  let running: AuthorityNode | undefined
  let ticks: PlatformTick[]
  let answers: TickAnswer[]
  const database = () => join(data, 'ledger.db')
  const level = () => join(data, 'level')
  const backup = (name: string) => join(folder, `backup-${name}`)

  /** While an authority runs, `work` is done; then it stops. */
  async function whileRunning(work: (node: AuthorityNode) => Promise<void>): Promise<void> {
    const flags = { data, http: '127.0.0.1:0', listen: ['/ip4/127.0.0.1/tcp/0'], tick: 'off' }
    const node = createAuthority(loadAuthorityConfig({ flags, env: {} }), { logger: silentLogger })
    await node.start()
    running = node
    await work(node)
    await node.stop()
    running = undefined
  }

  const trade = (count: number) =>
    whileRunning(async ({ ledger }) => {
      for (let n = 0; n < count; n++) {
        const tick = platformTick('tick', ticks.length)
        ticks.push(tick)
        answers.push(await ledger.acceptTick(tick))
      }
    })

  /** Every block is served as it was answered, with every proof; the audit is clean; and the chain goes on. */
  async function everythingIsThere(): Promise<void> {
    await whileRunning(async ({ ledger }) => {
      const { headers } = await ledger.latestHeaders(100)
      assert.deepEqual(
        headers.map(({ header_hash }) => header_hash),
        answers.map(({ header_hash }) => header_hash),
      )
      for (const [index, tick] of ticks.entries()) {
        const { block_hash, transactions } = answers[index]!
        assert.deepEqual(await ledger.acceptTick(tick), answers[index])
        for (const { id, tx_hash } of transactions) {
          assert.equal((await ledger.blockProof(block_hash ?? '', { tx_id: id })).tx_hash, tx_hash)
        }
      }
      await ledger.historyConsistency(1, answers.length)
    })
    await trade(1)
    assert.equal(answers.at(-1)?.height, answers.length - 1)
    const report = await auditDirectory(data, database(), () => undefined)
    assert.deepEqual([report.findings, report.blocks], [[], answers.length])
  }

  async function blocksInSql(): Promise<readonly (readonly [number, string])[]> {
    const store = await openSqlite(database())
    try {
      return (await store.blocks(0, 1_000)).map(({ height, block_hash }) => [height, block_hash] as const)
    } finally {
      await store.close()
    }
  }

  async function refusesToStart(expected: RegExp): Promise<void> {
    await assert.rejects(
      whileRunning(() => Promise.resolve()),
      (error) => isSolarError(error, 'corrupt') && expected.test(error.message),
    )
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'solar-stale-'))
    data = join(folder, 'data')
    ;[ticks, answers] = [[], []]
    await trade(3)
    // Both stores are whole in their files once the authority is stopped.
    await cp(database(), backup('ledger.db'))
    await cp(level(), backup('level'), { recursive: true })
    await trade(5)
  })
  afterEach(async () => {
    await running?.stop()
    running = undefined
    await rm(folder, { recursive: true })
  })

  it('an older SQL file stops the start with the reason, and no height is sealed a second time', async () => {
    await rename(database(), backup('newest'))
    await cp(backup('ledger.db'), database())
    const before = await blocksInSql()
    assert.equal(before.length, 3)
    await refusesToStart(
      /^SQL, block 7 \(is the database an older backup.*\): expected header [0-9a-f]{64}.*found nothing$/,
    )
    await refusesToStart(/^SQL, block 7/)
    assert.deepEqual(await blocksInSql(), before)
    const { findings } = await auditDirectory(data, database(), () => undefined)
    assert.deepEqual(findings, [{ place: 'LevelDB, number of blocks', expected: '3', found: '8' }])

    await rm(database())
    await rename(backup('newest'), database())
    await everythingIsThere()
  })

  it('a lost SQL file stops the start too, instead of beginning the chain anew', async () => {
    await rm(database())
    await refusesToStart(/^SQL, block 7 \(is the database an older backup/)
    assert.deepEqual(await blocksInSql(), [])
  })

  it('a SQL file in which the newest block is another stops the start', async () => {
    // The same height sealed twice, as by an authority that a backup was taken for: each half looks whole in itself.
    const other = join(folder, 'other')
    await cp(data, other, { recursive: true })
    await cp(backup('ledger.db'), join(other, 'ledger.db'))
    await rm(join(other, 'level'), { recursive: true })
    const first = data
    data = other
    ticks.length = 3
    await trade(5)
    await cp(database(), join(first, 'ledger.db'))
    data = first
    await refusesToStart(/^SQL, block 7 .*: expected header [0-9a-f]{64}.*found header [0-9a-f]{64}$/)
  })

  it('LevelDB is made anew from SQL when it was deleted', async () => {
    await rm(level(), { recursive: true })
    await everythingIsThere()
  })

  it('an older LevelDB catches up with SQL', async () => {
    await rm(level(), { recursive: true })
    await cp(backup('level'), level(), { recursive: true })
    await everythingIsThere()
  })
})
