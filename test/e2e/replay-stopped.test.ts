import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cliFile } from '../helpers/bundle.ts'
import { OPERATOR_TOKEN, startFakeAuthority, type FakeAuthority } from '../unit/cli/replay-authority.ts'

const HOURS = 2_000

describe('a replay that ends before its last tick', () => {
  let folder: string
  let authority: FakeAuthority
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'solar-replay-stopped-'))
    authority = await startFakeAuthority()
    writeFileSync(join(folder, 'operator.token'), OPERATOR_TOKEN)
    const row = (hour: number) => `${new Date(Date.UTC(2024, 0, 1, hour)).toISOString()},ann,0,1,0.2`
    const rows = Array.from({ length: HOURS }, (_, hour) => row(hour))
    writeFileSync(join(folder, 'r.csv'), ['timestamp,household,load_kwh,pv_kwh,price_per_kwh', ...rows].join('\n'))
  })
  afterEach(async () => {
    await authority.close()
    rmSync(folder, { recursive: true })
  })

  /** Runs it, does `act` once a tick was told, and gives its end. */
  async function stopped(act: (child: ReturnType<typeof run>) => void) {
    const child = run()
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    let output = ''
    const onData = (chunk: Buffer): void => {
      output += chunk.toString()
      if (!output.includes('"event":"tick"')) return
      child.stdout.off('data', onData)
      child.stdout.resume()
      act(child)
    }
    child.stdout.on('data', onData)
    const [code] = (await once(child, 'exit')) as [number | null]
    return { code, errors: () => errors }
  }
  const run = () => {
    const flags = ['r.csv', '--to', authority.url, '--token-file', 'operator.token']
    return spawn(process.execPath, [cliFile(), 'replay', ...flags], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  }

  it('by Ctrl-C exits as interrupted, so that what follows it does not go on', async () => {
    const { code, errors } = await stopped((child) => child.kill('SIGINT'))
    assert.equal(code, 130, errors())
    assert.ok(authority.ticks.size < HOURS)
  })

  it('by an output that is closed exits 1', async () => {
    const { code, errors } = await stopped((child) => child.stdout.destroy())
    assert.equal(code, 1, errors())
    assert.ok(authority.ticks.size < HOURS)
  })
})
