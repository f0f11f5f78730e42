import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Kysely } from 'kysely'
import Libsql from 'libsql'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Schema } from '../../../src/storage/sql/schema.ts'
import { connectInThread } from '../../../src/storage/sql/sqlite-connection.ts'
import { kyselyOver } from '../../../src/storage/sql/sqlite-driver.ts'
import { openSqlite, sqliteDialect } from '../../../src/storage/sql/sqlite.ts'
import { createSqlStore } from '../../../src/storage/sql/store.ts'
import {
  blockRow,
  CHAIN,
  commitTick,
  correction,
  enrolment,
  MOST,
  order,
  putOrder,
  registryTick,
  sealWaiting,
  T0,
  tick,
  trade,
  vote,
} from '../../contract/fixtures.ts'
import { tempDir } from '../../helpers/temp.ts'

/** A step that reads a table from end to end. Walks along an index stop at a limit or are over a partial index. */
const WHOLE_TABLE = /SCAN (?!(?:taken|voters)\b)\w+\b(?! USING)/

describe('the SQLite file', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let path: string
  let store: MarketStore

  beforeEach(async () => {
    folder = await tempDir()
    path = join(folder.path, 'market.sqlite')
    store = await openSqlite(path)
  })
  afterEach(async () => {
    await store.close()
    await folder.remove()
  })

  /** Runs SQL behind the store's back. */
  function behind(sql: string): void {
    const database = new Libsql(path)
    database.exec(sql)
    database.close()
  }

  /** How SQLite goes about a query. */
  function planOf(query: string): string {
    const database = new Libsql(path)
    const steps = database.prepare(`explain query plan ${query}`).all() as { detail: string }[]
    database.close()
    return steps.map(({ detail }) => detail).join('\n')
  }

  it('names the place of a value that cannot be right', async () => {
    await commitTick(store, tick('t1', [trade('t1', 'a')]))
    await store.fence(blockRow(0, 't1'))
    await store.putVotes([vote(CHAIN, 0, 'ann')])
    await putOrder(store, order('o1'))
    const change = enrolment('r1')
    await commitTick(store, registryTick(change))
    const cases: readonly [sql: string, read: () => Promise<unknown>, place: RegExp][] = [
      [
        `update ticks set source = 'nobody' where source = 'registry'`,
        () => store.tick(change.tick_id),
        /ticks registry:.* source/,
      ],
      [`update transactions set kwh = '1.50'`, () => store.transactionsOfTick('t1'), /transactions a/],
      [`update transactions set kwh = null`, () => store.transaction('a'), /transactions a/],
      [`update transactions set timestamp = 9007199254740992`, () => store.tick('t1'), /transactions a timestamp/],
      [`update blocks set sealed = '{"header":'`, () => store.blocks(0, 1), /blocks 0 sealed/],
      [`update blocks set sealed = '{}'`, () => store.lastBlock(), /blocks 0 sealed/],
      [`update votes set decision = 'maybe'`, () => store.votesOf(CHAIN), /votes .* ann/],
      [`update orders set side = 'both'`, () => store.order('o1'), /orders o1/],
    ]
    for (const [sql, read, place] of cases) {
      behind(sql)
      await assert.rejects(read(), (error) => isSolarError(error, 'corrupt') && place.test(error.message), sql)
    }
  })

  it('names a registry change that is not, to the letter, what was stored', async () => {
    const change = enrolment('r1')
    await commitTick(store, registryTick(change))
    const changes = [
      `null`,
      `'[]'`,
      `'{}'`,
      `replace(registry, '"enrol"', '"grant"')`,
      `replace(registry, '"enrol"', '"revoke"')`,
      `replace(registry, '{', '{ ')`,
      `replace(registry, '{', '{"id":"r1",')`,
      `replace(registry, '{', '{"role":"authority",')`,
    ]
    for (const value of changes) {
      behind(`update transactions set reason = registry, registry = ${value} where id = 'r1'`)
      await assert.rejects(
        store.transaction('r1'),
        (error) => isSolarError(error, 'corrupt') && error.message.includes('transactions r1 registry'),
        value,
      )
      behind(`update transactions set registry = reason, reason = null where id = 'r1'`)
      assert.deepEqual((await store.transaction('r1'))?.transaction, change)
    }
  })

  it('holds no trade without its parties and no registry change with one', async () => {
    await commitTick(store, tick('t1', [trade('t1', 'a')]))
    await sealWaiting(store)
    await commitTick(store, registryTick(enrolment('r1')))
    for (const party of ['from_user_id', 'to_user_id']) {
      assert.throws(() => behind(`update transactions set ${party} = null where id = 'a'`), /CHECK/)
      assert.throws(() => behind(`update transactions set ${party} = 'me' where id = 'r1'`), /CHECK/)
    }
  })

  it('finds the sealed header of another height in a row', async () => {
    await commitTick(store, tick('t1', [trade('t1', 'a')]))
    await store.fence(blockRow(0, 't1'))
    behind('update blocks set height = 7')
    await assert.rejects(store.lastBlock(), (error) => isSolarError(error, 'corrupt'))
  })

  it('tells what passes from what stays: a lock from a file that is no database', async () => {
    const [holder, waiter] = [new Libsql(path), new Libsql(path)]
    holder.exec('begin immediate')
    assert.throws(
      () => waiter.exec('begin immediate'),
      (error) => sqliteDialect.isRetryable(error),
    )
    holder.exec('rollback')
    holder.close()
    waiter.close()
    const noDatabase = join(folder.path, 'notes.txt')
    await writeFile(noDatabase, 'a shopping list, longer than the header of a database file '.repeat(20))
    for (const wrong of [noDatabase, join(folder.path, 'missing', 'market.sqlite')]) {
      await assert.rejects(openSqlite(wrong), (error) => {
        assert.ok(isSolarError(error, 'store_failed'))
        assert.deepEqual(
          { ...error.fields, reason: '' },
          { store: 'sql', operation: 'open', retryable: false, reason: '' },
        )
        return true
      })
    }
  })

  it('waits for the lock of another without keeping this thread from anything', async () => {
    const other = new Libsql(path)
    other.exec('begin immediate')
    const put = putOrder(store, order('o1'))
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    other.exec('rollback')
    other.close()
    assert.equal(await put, 'created')
  })

  it('is not opened by a version that does not know its schema', async () => {
    await store.close()
    behind(`insert into kysely_migration (name, timestamp) values ('9999-from-the-future', '2099-01-01')`)
    await assert.rejects(
      openSqlite(path),
      (error) => isSolarError(error, 'store_failed') && error.message.includes('9999'),
    )
  })

  it('is whole by itself once it is closed', async () => {
    await commitTick(store, tick('t1', [trade('t1', 'a')]))
    await store.close()
    const copy = join(folder.path, 'copy.sqlite')
    await copyFile(path, copy)
    const restored = await openSqlite(copy)
    assert.deepEqual(await restored.transactionsOfTick('t1'), [trade('t1', 'a')])
    await restored.close()
  })

  it('answers everything from an index, never by reading a whole table', async () => {
    await store.close()
    const connection = await connectInThread(path)
    const queries = new Set<string>()
    const watched: typeof connection = {
      ...connection,
      execute(text, parameters) {
        if (/^(select|insert|update|delete|with)/i.test(text)) queries.add(text)
        return connection.execute(text, parameters)
      },
    }
    store = await createSqlStore(new Kysely<Schema>({ dialect: kyselyOver(watched) }), sqliteDialect)
    queries.clear()
    await putOrder(store, order('o1'))
    await store.openOrders(T0, MOST)
    await store.openOrders(T0, { orders: 0, ofUser: 1 })
    const fills = [{ order_id: 'o1', transaction_id: 'a', kwh_micro: 1n }]
    await commitTick(store, tick('t1', [trade('t1', 'a')], { fills }))
    await store.nextUnsealedTick()
    await store.fence(blockRow(0, 't1'))
    await commitTick(store, tick('t2', [correction('t2', 'fix', 'a')]))
    await assert.rejects(commitTick(store, tick('t3', [trade('t3', 'a')])))
    await store.tick('t1')
    await store.order('o1')
    await store.blocks(0, 10)
    await store.lastBlock()
    await store.blockByHash(CHAIN)
    await store.finalizeUpTo(0, T0)
    await store.putVotes([vote(CHAIN, 0, 'ann')])
    await store.putVotes([vote(CHAIN, 0, 'ann')])
    await store.votesOf(CHAIN)
    await store.voteCounts([CHAIN])
    await store.ackHeights()
    await store.acksFrom(0)
    await store.finalHeight()
    await store.voidTick('t2', { parent: blockRow(0, 't1').block_hash, reason: 'it cannot be', at: T0 })
    await store.voidTicks()
    const user = { voter_id: 'voter-1', user_id: 'ann' }
    await sealWaiting(store)
    await commitTick(store, registryTick(enrolment('r1'), { user }))
    await store.users()
    await store.transaction('a')
    await store.transactions({ from: 0, to: T0 + 1, limit: 10, after: `${T0}:a` })
    await store.transactions({ from: 0, to: T0 + 1, limit: 10, after: `${T0}:a`, user_id: 'roof-1' })
    await store.transactions({ from: 0, to: T0 + 1, limit: 10, corrects: 'a' })
    await store.rememberRequest('r1', T0)
    const ofTrade = [...queries].find((query) => query.includes('"transactions"."corrects" = ')) ?? ''
    assert.match(planOf(ofTrade), /transactions_corrects/)
    assert.ok(queries.size > 25, `${queries.size} queries`)
    for (const query of queries) assert.doesNotMatch(planOf(query), WHOLE_TABLE, query)
  })

  it('holds every tick whose commit had returned when the process was killed, each as a whole', async () => {
    await store.close()
    const script = fileURLToPath(new URL('./commit-until-killed.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import=tsx', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    let returned = 0
    for await (const line of createInterface({ input: child.stdout })) {
      returned = Number(line)
      if (returned === 12) child.kill('SIGKILL')
    }
    await exited
    assert.ok(returned >= 12)
    store = await openSqlite(path)
    for (let number = 1; number <= returned; number++) {
      assert.equal((await store.transactionsOfTick(`t${number}`)).length, 200)
    }
    const later = await store.transactionsOfTick(`t${returned + 1}`)
    assert.ok(later.length === 0 || later.length === 200)
  })
})
