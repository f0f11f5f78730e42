import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createDemo } from '../../../src/cli/demo/demo.ts'
import { TICK_MS } from '../../../src/cli/demo/model-clock.ts'
import { cliFile } from '../../helpers/bundle.ts'
import { tempDir } from '../../helpers/temp.ts'
import { temporaryFiles } from './cli.ts'

const BLOCK_LINE =
  /^\d\d:\d\d {2}sun [ \d]\d° {2}block \d+ {2}\d+ trades? {2}\d+\.\d{3} kWh {2}\d+\.\d\d USD {2}\d households? proved \d+ trades?, \d acks?, .*co-signed/

describe('solar-node demo, for people', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let temporary: Awaited<ReturnType<typeof temporaryFiles>>
  const children = new Set<ReturnType<typeof spawnDemo>>()

  beforeEach(async () => {
    folder = await tempDir()
    temporary = await temporaryFiles(join(folder.path, 'tmp'))
  })
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL')
    children.clear()
    await folder.remove()
  })

  function spawnDemo(...args: readonly string[]) {
    return spawn(process.execPath, [cliFile(), 'demo', '--tick', '0.2', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...temporary.env, TZ: 'Asia/Kolkata' },
    })
  }

  /** Its lines until one matches, and its end. */
  async function demoUntil(pattern: RegExp, ...args: readonly string[]) {
    const child = spawnDemo(...args)
    children.add(child)
    const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
    const lines: string[] = []
    for await (const line of createInterface(child.stdout)) {
      lines.push(line)
      if (pattern.test(line)) break
    }
    return { child, ended, lines }
  }

  it('says which address the dashboard has where the wanted one is taken, its zone, and one line a block', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    try {
      const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`
      const { child, ended, lines } = await demoUntil(BLOCK_LINE, '--http', taken)
      const text = lines.join('\n')
      const dashboard = /dashboard +(http:\S+)/.exec(text)?.[1] ?? ''
      assert.ok(text.includes(`${taken} is taken by another program`), text)
      assert.notEqual(new URL(dashboard).host, taken)
      assert.equal((await fetch(`${dashboard}ready`)).status, 200)
      const validator = /validator +(http:\S+)/.exec(text)?.[1] ?? ''
      const { mode } = (await (await fetch(`${validator}node`)).json()) as { mode: string }
      assert.equal(mode, 'validator')
      assert.match(text, /Asia\/(Kolkata|Calcutta) \(GMT\+5:30\)/)
      assert.ok(!/voted|Merkle/.test(text), text)
      child.kill('SIGTERM')
      assert.deepEqual(await ended, [0, null])
      assert.deepEqual(await temporary.left(), [])
    } finally {
      other.close()
    }
  })

  it('shows what each household does with --verbose, and ends cleanly when nobody reads its lines any more', async () => {
    const { child, ended } = await demoUntil(
      /casa-\w+ +(TCP|WebSocket) +block 0: voted ack/,
      '--http',
      ':0',
      '--verbose',
    )
    child.stdout.destroy()
    assert.deepEqual(await ended, [0, null])
    assert.deepEqual(await temporary.left(), [])
  })

  it('opens a new street at the same address when the time of the first has come to an end', async () => {
    const startAt = Date.parse('2024-06-01T06:00:00Z')
    const output: Record<string, unknown>[] = []
    const enough = Promise.withResolvers<undefined>()
    const demo = createDemo(
      { http: '127.0.0.1:0', tickMs: 100, seal: 'authority', json: true, verbose: false },
      {
        createClock: () => {
          let last = startAt + 4 * 3_600_000
          return { startAt, next: () => (last < startAt + 4.5 * 3_600_000 ? (last += TICK_MS) : undefined) }
        },
        write(text) {
          output.push(JSON.parse(text) as Record<string, unknown>)
          if (output.filter(({ event }) => event === 'tick').length === 3) enough.resolve(undefined)
        },
      },
    )
    try {
      await demo.start()
      await Promise.race([enough.promise, demo.failed])
    } finally {
      await demo.stop()
    }
    const starts = output.filter(({ event }) => event === 'started')
    assert.equal(new Set(starts.map(({ chain_id }) => chain_id)).size, 2)
    assert.equal(new Set(starts.map(({ dashboard }) => dashboard)).size, 1)
    const heights = output.filter(({ event }) => event === 'tick').map(({ height }) => height)
    assert.deepEqual(heights, [0, 1, 0])
    assert.equal(output.at(-1)?.event, 'stopped')
  })
})
