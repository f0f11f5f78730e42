import { strict as assert } from 'node:assert'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Libsql from 'libsql'
import { auditDirectory } from '../../../src/node/audit.ts'
import { auditFile, exportDirectory } from '../../../src/node/export.ts'
import { rebuildDirectory } from '../../../src/node/rebuild.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import type { Receipt } from '../../../src/protocol/receipt.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { cliGroup } from '../main-job/cli.ts'
import { eventually } from '../../helpers/network.ts'
import {
  createValidatorNetwork,
  type RunningAuthority,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const START = Date.UTC(2015, 0, 2)
/** A tick of these is more than four million characters: a file of the archive by itself. */
const MANY = 21_000
const SECRET = 'household-that-wants-to-be-forgotten'

const row = (id: string, from = 'ann', to = 'ben') => ({
  kind: 'trade' as const,
  id,
  from_user_id: from,
  to_user_id: to,
  kwh: '1.5',
  price_per_kwh: '0.2',
  total_amount: '0.3',
  timestamp: START,
})
const sqliteIn = (folder: string) => ({ kind: 'sqlite', path: join(folder, 'ledger.db') }) as const
type Row = Parameters<RunningAuthority['node']['ledger']['acceptTick']>[0]['transactions'][number]

describe('redaction', () => {
  const clis = cliGroup()
  let network: ValidatorNetwork
  let authority: RunningAuthority
  let receiptBefore: Receipt
  let nonces: string[]

  const data = (): string => join(network.folder, 'authority')
  const seal = (tick_id: string, ...transactions: Row[]) =>
    authority.node.ledger.acceptTick({ tick_id, timestamp: START, transactions })
  const fixed: Row = {
    kind: 'correction',
    id: 'fix-1',
    corrects: 'secret-1',
    kwh_delta: '-0.5',
    amount_delta: '-0.1',
    reason: 'late meter data',
    timestamp: START,
  }
  const oldTick = (): Row[] => [
    row('secret-1', SECRET),
    ...Array.from({ length: MANY }, (_, index) => row(`many-${index}`, 'sun-1', 'home-1')),
  ]

  /** Files below a folder that hold this text, in any of the ways in which it is written. */
  async function filesWith(folder: string, texts: readonly string[]): Promise<string[]> {
    const found: string[] = []
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const bytes = await readFile(path)
      if (texts.some((text) => bytes.includes(text))) found.push(path.slice(folder.length + 1))
    }
    return found
  }

  before(async () => {
    network = await createValidatorNetwork({ finality: 'authority', validators: ['v1', 'v2'], voters: ['ann'] })
    authority = await network.startAuthority()
    await seal('old', ...oldTick())
    await seal('late', fixed)
    await seal('new', row('secret-2', SECRET), row('other-2'))
    await authority.node.stop()
    authority = await network.startAuthority('authority', {}, { archiveAfter: '0s' })
    const archived = () => readdir(join(data(), 'archive')).catch(() => [])
    await eventually('the old block is archived', async () =>
      (await archived()).some((name) => name.endsWith('.bodies')),
    )
    receiptBefore = await authority.node.ledger.receipt('secret-2')
    const { ledger } = authority.node
    const { headers } = await ledger.latestHeaders(3)
    const blocks = await Promise.all(headers.map(({ header_hash }) => ledger.block(header_hash)))
    nonces = blocks.flatMap(({ transactions }) =>
      transactions.flatMap((tx) =>
        tx.kind !== 'redacted' && ['secret-1', 'fix-1', 'secret-2'].includes(tx.id) ? [tx.nonce] : [],
      ),
    )
    assert.equal(nonces.length, 3)
  })
  after(async () => {
    await clis.killAll()
    await network.stop()
  })

  async function redact(id: string, to: string, token: string, ...more: readonly string[]) {
    const file = join(network.folder, 'token')
    await writeFile(file, token)
    return await clis.run(
      'redact',
      id,
      '--to',
      to,
      '--token-file',
      file,
      '--reason',
      'erasure asked for',
      '--by',
      'mia',
      ...more,
    )
  }
  const redactHere = (id: string) => redact(id, authority.url, authority.token('operator'))
  const audit = () => auditDirectory(data(), sqliteIn(data()), () => undefined)

  it('is refused for what it cannot be meant for, and to others than the operator', async () => {
    for (const [id, reason] of [
      ['nobody', /no transaction nobody/],
      ['fix-1', /it corrects secret-1: redact that/],
    ] as const) {
      const { code, stderr } = await redactHere(id)
      assert.equal(code, 1)
      assert.match(stderr, reason)
    }
    const asPlatform = await redact('secret-1', authority.url, authority.token('platform'))
    assert.equal(asPlatform.code, 1)
    assert.equal((await redactHere('a b')).code, 2)
  })

  it('removes a trade and its corrections from SQL, LevelDB and archive, down to the bytes on the disk', async () => {
    for (const id of ['secret-1', 'secret-2']) {
      const { code, stdout, stderr } = await redactHere(id)
      assert.equal(code, 0, stderr)
      assert.match(stdout, new RegExp(`^redacted +${id} in block [02], on .* by mia: [0-9a-f]{64} is left$`, 'm'))
      if (id === 'secret-1') assert.match(stdout, /^redacted +fix-1 in block 1/m)
    }
    await authority.node.stop()
    assert.deepEqual(await filesWith(data(), [SECRET, ...nonces]), [])
    assert.deepEqual((await audit()).findings, [])
    authority = await network.startAuthority('authority', {}, { archiveAfter: '0s' })
    await assert.rejects(authority.node.ledger.receipt('secret-1'), (error) =>
      isSolarError(error, 'unknown_transaction'),
    )
  })

  it('is told to auditors, without what was removed', async () => {
    const answer = await fetch(`${authority.url}/redactions`, {
      headers: { authorization: `Bearer ${authority.token('operator')}` },
    })
    const { redactions } = (await answer.json()) as {
      redactions: { tx_id: string; height: number; redacted_by: string }[]
    }
    assert.deepEqual(redactions.map(({ tx_id, height, redacted_by }) => [tx_id, height, redacted_by]).sort(), [
      ['fix-1', 1, 'mia'],
      ['secret-1', 0, 'mia'],
      ['secret-2', 2, 'mia'],
    ])
    assert.equal((await fetch(`${authority.url}/redactions`)).status, 401)
  })

  it('leaves every other trade provable, and receipts that were given out before valid', async () => {
    const { ledger } = authority.node
    for (const id of ['many-7', 'other-2']) {
      assert.equal(verifyReceipt(await ledger.receipt(id), network.chainId).ok, true)
    }
    assert.equal(verifyReceipt(receiptBefore, network.chainId).ok, true)
    const { node } = await network.startHousehold('ann', [authority.address])
    await eventually('it has the tip', () => node.status().tip?.height === 2)
    assert.equal((await (await node.client).prove({ tx_id: 'many-20999' })).answer.header.height, 0)
    await node.stop()
  })

  it('can be asked for again, which changes nothing, and lets no correction follow', async () => {
    const again = await redactHere('secret-1')
    assert.equal(again.code, 0, again.stderr)
    await assert.rejects(seal('too-late', { ...fixed, id: 'fix-2' }), (error) => isSolarError(error, 'refused_row'))
  })

  it('keeps posting the tick again idempotent: its other rows and the id are compared', async () => {
    assert.equal((await seal('old', ...oldTick())).height, 0)
    const other = oldTick()
    other[1] = { ...row('many-0', 'sun-1', 'home-2') }
    await assert.rejects(seal('old', ...other), (error) => isSolarError(error, 'tick_conflict'))
    const [, ...rest] = oldTick()
    await assert.rejects(seal('old', row('secret-9', SECRET), ...rest), (error) => isSolarError(error, 'tick_conflict'))
  })

  it('is taken over by a validator that syncs from scratch, from which an authority without databases restores', async () => {
    const validator = await network.startValidator('v1', [authority.address])
    await eventually('it has the blocks', async () => (await validator.ledger.latestHeaders(1)).tip_height === 2)
    assert.equal(verifyReceipt(await validator.ledger.receipt('other-2'), network.chainId).ok, true)
    await authority.node.stop()
    const restored = await network.startAuthority('restored', {}, { peer: [validator.address] })
    await eventually('the blocks are back', async () => (await restored.node.ledger.latestHeaders(1)).tip_height === 2)
    assert.equal(verifyReceipt(await restored.node.ledger.receipt('many-3'), network.chainId).ok, true)
    await restored.node.stop()
    await validator.node.stop()
    const folder = join(network.folder, 'restored')
    assert.deepEqual((await auditDirectory(folder, sqliteIn(folder), () => undefined)).findings, [])
    authority = await network.startAuthority()
  })

  it('is run at a validator that has the bodies as well', async () => {
    await seal('newest', row('secret-3', SECRET), row('other-3'))
    const validator = await network.startValidator('v2', [authority.address])
    await eventually('it has the blocks', async () => (await validator.ledger.latestHeaders(1)).tip_height === 3)
    const tokens = JSON.parse(await readFile(join(network.folder, 'v2', 'tokens.json'), 'utf8')) as { operator: string }
    const done = await redact('secret-3', validator.httpUrl ?? '', tokens.operator)
    assert.equal(done.code, 0, done.stderr)
    assert.equal((await redact('secret-3', validator.httpUrl ?? '', tokens.operator)).code, 0)
    await validator.node.stop()
    assert.deepEqual(await filesWith(join(network.folder, 'v2'), [SECRET]), [])
  })

  it('stays so in a LevelDB that is made anew from SQL, and the archive files of the old one go', async () => {
    await authority.node.stop()
    const archived = async () => (await readdir(join(data(), 'archive'))).filter((name) => name.endsWith('.bodies'))
    assert.ok((await archived()).length > 0)
    await cp(join(data(), 'archive'), join(network.folder, 'old-archive'), { recursive: true })
    await rebuildDirectory(data(), sqliteIn(data()), () => undefined)
    assert.deepEqual([await archived(), (await audit()).findings], [[], []])
    assert.deepEqual(await filesWith(data(), nonces), [])
    // As after a kill when the new LevelDB was in its place, and the files of the old one were not gone yet.
    await cp(join(network.folder, 'old-archive'), join(data(), 'archive'), { recursive: true })
    assert.deepEqual((await audit()).findings, [])
    authority = await network.startAuthority()
    assert.deepEqual(await archived(), [])
    assert.equal(verifyReceipt(await authority.node.ledger.receipt('many-3'), network.chainId).ok, true)
  })

  it('is finished by the next start where a crash, or an older LevelDB, left the bodies in the blocks', async () => {
    await authority.node.stop()
    await rm(join(data(), 'level'), { recursive: true })
    await rm(join(data(), 'archive'), { recursive: true })
    authority = await network.startAuthority()
    await authority.node.stop()
    assert.deepEqual((await audit()).findings, [])
    // SQL alone has redacted: as after a kill between the two.
    const sql = new Libsql(join(data(), 'ledger.db'))
    const { tx_hash } = sql.prepare("select tx_hash from transactions where id = 'secret-3'").get() as {
      tx_hash: string
    }
    sql.exec(
      `insert into redactions values ('${tx_hash}', 'secret-3', 3, 'mia', ${START}, 'erasure');
       update transactions set kind = 'redacted', from_user_id = '', to_user_id = '', kwh = null, price_per_kwh = null,
         total_amount = null, nonce = '' where id = 'secret-3'`,
    )
    sql.close()
    assert.match((await audit()).findings[0]?.found ?? '', /its body \(redact it again\)/)
    authority = await network.startAuthority()
    await authority.node.stop()
    assert.deepEqual((await audit()).findings, [])
  })

  it('is in an export, which an auditor checks without a node; a hole without a record is a finding', async () => {
    const file = join(network.folder, 'chain.jsonl')
    await exportDirectory(data(), sqliteIn(data()), { path: file, force: false }, () => undefined)
    const report = await auditFile(file, network.chainId, () => undefined)
    assert.deepEqual([report.findings, report.redacted], [[], 4])
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace(/"redactions":\[[^\]]*\],/, ''))
    const { findings } = await auditFile(file, network.chainId, () => undefined)
    assert.equal(findings[0]?.found, 'a hash alone')

    const sql = new Libsql(join(data(), 'ledger.db'))
    sql.exec("delete from redactions where tx_id = 'secret-2'")
    sql.close()
    const unrecorded = (await audit()).findings
    assert.deepEqual([...new Set(unrecorded.map(({ found }) => found))], ['a hash alone'])
    authority = await network.startAuthority()
  })
})
