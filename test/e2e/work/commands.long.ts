import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { processGroup } from '../../helpers/processes.ts'
import { tempDir } from '../../helpers/temp.ts'
import { tickOf, tradeRow } from '../main-job/trades.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const SOURCE = ['--import=tsx', join(ROOT, 'src/cli/main.ts')]

describe('solar-node --seal work:2', () => {
  const processes = processGroup()
  let folder: Awaited<ReturnType<typeof tempDir>>

  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(async () => {
    await processes.killAll()
    await folder.remove()
  })

  const run = async (program: readonly string[], ...args: readonly string[]): Promise<string> =>
    (await promisify(execFile)(process.execPath, [...program, ...args])).stdout

  /** Starts an authority, has it seal a tick, looks at the block, and stops it. */
  async function sealOne(program: readonly string[], data: string, ...flags: readonly string[]): Promise<void> {
    const node = ['--http', ':0', '--listen', '/ip4/127.0.0.1/tcp/0', '--tick', 'off', '--json', '--data', data]
    const authority = processes.start([...program, '--mode=authority', ...node, ...flags])
    const url = await authority.awaitLine((line) => {
      const { msg, http } = JSON.parse(line) as { readonly msg: string; readonly http?: string }
      return msg.startsWith('authority is running') ? http : undefined
    })
    const { platform } = JSON.parse(await readFile(join(data, 'tokens.json'), 'utf8')) as { readonly platform: string }
    const answer = await fetch(`${url}/ticks/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${platform}`, 'content-type': 'application/json' },
      body: JSON.stringify(tickOf(0, tradeRow('trade-1', 'ann', 'ben'))),
    })
    assert.equal(answer.status, 200)
    const { block_hash } = (await answer.json()) as { readonly block_hash: string }
    assert.match(block_hash, /^00/)
    authority.kill('SIGTERM')
    assert.deepEqual(await authority.ended, { code: 0, signal: null }, authority.errors())
    const audit = await run(program, 'audit', '--data', data)
    assert.match(audit, /1 block/)
  }

  it('works as the package is built', async () => {
    const build = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', join(ROOT, 'tsconfig.build.json')]
    await run(build, '--outDir', join(folder.path, 'dist'), '--noCheck')
    for (const file of ['bin', 'package.json']) await cp(join(ROOT, file), join(folder.path, file), { recursive: true })
    await symlink(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'))
    await sealOne([join(folder.path, 'bin/solar-node.js')], join(folder.path, 'data'), '--seal', 'work:2')
  })

  it('works from source, also with a genesis that was made by hand', async () => {
    const data = join(folder.path, 'data')
    const genesis = join(folder.path, 'genesis.json')
    const key = join(data, 'authority.key')
    await mkdir(data, { mode: 0o700 })
    await run(SOURCE, 'keys', 'new', '--out', key)
    await run(SOURCE, 'genesis', 'new', '--out', genesis, '--authority', `town=${key}`, '--seal', 'work:2')
    await sealOne(SOURCE, data, '--genesis', genesis)
  })

  it('is how the demo seals, if it is asked to', async () => {
    const demo = processes.start([...SOURCE, 'demo', '--http', ':0', '--tick', '0.2', '--seal', 'work:2', '--json'])
    const hash = await demo.awaitLine((line) => /"(?:hash|header_hash|block_hash)":"([0-9a-f]+)/.exec(line)?.[1])
    assert.match(hash, /^00/)
    demo.kill('SIGTERM')
    assert.equal((await demo.ended).code, 0, demo.errors())
  })
})
