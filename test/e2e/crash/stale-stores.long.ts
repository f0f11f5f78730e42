import assert from 'node:assert/strict'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import type { PlatformRow } from '../../../src/ports/ledger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { hashTransaction, type Transaction } from '../../../src/protocol/transaction.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { heightKey } from '../../../src/storage/level/keyspaces.ts'
import { openLevel } from '../../../src/storage/level/level.ts'
import { openSqlite } from '../../../src/storage/sql/sqlite.ts'
import { openStaleLab, type RunningAuthority, type StaleLab } from './stale-lab.ts'

describe('a store that is put back from a backup, or lost', () => {
  let lab: StaleLab
  let backup: string
  let newest: string

  beforeEach(async () => {
    lab = await openStaleLab()
    await lab.whileRunning((node) => lab.trade(node, 3))
    // Both stores are whole in their files once the authority is stopped.
    backup = await lab.backup('early')
    await lab.whileRunning((node) => lab.trade(node, 5))
    newest = await lab.backup('newest')
  })
  afterEach(() => lab.close())

  /** The chain is as it was answered, goes on, and is found again by the next start. */
  async function everythingIsThere(): Promise<void> {
    await lab.whileRunning(async (node) => {
      await lab.checkChain(node)
      await lab.trade(node, 1)
      assert.equal(lab.answers.at(-1)?.height, lab.answers.length - 1)
    })
    await lab.audit()
    await lab.whileRunning((node) => lab.checkChain(node))
  }

  it('an older SQL file gets its blocks back from LevelDB, and goes on with the one chain', async () => {
    await lab.putBack(backup, 'ledger.db')
    assert.equal((await lab.blocksInSql()).length, 3)
    const { findings } = await auditDirectory(
      lab.data,
      { kind: 'sqlite', path: join(lab.data, 'ledger.db') },
      () => undefined,
    )
    assert.deepEqual(findings, [{ place: 'LevelDB, number of blocks', expected: '3', found: '8' }])
    await everythingIsThere()
    assert.ok(lab.log.includes('SQL is older than LevelDB: 5 blocks are put back'))
  })

  it('a tick that was put back is recognised by its rows, whatever its time, and by nothing else', async () => {
    await lab.putBack(backup, 'ledger.db')
    await lab.whileRunning(async ({ ledger }) => {
      const tick = lab.ticks[5]!
      assert.deepEqual(await ledger.acceptTick({ ...tick, timestamp: tick.timestamp - 1 }), lab.answers[5])
      const [first, ...others] = tick.transactions
      const changed = { ...tick, transactions: [{ ...first!, timestamp: 1 }, ...others] }
      for (const other of [changed, { ...tick, transactions: others }]) {
        await assert.rejects(ledger.acceptTick(other), (error) => isSolarError(error, 'tick_conflict'))
      }
    })
  })

  it('also without the high-water file, and a second time', async () => {
    await lab.putBack(backup, 'ledger.db')
    await lab.lose('high-water')
    await everythingIsThere()
    await lab.putBack(backup, 'ledger.db')
    await everythingIsThere()
  })

  it('a lost SQL file gets the whole chain back', async () => {
    await lab.lose('ledger.db')
    await everythingIsThere()
  })

  it('a SQL file in which the newest block is another stops the start', async () => {
    // The same height sealed twice, as by an authority that a backup was taken for: each half looks whole in itself.
    await lab.putBack(backup, 'ledger.db', 'level')
    await lab.lose('high-water')
    lab.ticks.length = lab.answers.length = 3
    await lab.whileRunning((node) => lab.trade(node, 5))
    await lab.putBack(newest, 'level')
    await lab.refusesToStart(
      /^SQL, block 7 \(another chain than the blocks in level\/\): expected header [0-9a-f]{64} as in LevelDB, found header [0-9a-f]{64} \(solar-node audit names .* solar-node rebuild /,
    )
    await lab.putBack(newest, 'high-water')
    await lab.refusesToStart(/^SQL, block 7/)
  })

  it('a SQL file that has gone on in another way than a longer LevelDB stops the start', async () => {
    await lab.putBack(backup, 'ledger.db', 'level')
    await lab.lose('high-water')
    lab.ticks.length = lab.answers.length = 3
    await lab.whileRunning((node) => lab.trade(node, 1))
    // SQL ends at its own block 3, LevelDB goes on from another.
    await lab.putBack(newest, 'level')
    const before = await lab.blocksInSql()
    await lab.refusesToStart(/^SQL, block 3 \(another chain/)
    assert.deepEqual(await lab.blocksInSql(), before)
  })

  it('a block of LevelDB that was changed is not put into SQL, nor what follows it', async () => {
    await lab.putBack(backup, 'ledger.db')
    const level = await openLevel(join(lab.data, 'level'))
    const body = await level.get(heightKey('body', 5))
    await level.put(heightKey('body', 5), body.replace('"kwh":"40"', '"kwh":"4"').replace('"40"', '"4"'))
    await level.close()
    const expected = /^LevelDB, block 5: expected a valid block, found wrong_merkle_root/
    await lab.refusesToStart(expected)
    await lab.refusesToStart(expected)
    assert.equal((await lab.blocksInSql()).length, 5)
    await lab.putBack(newest, 'level')
    await everythingIsThere()
  })

  it('stores that agree on another block than the one that was sealed stop the start, and both are named', async () => {
    await lab.putBack(backup, 'ledger.db', 'level')
    await lab.lose('high-water')
    const sealed = lab.answers[7]?.header_hash ?? ''
    lab.ticks.length = lab.answers.length = 3
    await lab.whileRunning((node) => lab.trade(node, 6))
    await lab.putBack(newest, 'high-water')
    const here = lab.answers[7]?.header_hash ?? ''
    await lab.refusesToStart(new RegExp(`^block 7: expected header ${sealed}, which this authority.*${here}$`))
  })

  it('LevelDB is made anew from SQL when it was deleted', async () => {
    await lab.lose('level')
    await everythingIsThere()
  })

  it('an older LevelDB catches up with SQL', async () => {
    await lab.putBack(backup, 'level')
    await everythingIsThere()
  })

  it('both stores older than the high-water file: nothing is committed or sealed, and the reason is told', async () => {
    await lab.putBack(backup, 'ledger.db', 'level')
    const before = await lab.blocksInSql()
    const sealed = lab.answers[7]?.header_hash ?? ''
    const reason = `this authority has sealed block 7 (${sealed}) before, this database ends at block 2: restoring`
    await lab.whileRunning(async ({ ledger, url }) => {
      const tick = { ...lab.ticks[3]!, tick_id: 'another' }
      const isRefused = (error: unknown) => isSolarError(error, 'not_ready') && error.message.includes(reason)
      await assert.rejects(ledger.acceptTick(tick), isRefused)
      await assert.rejects(ledger.runTick({ tick_id: 'noon' }), isRefused)
      assert.equal(await ledger.proposeNext(), undefined)
      // What is sealed is answered all the same.
      assert.deepEqual(await ledger.acceptTick(lab.ticks[2]!), lab.answers[2])
      const ready = await fetch(`${url}/ready`)
      const body = JSON.stringify(await ready.json())
      assert.deepEqual([ready.status, body.includes(reason)], [503, true])
    })
    assert.ok(lab.log.includes(`NOT SEALING: ${reason}`))
    assert.deepEqual(await lab.blocksInSql(), before)

    // The operator finds the newer database.
    await lab.putBack(newest, 'ledger.db')
    await everythingIsThere()
  })

  describe('with ticks that the older SQL has and that have no block', () => {
    /** Commits a tick into the older SQL, as a platform that asks again right after the backup was put back. */
    async function commitUnsealed(height: number, change: (row: PlatformRow, index: number) => PlatformRow) {
      await lab.putBack(backup, 'ledger.db')
      const { tick_id, timestamp, transactions: rows } = lab.ticks[height]!
      const transactions = rows
        .map(change)
        .map((row, index): Transaction => ({ ...row, tick_id, nonce: String(index).padStart(32, '0') }))
      const store = await openSqlite(join(lab.data, 'ledger.db'))
      const tx_hashes = transactions.map(hashTransaction)
      const content_hash = sha256Hex('as asked for')
      await store.commitTick({
        parent: (await store.lastBlock())?.block_hash ?? null,
        tick_id,
        timestamp,
        transactions,
        tx_hashes,
        source: 'platform',
        content_hash,
        fills: [],
      })
      await store.close()
    }

    it('the sealed ones take their place if only the nonces differ', async () => {
      await commitUnsealed(4, (row) => row)
      await everythingIsThere()
    })

    it('other content is refused by name, and nothing of that block is put back', async () => {
      await commitUnsealed(4, (row, index) => (index === 7 ? { ...row, timestamp: 1 } : row))
      await assert.rejects(
        lab.whileRunning(() => Promise.resolve()),
        (error) =>
          isSolarError(error, 'tick_conflict') &&
          /^tick tick:4 .*transaction tick:4:7: timestamp is/.test(error.message),
      )
      assert.equal((await lab.blocksInSql()).length, 4)
      await lab.putBack(newest, 'ledger.db')
      await everythingIsThere()
    })
  })

  it('orders that the older SQL has open do not trade a second time, and the tick that traded them answers again', async () => {
    const order = { kwh: '2', price_per_kwh: '0.2' }
    const pair = async (node: RunningAuthority, name: string, timestamp: number) => {
      await node.ledger.placeOrder({ ...order, order_id: `sell-${name}`, user_id: 'ada', side: 'sell', timestamp })
      await node.ledger.placeOrder({ ...order, order_id: `buy-${name}`, user_id: 'ben', side: 'buy', timestamp })
    }
    const placed = Date.now()
    await lab.whileRunning((node) => pair(node, 'early', placed))
    const early = await lab.backup('with orders')
    await lab.whileRunning(async (node) => {
      // Placed and traded after the backup: nothing of these is known to it.
      await pair(node, 'late', placed)
      lab.answers.push(await node.ledger.runTick({ tick_id: 'noon' }))
    })
    const noon = lab.answers[8]!
    assert.equal(noon.transactions.length, 2)

    await lab.putBack(early, 'ledger.db')
    await lab.whileRunning(async (node) => {
      const { ledger } = node
      assert.deepEqual(await ledger.runTick({ tick_id: 'noon' }), noon)
      // The platform places its orders again.
      await pair(node, 'early', placed)
      await pair(node, 'late', placed)
      for (const id of ['sell-early', 'buy-late']) assert.equal((await ledger.order(id)).status, 'expired')
      assert.deepEqual((await ledger.runTick({ tick_id: 'one' })).transactions, [])
      await pair(node, 'new', Date.now() + 1)
      const two = await ledger.runTick({ tick_id: 'two', timestamp: Date.now() + 2 })
      assert.equal(two.transactions.length, 1)
      lab.answers.push(two)
    })
    await lab.audit()
  })
})
