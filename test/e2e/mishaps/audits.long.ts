import assert from 'node:assert/strict'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'libsql'
import { Interrupted, longWork } from '../../../src/cli/long-work.ts'
import type { DatabaseConfig } from '../../../src/config/types.ts'
import { auditDirectory } from '../../../src/node/audit.ts'
import { exportDirectory } from '../../../src/node/export.ts'
import type { OnProgress } from '../../../src/node/progress.ts'
import { rebuildDirectory } from '../../../src/node/rebuild.ts'
import { eventually } from '../../helpers/network.ts'
import { createProcessNetwork, postTick, tipHeight, type ProcessNetwork } from '../../helpers/process-network.ts'

const BLOCKS = 4

describe('audits and exports of nodes that are stopped', () => {
  let network: ProcessNetwork
  const data = (id: string) => join(network.folder, id)

  before(async () => {
    network = await createProcessNetwork({ finality: 'authority', validators: ['v1'] })
    const authority = await network.startAuthority()
    const validator = await network.startValidator('v1', [authority.address])
    const token = await network.tokenOf('platform')
    for (let n = 0; n < BLOCKS; n++) await postTick(authority, token, `t${n}`)
    await eventually('the validator has all blocks', async () => (await tipHeight(validator)) === BLOCKS - 1)
    for (const node of [validator, authority]) {
      node.process.kill('SIGTERM')
      assert.equal((await node.process.ended).code, 0)
    }
  })
  after(() => network.stop())

  for (const id of ['authority', 'v1']) {
    it(`${id}: clean, and so is the file that it exports`, async () => {
      const file = join(network.folder, `${id}.jsonl`)
      const results = [
        await network.run('audit', '--data', data(id)),
        await network.run('export', '--data', data(id), '--out', file),
        await network.run('audit', '--file', file, '--chain', network.chainId),
      ]
      assert.deepEqual(
        results.map(({ code, stderr }) => [code, stderr]),
        [
          [0, ''],
          [0, ''],
          [0, ''],
        ],
      )
      assert.match(results[0]?.stdout ?? '', /^4 blocks, 4 transactions: clean$/m)
      assert.match(results[2]?.stdout ?? '', /^4 blocks, 4 transactions: clean$/m)
    })
  }

  it('a validator exports the blocks that the authority exports', async () => {
    const blocksOf = async (id: string) => {
      const lines = (await readFile(join(network.folder, `${id}.jsonl`), 'utf8')).trim().split('\n')
      return lines.slice(1, -1).map((line) => (JSON.parse(line) as { readonly header: unknown }).header)
    }
    assert.equal((await blocksOf('v1')).length, BLOCKS)
    assert.deepEqual(await blocksOf('v1'), await blocksOf('authority'))
  })

  const database = (): DatabaseConfig => ({ kind: 'sqlite', path: join(data('authority'), 'ledger.db') })
  const works: Readonly<Record<string, (onProgress: OnProgress) => Promise<unknown>>> = {
    auditing: (onProgress) => auditDirectory(data('authority'), database(), onProgress),
    rebuilding: (onProgress) => rebuildDirectory(data('authority'), database(), onProgress),
    exporting: (onProgress) =>
      exportDirectory(
        data('authority'),
        database(),
        { path: join(network.folder, 'broken'), force: false },
        onProgress,
      ),
  }
  for (const [doing, work] of Object.entries(works)) {
    it(`${doing} that a signal breaks off leaves nothing half done`, async () => {
      const before = await readdir(network.folder)
      const broken = longWork(doing, true, (onProgress) =>
        work((state) => {
          process.emit('SIGTERM', 'SIGTERM')
          onProgress(state)
        }),
      )
      await assert.rejects(broken, (error) => error instanceof Interrupted && error.exitCode === 143)
      assert.deepEqual(await readdir(network.folder), before)
      assert.equal((await network.run('audit', '--data', data('authority'))).code, 0)
    })
  }

  it('LevelDB without its tables names the remedy, which works', async () => {
    const level = join(data('authority'), 'level')
    const tables = (await readdir(level)).filter((name) => name.endsWith('.ldb'))
    assert.ok(tables.length > 0)
    for (const name of tables) await rm(join(level, name))
    const { code, stderr } = await network.run('audit', '--data', data('authority'))
    assert.equal(code, 1)
    assert.match(stderr, /^solar-node: .*missing files.*solar-node rebuild --data \S+\/authority makes it anew\n$/)
    assert.equal((await network.run('rebuild', '--data', data('authority'))).code, 0)
    assert.equal((await network.run('audit', '--data', data('authority'))).code, 0)
  })

  it('one line for the same fault of many blocks', async () => {
    const sql = new Database(join(data('authority'), 'ledger.db'))
    sql.exec("update transactions set kwh = '9'")
    sql.close()
    const { code, stdout } = await network.run('audit', '--data', data('authority'))
    assert.equal(code, 1)
    assert.match(stdout, /blocks? 0\D+3\b.*: 4 differences/)
    assert.ok(stdout.trim().split('\n').length < 8, stdout)
  })
})
