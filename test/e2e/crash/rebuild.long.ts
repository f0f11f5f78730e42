import assert from 'node:assert/strict'
import { cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Level } from 'level'
import { rebuildDirectory } from '../../../src/node/rebuild.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { heightKey } from '../../../src/storage/level/keyspaces.ts'
import { cliGroup, jsonLines } from '../main-job/cli.ts'
import { changeRows } from '../main-job/database.ts'
import { startChild } from '../../unit/node/child.ts'
import { openStaleLab, type StaleLab } from './stale-lab.ts'

const BLOCKS = 30
const CHILD = new URL('rebuild-child.ts', import.meta.url).pathname

describe('solar-node rebuild', () => {
  const clis = cliGroup()
  let lab: StaleLab
  let backup: string
  let level: string
  let database: string

  before(async () => {
    lab = await openStaleLab()
    await lab.whileRunning((node) => lab.trade(node, BLOCKS))
    backup = await lab.backup('whole')
    level = join(lab.data, 'level')
    database = join(lab.data, 'ledger.db')
  })
  afterEach(async () => {
    for (const name of await readdir(lab.data)) {
      if (/^(level|ledger\.db)/.test(name)) await rm(join(lab.data, name), { recursive: true })
    }
    await lab.putBack(backup, 'ledger.db', 'level', 'high-water')
  })
  after(async () => {
    await clis.killAll()
    await lab.close()
  })

  const rebuild = () => rebuildDirectory(lab.data, { kind: 'sqlite', path: database }, () => undefined)
  const entriesOf = async (folder: string): Promise<readonly (readonly [string, string])[]> => {
    const db = new Level(folder)
    try {
      return await db.iterator().all()
    } finally {
      await db.close()
    }
  }
  const foldersBeside = async (): Promise<readonly string[]> =>
    (await readdir(lab.data)).filter((name) => name.startsWith('level.'))
  /** The chain is as it was answered, both stores agree, and nothing is left over. */
  async function isWhole(): Promise<void> {
    await lab.audit()
    await lab.whileRunning((node) => lab.checkChain(node))
    assert.deepEqual(await foldersBeside(), [])
  }

  it('makes every key and value of LevelDB that were there before', async () => {
    const before = await entriesOf(level)
    assert.ok(before.length > BLOCKS)
    await rm(level, { recursive: true })
    const report = await rebuild()
    const transactions = lab.answers.reduce((sum, answer) => sum + answer.transactions.length, 0)
    assert.deepEqual(report, { blocks: BLOCKS, transactions })
    assert.deepEqual(await entriesOf(level), before)
    await isWhole()
  })

  it('is a command that says what it did, also as JSON, and where LevelDB cannot even be opened', async () => {
    for (const name of await readdir(level)) {
      if (/^(MANIFEST|CURRENT)/.test(name)) await writeFile(join(level, name), 'not a manifest')
    }
    await assert.rejects(lab.audit(), (error) => isSolarError(error, 'store_failed'))
    const { code, stdout, stderr } = await clis.run('rebuild', '--data', lab.data)
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^30 blocks, [0-9]+ transactions: level\/ is made anew from SQL\n$/)
    const again = await clis.run('rebuild', '--data', lab.data, '--json')
    const [report] = jsonLines(again.stdout) as [{ blocks: number }]
    assert.deepEqual([again.code, report.blocks], [0, BLOCKS])
    await isWhole()
  })

  it('mends a LevelDB whose values were changed', async () => {
    const db = new Level(level)
    for (const height of [3, 7]) await db.put(heightKey('body', height), '[]')
    await db.del(heightKey('header', BLOCKS - 1))
    await db.close()
    await rebuild()
    await isWhole()
  })

  describe('where SQL is damaged names the place and leaves LevelDB as it is', () => {
    const damages: readonly (readonly [what: string, sql: string, message: RegExp])[] = [
      [
        'a trade',
        `update transactions set kwh = '9.5', total_amount = '9.5', price_per_kwh = '1' where id = 'tick:4:3'`,
        /^SQL, block 4, transaction tick:4:3: expected values that hash to [0-9a-f]{64}, which is sealed, found /,
      ],
      [
        'the hash of a trade',
        `update transactions set tx_hash = '${'5a'.repeat(32)}' where id = 'tick:4:3'`,
        /^SQL, block 4, transaction tick:4:3, tx_hash: expected [0-9a-f]{64}, found 5a/,
      ],
      [
        'a trade that is gone',
        `delete from transactions where id = 'tick:4:3'`,
        /^SQL, block 4 \(tick tick:4\): expected a valid block, found wrong_tx_count/,
      ],
      [
        'the hash of a block',
        `update blocks set block_hash = '${'5a'.repeat(32)}' where height = 4`,
        /^SQL, block 4, block_hash: expected [0-9a-f]{64}, found 5a/,
      ],
      [
        'a seal',
        `update blocks set sealed = json_set(sealed, '$.signature', '${'5a'.repeat(64)}') where height = 4`,
        /^SQL, block 4 \(tick tick:4\): expected a valid block, found bad_seal/,
      ],
      [
        'a block that is gone',
        `delete from blocks where height = 4`,
        /^SQL, block 4: expected a row, found block 5 next/,
      ],
    ]
    for (const [what, sql, message] of damages) {
      it(what, async () => {
        const before = await entriesOf(level)
        assert.equal(changeRows(database, sql), 1)
        await assert.rejects(rebuild(), (error) => isSolarError(error, 'corrupt') && message.test(error.message))
        assert.deepEqual(await entriesOf(level), before)
      })
    }
  })

  it('throws no block away that only LevelDB has: the start puts it back into SQL', async () => {
    changeRows(database, `delete from blocks where height >= ${BLOCKS - 5}`)
    const isRefused = (error: unknown) =>
      isSolarError(error, 'rebuild_would_lose') &&
      error.message.startsWith('SQL ends at block 24, level/ at block 29: ')
    await assert.rejects(rebuild(), isRefused)
    const { stdout } = await clis.run('audit', '--data', lab.data)
    assert.match(
      stdout,
      /\nSQL is older than LevelDB: start the node, which puts the blocks that SQL lacks back into it\n$/,
    )
    await lab.whileRunning((node) => lab.checkChain(node))
    await rebuild()
    await isWhole()
  })

  it('is refused where LevelDB cannot be read and the high-water file knows of more than SQL', async () => {
    changeRows(database, `delete from blocks where height >= ${BLOCKS - 5}`)
    await writeFile(join(level, 'CURRENT'), 'nothing')
    const reason = 'this authority has sealed block 29, and level/ cannot be read'
    await assert.rejects(
      rebuild(),
      (error) => isSolarError(error, 'rebuild_would_lose') && error.message.includes(reason),
    )
  })

  it('is refused where SQL has another block than the one that was sealed', async () => {
    const other = await openStaleLab()
    try {
      // The same keys and genesis, and then another chain.
      for (const name of ['authority.key', 'peer.key', 'genesis.json', 'token-hashes.json', 'tokens.json']) {
        await mkdir(other.data, { recursive: true })
        await cp(join(lab.data, name), join(other.data, name))
      }
      await other.whileRunning((node) => other.trade(node, BLOCKS))
      await cp(join(other.data, 'ledger.db'), database)
    } finally {
      await other.close()
    }
    const isRefused = (whose: RegExp) => (error: unknown) =>
      isSolarError(error, 'corrupt') &&
      error.message.startsWith('SQL, block 29 (another chain') &&
      whose.test(error.message)
    await assert.rejects(rebuild(), isRefused(/high-water file/))
    await lab.lose('high-water')
    await assert.rejects(rebuild(), isRefused(/as in LevelDB, with a valid seal/))
  })

  it('is refused for a validator, which has no SQL', async () => {
    const data = join(lab.folder, 'validator')
    await mkdir(data)
    await writeFile(join(data, 'validator.key'), '')
    const { code, stderr } = await clis.run('rebuild', '--data', data)
    assert.equal(code, 1)
    assert.match(stderr, /it belongs to a node without SQL \(it has validator\.key\), which syncs anew from its peers/)
  })

  describe('broken off', () => {
    /** What a crash leaves behind at each step of the exchange. */
    const states: readonly (readonly [what: string, make: () => Promise<void>])[] = [
      ['while the new one is written', () => cp(level, `${level}.building`, { recursive: true })],
      ['when the new one is whole', () => cp(level, `${level}.rebuilt`, { recursive: true })],
      [
        'when the old one has made way',
        async () => {
          await cp(level, `${level}.rebuilt`, { recursive: true })
          await rename(level, `${level}.replaced`)
        },
      ],
      ['before the old one was removed', () => cp(level, `${level}.replaced`, { recursive: true })],
    ]
    for (const [what, make] of states) {
      it(`${what}: the next start finds one whole LevelDB, and so does a repeat`, async () => {
        await make()
        await isWhole()
        await make()
        await rebuild()
        await isWhole()
      })
    }

    it('takes the new one, once it is whole, also if the old one was damaged', async () => {
      await cp(level, `${level}.rebuilt`, { recursive: true })
      await writeFile(join(level, 'CURRENT'), 'nothing')
      await isWhole()
    })

    it('by SIGKILL at any moment: one whole LevelDB is left', async () => {
      for (let kill = 0; kill < 8; kill++) {
        const child = startChild(CHILD, lab.data, database)
        await child.says('going')
        // From the first moment to well into the second rebuild.
        await delay(kill * 40)
        child.process.kill('SIGKILL')
        assert.equal((await child.ended).signal, 'SIGKILL', child.output())
        await lab.audit()
      }
      await isWhole()
    })
  })

  it('is not needed where LevelDB is lost: the start takes everything from SQL, and says so', async () => {
    await lab.lose('level')
    const told = lab.log.length
    await lab.whileRunning((node) => lab.checkChain(node))
    await isWhole()
    assert.ok(lab.log.slice(told).includes(`LevelDB is behind SQL: ${BLOCKS} blocks are applied from SQL`))
  })
})
