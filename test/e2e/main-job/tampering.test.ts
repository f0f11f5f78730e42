import assert from 'node:assert/strict'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { auditDirectory, type AuditReport } from '../../../src/node/audit.ts'
import { heightKey, keyOf, nodeKey } from '../../../src/storage/level/keyspaces.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { cliGroup, jsonLines } from './cli.ts'
import { changeRows, queryRows } from './database.ts'
import { sealTicks, type Sealed } from './trades.ts'

/** Changes one value of a LevelDB folder behind the node's back; gives back what was there. */
async function changeLevel(folder: string, key: string, change: (text: string) => string | undefined): Promise<string> {
  const level = new Level(join(folder, 'level'))
  try {
    const text = await level.get(key)
    const changed = change(text)
    assert.notEqual(changed, text, 'the change changes something')
    await (changed === undefined ? level.del(key) : level.put(key, changed))
    return text
  } finally {
    await level.close()
  }
}

interface StoredTrade {
  id: string
  kwh: string
  total_amount: string
}

/** Ann's sale to Ben shrinks from 1.5 to 1 kWh; the money fits, so that only the chain can tell. */
const shrink = (text: string): string => {
  const trades = JSON.parse(text) as StoredTrade[]
  Object.assign(trades[0]!, { kwh: '1', total_amount: '0.2' })
  return JSON.stringify(trades)
}

const SEAL_OF_BLOCK_1 = `select json_extract(b.sealed, '$.signature') from blocks b where b.height = 1`

describe('a community whose stores are changed behind its back', () => {
  const clis = cliGroup()
  let community: Community
  let sealed: Sealed[]
  let copies = 0

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    sealed = await sealTicks(community, 0, 5)
    await community.stopAuthority()
    queryRows(community.database, 'pragma wal_checkpoint(truncate)')
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  const copy = async (): Promise<string> => {
    const folder = join(community.folder, `copy-${copies++}`)
    // The log is empty, and its two files go away when the driver lets go of the database.
    await cp(community.directory, folder, { recursive: true, filter: (file) => !file.includes('ledger.db-') })
    return folder
  }
  const audit = (folder: string): Promise<AuditReport> =>
    auditDirectory(folder, { kind: 'sqlite', path: join(folder, 'ledger.db') }, () => undefined)

  it('is clean before, and the command says so with exit code 0', async () => {
    const { code, stdout, stderr } = await clis.run('audit', '--data', await copy())
    assert.deepEqual([code, stdout, stderr], [0, '5 blocks, 15 transactions: clean\n', ''])
  })

  it('has a block altered in LevelDB: the command names block, transaction, field, expected and found', async () => {
    const folder = await copy()
    await changeLevel(folder, heightKey('body', 2), shrink)
    const { code, stdout, stderr } = await clis.run('audit', '--data', folder)
    assert.deepEqual([code, stderr], [1, ''])
    const lines = stdout.trim().split('\n')
    assert.match(lines[0]!, /^LevelDB, block 2, transactions: expected merkle_root [0-9a-f]{64}, found /)
    assert.deepEqual(lines.slice(1), [
      'LevelDB, block 2, transaction tick-2.0, kwh: expected "1.5", found "1"',
      'LevelDB, block 2, transaction tick-2.0, total_amount: expected "0.3", found "0.2"',
      '5 blocks, 15 transactions: 3 differences',
      `SQL is right, LevelDB is not: solar-node rebuild --data ${folder} makes it anew, a start what is missing at its end`,
    ])
  })

  it('has a changed trade in SQL: the command names block, transaction, field, expected and found', async () => {
    const folder = await copy()
    const sql = 'update transactions set kwh = ? where id = ?'
    assert.equal(changeRows(join(folder, 'ledger.db'), sql, '9.5', 'tick-3.1'), 1)
    const { code, stdout, stderr } = await clis.run('audit', '--data', folder, '--json')
    assert.deepEqual([code, stderr], [1, ''])
    const [report] = jsonLines(stdout) as [{ clean: boolean; findings: { place: string }[] }]
    assert.equal(report.clean, false)
    assert.deepEqual(report.findings.at(-1), {
      place: 'SQL, block 3, transaction tick-3.1, kwh',
      expected: '"2.5"',
      found: '"9.5"',
    })
    assert.match(report.findings[0]!.place, /^SQL, block 3 \(tick tick-3\), transactions$/)
    assert.equal(report.findings.length, 2)
  })

  const sqlChanges: readonly (readonly [what: string, sql: string, place: RegExp])[] = [
    ['another buyer', `update transactions set to_user_id = 'eve' where id = 'tick-1.0'`, /tick-1\.0, to_user_id$/],
    ['another nonce', `update transactions set nonce = '${'0'.repeat(32)}' where id = 'tick-1.2'`, /tick-1\.2, nonce$/],
    [
      'another hash of a trade',
      `update transactions set tx_hash = '${'5a'.repeat(32)}' where id = 'tick-2.1'`,
      /^SQL, block 2, transaction tick-2\.1, tx_hash$/,
    ],
    ['a removed trade', `delete from transactions where id = 'tick-4.2'`, /^SQL, block 4, transaction tick-4\.2$/],
    [
      "two trades in each other's place",
      `update transactions set position = 7 - position where tick_id = 'tick-1' and position in (0, 2)`,
      /^SQL, block 1, transaction tick-1\.0, /,
    ],
    [
      'another block hash',
      `update blocks set block_hash = '${'5a'.repeat(32)}' where height = 3`,
      /block 3, block_hash$/,
    ],
    [
      'a header with another count',
      `update blocks set sealed = replace(sealed, '"tx_count":3', '"tx_count":2') where height = 3`,
      /block 3/,
    ],
    [
      'the seal of another block',
      `update blocks set sealed = json_set(sealed, '$.signature', (${SEAL_OF_BLOCK_1})) where height = 2`,
      /^SQL, block 2, signature$/,
    ],
    [
      'the whole header of another block',
      `update blocks set sealed = (select b.sealed from blocks b where b.height = 1) where height = 2`,
      /^blocks 2 sealed$/,
    ],
    ['another source of a tick', `update ticks set source = 'x' where tick_id = 'tick-1'`, /^ticks tick-1 source$/],
    ['a removed block', `delete from blocks where height = 2`, /^SQL, block 2$/],
  ]
  for (const [what, sql, place] of sqlChanges) {
    it(`has ${what} in SQL: the audit names the place`, async () => {
      const folder = await copy()
      assert.ok(changeRows(join(folder, 'ledger.db'), sql) > 0)
      const places = (await audit(folder)).findings.map((finding) => finding.place)
      assert.ok(
        places.some((found) => place.test(found)),
        places.join('\n'),
      )
    })
  }

  const headerChange = (text: string): string => text.replace('"tx_count":3', '"tx_count":2')
  const levelChanges: readonly (readonly [
    what: string,
    key: () => string,
    Parameters<typeof changeLevel>[2],
    RegExp,
  ])[] = [
    [
      'a header with another count',
      () => heightKey('header', 1),
      headerChange,
      /^LevelDB, block 1|^level (header|body) of height 1$/,
    ],
    [
      'a removed trade',
      () => heightKey('body', 1),
      (text) => JSON.stringify((JSON.parse(text) as object[]).slice(1)),
      /height 1$/,
    ],
    ['half a block', () => heightKey('body', 4), (text) => text.slice(0, 200), /height 4$/],
    ['a block that is gone', () => heightKey('body', 0), () => undefined, /height 0$/],
    ['the newest header gone', () => heightKey('header', 4), () => undefined, /^LevelDB, block 4$/],
    [
      'another node of the history',
      () => nodeKey({ level: 1, index: 0 }),
      () => '5a'.repeat(32),
      /^LevelDB, history node 1\/0$/,
    ],
    ['a header in the middle gone', () => heightKey('header', 2), () => undefined, /block 2$|header of height 2$/],
    [
      'another height for a tick',
      () => keyOf('heightByTick', 'tick-2'),
      () => '3',
      /^LevelDB, block 2, height by tick$/,
    ],
    [
      'another height for a block hash',
      () => keyOf('heightByHash', sealed[3]!.block_hash),
      () => '2',
      /^LevelDB, block 3, height by hash$/,
    ],
    ['another place for the id of a trade', () => keyOf('placeById', 'tick-3.1'), () => '2/1', /tick-3\.1/],
    [
      'another place for the hash of a trade',
      () => keyOf('placeByHash', sealed[3]!.transactions[1]!.tx_hash),
      () => '3/2',
      /tick-3\.1/,
    ],
  ]
  for (const [what, key, change, place] of levelChanges) {
    it(`has ${what} in LevelDB: the audit names the place`, async () => {
      const folder = await copy()
      await changeLevel(folder, key(), change)
      const places = (await audit(folder)).findings.map((finding) => finding.place)
      assert.ok(
        places.some((found) => place.test(found)),
        places.join('\n'),
      )
    })
  }

  it('shows a block altered in LevelDB to a household, which rejects it with the reason and acks nothing above it', async () => {
    const original = await changeLevel(community.directory, heightKey('body', 2), shrink)
    await community.startAuthority()
    try {
      const ann = await community.startHousehold('ann')
      await community.until('its word on the tip', () =>
        ann.log.some(({ message }) => message.startsWith('not voting on block 4: it would count for block 2')),
      )
      const votes = ann.events.flatMap((event) => (event.type === 'vote' ? [event.vote] : []))
      assert.deepEqual(
        votes.map(({ decision }) => decision),
        ['ack', 'ack', 'reject'],
      )
      const alarms = ann.events.filter((event) => event.type === 'alarm')
      assert.deepEqual(
        alarms.map(({ code }) => code),
        ['wrong_merkle_root'],
      )
      assert.match(alarms[0]!.reason, /^block 2: trade tick-2\.0: the proof leads to [0-9a-f]{64}, the header has /)
      const { body } = await community.call('GET', `/blocks/${sealed[2]!.block_hash}/status/`)
      assert.deepEqual(body.votes, { ack: 0, reject: 1, required: 0 })
      await ann.stop()
    } finally {
      await community.stopAuthority()
      await changeLevel(community.directory, heightKey('body', 2), () => original)
    }
  })

  it('shows a header altered in LevelDB to a household, which follows only as far as the chain holds', async () => {
    await changeLevel(community.directory, heightKey('header', 1), headerChange)
    await community.startAuthority()
    const ben = await community.startHousehold('ben')
    await community.until('an alarm', () => ben.events.some(({ type }) => type === 'alarm'))
    const alarms = ben.events.filter((event) => event.type === 'alarm')
    assert.equal(alarms[0]?.code, 'bad_seal')
    assert.equal(ben.node.status().tip?.header_hash, sealed[0]!.block_hash)
    await community.until('its vote on the first', () => ben.events.some(({ type }) => type === 'vote'))
    assert.deepEqual(
      ben.events.flatMap((event) => (event.type === 'vote' ? [event.vote.header_hash] : [])),
      [sealed[0]!.block_hash],
    )
  })
})
