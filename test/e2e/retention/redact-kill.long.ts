import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redaction } from '../../../src/protocol/redaction.ts'
import { createProcessNetwork, getJson, type ProcessNetwork, type ProcessNode } from '../../helpers/process-network.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'

const KILLS = 4
/** About as long as one takes: SQL, its log, LevelDB and its compaction. */
const REDACTION_MS = 120

describe('an authority that is killed while it redacts', () => {
  let network: ProcessNetwork
  let authority: ProcessNode

  before(async () => {
    network = await createProcessNetwork({ finality: 'authority', validators: [] })
    authority = await network.startAuthority()
  })
  after(() => network.stop())

  async function post(path: string, role: 'operator' | 'platform', body: object): Promise<number> {
    const headers = { authorization: `Bearer ${await network.tokenOf(role)}`, 'content-type': 'application/json' }
    const answer = await fetch(`${authority.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return answer.status
  }
  const household = (n: number): string => `household-to-be-forgotten-${n}`
  const redact = (n: number): Promise<number> =>
    post(`/transactions/secret-${n}/redact`, 'operator', { redacted_by: 'mia', reason: 'erasure asked for' })
  async function redacted(): Promise<readonly (string | null)[]> {
    const asked = getJson<{ redactions: Redaction[] }>(authority, '/redactions', await network.tokenOf('operator'))
    return (await asked).redactions.map(({ tx_id }) => tx_id)
  }
  async function stopAndAudit(): Promise<void> {
    authority.process.kill('SIGTERM')
    assert.deepEqual(await authority.process.ended, { code: 0, signal: null }, authority.process.errors())
    const { code, stdout, stderr } = await network.run('audit', '--data', join(network.folder, 'authority'))
    assert.equal(code, 0, stdout + stderr)
  }
  /** The households that some file of the node still names. */
  async function named(): Promise<readonly number[]> {
    const folder = join(network.folder, 'authority')
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    const texts = await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name))))
    return Array.from({ length: KILLS }, (_, n) => n).filter((n) => texts.some((text) => text.includes(household(n))))
  }

  it('has the body whole or a record of its removal, and finishes what it is asked again', async () => {
    for (let n = 0; n < KILLS; n++) {
      const rows = [tradeRow(`secret-${n}`, household(n), 'ben'), tradeRow(`other-${n}`, 'ann', 'ben')]
      assert.equal(await post('/ticks/', 'platform', tickOf(n, ...rows)), 200)
    }
    assert.equal((await named()).length, KILLS)
    for (let n = 0; n < KILLS; n++) {
      const before = await redacted()
      const answer = redact(n).catch(() => undefined)
      await delay(Math.random() * REDACTION_MS)
      authority.process.kill('SIGKILL')
      await authority.process.ended
      const status = await answer
      authority = await network.startAuthority()
      const now = await redacted()
      const isDone = now.includes(`secret-${n}`)
      assert.deepEqual(now, isDone ? [...before, `secret-${n}`] : before)
      if (status === 200) assert.ok(isDone, 'what was answered stays')
      await stopAndAudit()
      authority = await network.startAuthority()
      assert.equal(await redact(n), 200)
    }
    assert.equal((await redacted()).length, KILLS)
    await stopAndAudit()
    assert.deepEqual(await named(), [])
  })
})
