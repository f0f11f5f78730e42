import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { cliGroup, jsonLines, type CliEnd } from './cli.ts'

const HEADER = 'timestamp,household,load_kwh,pv_kwh,price_per_kwh'
const row = (hour: number, household: string, load: string, pv: string) =>
  `2016-08-08T${hour}:00:00,${household},${load},${pv},0.2`
/** At 10 the roof sells 3 kWh to flat and shop, at 11 2 kWh. */
const READINGS = [
  row(10, 'roof', '1', '4'),
  row(10, 'flat', '1', '0'),
  row(10, 'shop', '2', '0'),
  row(11, 'roof', '0', '2'),
  row(11, 'flat', '2', '0'),
]
const csv = (rows: readonly string[]) => [HEADER, ...rows, ''].join('\n')

describe('solar-node replay --corrections', () => {
  const clis = cliGroup()
  let community: Community
  const file = (name: string) => join(community.folder, name)

  before(async () => {
    community = await startCommunity({ voters: [] })
    await writeFile(file('operator'), community.tokens.operator)
    await writeFile(file('platform'), community.tokens.platform)
    await writeFile(file('readings.csv'), csv(READINGS))
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  async function replay(late: readonly string[]): Promise<CliEnd> {
    await writeFile(file('late.csv'), csv(late))
    const tokens = ['--token-file', file('operator'), '--platform-token-file', file('platform')]
    return await clis.run(
      'replay',
      file('readings.csv'),
      '--corrections',
      file('late.csv'),
      '--to',
      community.url,
      ...tokens,
      '--json',
    )
  }
  const summaryOf = (end: CliEnd) => {
    assert.equal(end.code, 0, end.stderr)
    return jsonLines(end.stdout).find(({ event }) => event === 'late_summary')!
  }
  const tip = async () => (await community.call('GET', '/blocks/latest-headers/?n=1')).body.tip_height

  it('posts nothing where the late readings are those that were replayed', async () => {
    const { readings, corrections } = summaryOf(await replay(READINGS))
    assert.deepEqual([readings, corrections], [0, 0])
    assert.equal(await tip(), 1)
  })

  it('takes back what was traded beyond a late reading, in a tick of its own, and only once', async () => {
    const late = [row(10, 'roof', '1', '2.5'), row(11, 'flat', '2', '0'), row(11, 'nobody', '2', '0')]
    const first = summaryOf(await replay(late))
    assert.deepEqual([first.readings, first.unknown, first.kwh], [1, 1, '1.5'])
    assert.equal(await tip(), 2)
    const again = summaryOf(await replay(late))
    assert.deepEqual([again.corrections, again.kwh], [0, '0'])
    assert.equal(await tip(), 2)
  })

  it('goes on from what earlier corrections have left', async () => {
    const { kwh } = summaryOf(await replay([row(10, 'roof', '1', '2'), row(11, 'roof', '0', '9')]))
    assert.equal(kwh, '0.5')
    assert.equal(await tip(), 3)
  })

  it('shows in the receipts of the trades, which say what is left', async () => {
    let left = 0
    for (const id of ['2016-08-08T10:00:00.0', '2016-08-08T10:00:00.1']) {
      const { status, body } = await community.call('GET', `/transactions/${id}/receipt`, { role: 'auditor' })
      assert.equal(status, 200)
      const verdict = verifyReceipt(body, community.chainId)
      assert.ok(verdict.ok && verdict.net !== null)
      left += Number(verdict.net.kwh)
    }
    assert.equal(left, 1)
  })

  it('needs the platform token, and readings that can be read', async () => {
    const noToken = await clis.run(
      'replay',
      file('readings.csv'),
      '--corrections',
      file('late.csv'),
      '--to',
      community.url,
    )
    assert.equal(noToken.code, 2)
    assert.match(noToken.stderr, /--platform-token-file/)
    const bad = await replay([row(10, 'roof', 'x', '1')])
    assert.equal(bad.code, 1)
    assert.match(bad.stderr, /bad_rows/)
  })
})
