import { strict as assert } from 'node:assert'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import { rebuildDirectory } from '../../../src/node/rebuild.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { idOf } from '../../helpers/shown.ts'
import { eventually } from '../../helpers/network.ts'
import { query, tempDatabase, type TempDatabase } from '../../helpers/postgres.ts'
import {
  createValidatorNetwork,
  type RunningAuthority,
  type ValidatorNetwork,
} from '../../helpers/validator-network.ts'

const START = Date.UTC(2015, 0, 2)
const SECRET = 'household-that-wants-to-be-forgotten'

const row = (id: string, from: string) => ({
  kind: 'trade' as const,
  id,
  from_user_id: from,
  to_user_id: 'ben',
  kwh: '1.5',
  price_per_kwh: '0.2',
  total_amount: '0.3',
  timestamp: START,
})

describe('redaction by authorities on one PostgreSQL', () => {
  let network: ValidatorNetwork
  let database: TempDatabase
  let leader: RunningAuthority
  let standby: RunningAuthority

  before(async () => {
    database = await tempDatabase()
    network = await createValidatorNetwork({ finality: 'authority', validators: [], authorities: ['second'] })
    leader = await network.startAuthority('authority', {}, { database: database.url })
    for (const number of [1, 2]) {
      const transactions = [row(`secret-${number}`, SECRET), row(`other-${number}`, 'ann')]
      await leader.node.ledger.acceptTick({ tick_id: `t${number}`, timestamp: START, transactions })
    }
    standby = await startStandby()
  })
  after(async () => {
    await network.stop()
    await database.drop()
  })

  async function startStandby(): Promise<RunningAuthority> {
    const started = await network.startAuthority('second', {}, { database: database.url, peer: [leader.address] })
    await eventually('it has the blocks', async () => (await started.node.ledger.latestHeaders(1)).tip_height === 1)
    return started
  }

  async function redact(id: string, { url, token }: RunningAuthority): Promise<void> {
    const response = await fetch(`${url}/transactions/${id}/redact`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token('operator')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ redacted_by: 'mia', reason: 'erasure asked for' }),
    })
    assert.equal(response.status, 200, await response.text())
  }

  /** What the blocks of a node show, oldest first: ids, and the hashes of what is gone. */
  async function shownBy({ node }: RunningAuthority): Promise<readonly (readonly string[])[]> {
    const { headers } = await node.ledger.latestHeaders(2)
    const blocks = await Promise.all(headers.map(({ header_hash }) => node.ledger.block(header_hash)))
    return blocks.map(({ transactions }) => transactions.map(idOf))
  }
  const hidesFirst = async (authority: RunningAuthority, block: number): Promise<boolean> =>
    /^[0-9a-f]{64}$/.test((await shownBy(authority))[block]?.[0] ?? '')

  it('leaves the blocks of both: a standby follows the leader', async () => {
    assert.deepEqual(await shownBy(standby), [
      ['secret-1', 'other-1'],
      ['secret-2', 'other-2'],
    ])
    await redact('secret-1', leader)
    assert.equal(await hidesFirst(leader, 0), true)
    await eventually('the standby has removed it', () => hidesFirst(standby, 0))
    assert.equal(await hidesFirst(standby, 1), false)
    assert.equal(verifyReceipt(await standby.node.ledger.receipt('other-1'), network.chainId).ok, true)
  })

  it('vacuums every table that has had the body', async () => {
    const vacuumed = () =>
      query<{ relname: string }>(
        database.url,
        `select relname from pg_stat_user_tables where schemaname = 'solar_node' and vacuum_count > 0 order by relname`,
      )
    const tables = ['ledger_outbox', 'order_trades', 'orders', 'ticks', 'transactions', 'void_ticks']
    await eventually('the server has counted it', async () => (await vacuumed()).length >= tables.length)
    assert.deepEqual(
      (await vacuumed()).map(({ relname }) => relname),
      tables,
    )
    const left = await query(
      database.url,
      `select id from solar_node.transactions where from_user_id = '${SECRET}' and id = 'secret-1'`,
    )
    assert.deepEqual(left, [])
  })

  it('may be asked for at the standby, and the leader follows', async () => {
    await redact('secret-2', standby)
    assert.equal(await hidesFirst(standby, 1), true)
    await eventually('the leader has removed it', () => hidesFirst(leader, 1))
  })

  it('stays in a LevelDB that is made anew from PostgreSQL, without a finding of the audit', async () => {
    await standby.node.stop()
    const data = join(network.folder, 'second')
    const place = { kind: 'postgres', url: database.url } as const
    await rebuildDirectory(data, place, () => undefined)
    assert.deepEqual((await auditDirectory(data, place, () => undefined)).findings, [])
    standby = await startStandby()
    assert.deepEqual(await shownBy(standby), await shownBy(leader))
  })
})
