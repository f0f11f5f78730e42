import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { PlatformTick, TickAnswer } from '../../../src/ports/ledger.ts'
import { tempDir } from '../../helpers/temp.ts'
import { bundleForNode } from '../../helpers/bundle.ts'
import { prepareCommunity, type Community } from './community.ts'
import { diskLimits, type DiskLimit } from '../../helpers/disk-limits.ts'
import { createLives, type Life, type Lives } from './lives.ts'
import { platformTick } from './platform.ts'
import { auditCommunity } from './state-check.ts'

/** Far more than fit. */
const MAX_TICKS = 600
const RETRY_MS = 20

for (const limit of diskLimits()) describe(`an authority while ${limit.name}`, () => sufferingFrom(limit))

function sufferingFrom(limit: DiskLimit): void {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let place: string
  let undo: () => void
  let community: Community
  let lives: Lives
  let answers: TickAnswer[]
  let ticks: PlatformTick[]

  beforeEach(async () => {
    folder = await tempDir()
    place = join(folder.path, 'disk')
    await mkdir(place)
    undo = await limit.prepare(place)
    community = await prepareCommunity(place)
    const entry = new URL('authority-process.ts', import.meta.url)
    lives = createLives(bundleForNode(entry, join(folder.path, 'package')), community.flags)
    answers = []
    ticks = []
  })
  afterEach(async () => {
    await lives.killAll()
    undo()
    await folder.remove()
  })

  async function post(tick: PlatformTick): Promise<{ readonly status: number; readonly body: unknown }> {
    const file = join(community.directory, 'tokens.json')
    const { platform } = JSON.parse(await readFile(file, 'utf8')) as { readonly platform: string }
    const headers = { authorization: `Bearer ${platform}`, 'content-type': 'application/json' }
    const response = await fetch(`${community.url}/ticks/`, { method: 'POST', headers, body: JSON.stringify(tick) })
    return { status: response.status, body: await response.json() }
  }

  async function begin(): Promise<Life> {
    const life = await lives.begin(null)
    assert.ok(await life.started, life.process.errors())
    return life
  }

  async function trade(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const tick = platformTick('t', ticks.length)
      ticks.push(tick)
      const { status, body } = await post(tick)
      assert.equal(status, 200, JSON.stringify(body))
      answers.push(body as TickAnswer)
    }
  }

  /** Trades until there is no room; gives back the tick that was refused. */
  async function tradeUntilRefused(): Promise<PlatformTick> {
    while (ticks.length < MAX_TICKS) {
      const tick = platformTick('t', ticks.length)
      ticks.push(tick)
      const { status, body } = await post(tick)
      if (status !== 200) {
        assert.deepEqual([status, (body as { code: string }).code], [503, 'store_failed'])
        return tick
      }
      answers.push(body as TickAnswer)
    }
    return assert.fail('there was always room')
  }

  const ready = async () => {
    const response = await fetch(`${community.url}/ready`)
    return { status: response.status, text: await response.text() }
  }

  /** Everything that was answered is there as it was answered, the refused tick once, and the audit is clean. */
  async function allIsThere(life: Life, refused: PlatformTick): Promise<void> {
    const { status, body } = await post(refused)
    assert.equal(status, 200, JSON.stringify(body))
    answers.push(body as TickAnswer)
    await trade(5)
    for (const [height, answer] of answers.entries()) assert.equal(answer.height, height)
    for (const index of [0, answers.length >> 1, answers.length - 1]) {
      assert.deepEqual((await post(ticks[index]!)).body, answers[index])
    }
    life.process.kill('SIGTERM')
    assert.deepEqual(await life.end, { code: 0, signal: null, step: null }, life.process.errors())
    assert.equal((await auditCommunity(community)).blocks, answers.length)
  }

  it('refuses intake, says why, and goes on by itself when there is room', async () => {
    const life = await begin()
    await limit.tighten(place, life.process.pid)
    const refused = await tradeUntilRefused()
    assert.ok(answers.length > 0)
    const { status, text } = await ready()
    assert.equal(status, 503)
    assert.match(text, limit.reason)
    assert.equal((await post(refused)).status, 503)
    assert.equal((await fetch(`${community.url}/health`)).status, 200)
    await limit.makeRoom(place, life.process.pid)
    while ((await ready()).status !== 200) await pause(RETRY_MS)
    await allIsThere(life, refused)
  })

  it('is killed, and finds everything by its next start when there is room', async () => {
    const first = await begin()
    await limit.tighten(place, first.process.pid)
    const refused = await tradeUntilRefused()
    await limit.makeRoom(place, first.process.pid)
    first.process.kill('SIGKILL')
    await first.end
    await allIsThere(await begin(), refused)
  })
}
