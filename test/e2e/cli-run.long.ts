import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, watch } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cliFile } from '../helpers/bundle.ts'
import { spentMs } from '../helpers/patience.ts'
import { startNode, type Child } from '../unit/node/child.ts'

const PEER = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWCjUC8X3Sf7iosuiMi7cMP5YJe6pwmxBKYbkQbsoZLwyA'

describe('solar-node as a process', () => {
  let folder: string
  let data: string
  let children: Child[]
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'solar-run-'))
    data = join(folder, 'data')
    children = []
  })
  afterEach(async () => {
    for (const child of children) child.process.kill('SIGKILL')
    await Promise.all(children.map((child) => child.ended))
    rmSync(folder, { recursive: true })
  })

  const start = (...args: readonly string[]): Child => {
    const child = startNode(cliFile(), '--data', data, ...args)
    children.push(child)
    return child
  }
  const startAuthority = (...args: readonly string[]): Child =>
    start('--mode=authority', '--http', ':0', '--listen', '/ip4/127.0.0.1/tcp/0', '--tick', 'off', ...args)
  const lines = (child: Child): Record<string, unknown>[] =>
    child
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  const running = async (child: Child): Promise<Record<string, unknown>> => {
    await child.says('is running')
    return lines(child).find(({ msg }) => String(msg).includes('is running')) ?? {}
  }
  const stop = async (child: Child): Promise<void> => {
    const begun = spentMs()
    child.process.kill('SIGTERM')
    assert.deepEqual(await child.ended, { code: 0, signal: null }, child.output())
    assert.ok(spentMs() - begun < 5_000)
  }
  const appears = async (name: string): Promise<void> => {
    const changed = watch(folder, { recursive: true })
    try {
      while (!existsSync(join(data, name))) await once(changed, 'change')
    } finally {
      changed.close()
    }
  }

  it('makes everything on the first start and finds it all on the second', async () => {
    const first = startAuthority()
    const { chain_id, msg, http } = await running(first)
    assert.equal(msg, 'authority is running, made a new chain')
    const answer = (await (await fetch(`${String(http)}/genesis`)).json()) as { chain_id: string }
    assert.equal(answer.chain_id, chain_id)
    await first.says('tokens.json')
    const { operator = '' } = JSON.parse(readFileSync(join(data, 'tokens.json'), 'utf8')) as Record<string, string>
    await stop(first)
    assert.ok(!first.output().includes(operator), 'the log carries no token')

    rmSync(join(data, 'tokens.json'))
    const second = startAuthority()
    const again = await running(second)
    assert.equal(again.chain_id, chain_id)
    assert.equal(again.msg, 'authority is running, found its chain again')
    const answered = await fetch(`${String(again.http)}/blocks/propose/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${operator}` },
    })
    assert.equal(answered.status, 204, 'the token that was taken away is still good')
    await stop(second)
  })

  it('refuses a second process on one data directory with one line and exit code 1', async () => {
    const first = startAuthority()
    await running(first)
    const second = startAuthority()
    assert.deepEqual(await second.ended, { code: 1, signal: null })
    assert.equal(
      second.output(),
      `solar-node: ${data} is in use by another process (pid ${first.process.pid}): one data directory, one solar-node\n`,
    )
    await stop(first)
  })

  for (const name of ['authority.key', 'token-hashes.json', 'genesis.json', 'level']) {
    it(`completes a first start that was killed when ${name} appeared`, async () => {
      const killed = startAuthority()
      await Promise.race([appears(name), killed.ended])
      killed.process.kill('SIGKILL')
      assert.equal((await killed.ended).signal, 'SIGKILL', killed.output())
      const key = readFileSync(join(data, 'authority.key'), 'utf8')
      const second = startAuthority()
      const { chain_id } = await running(second)
      assert.equal(readFileSync(join(data, 'authority.key'), 'utf8'), key)
      await stop(second)
      const third = startAuthority()
      assert.equal((await running(third)).chain_id, chain_id)
      await stop(third)
    })
  }

  it('ends with one line and exit code 1 if its port is taken, and gives the data directory back', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    try {
      const child = startAuthority('--http', `127.0.0.1:${(taken.address() as AddressInfo).port}`)
      assert.deepEqual(await child.ended, { code: 1, signal: null })
      assert.match(child.output(), /^solar-node: [^\n]* is taken: [^\n]*--http[^\n]*\n$/)
    } finally {
      taken.close()
    }
    const next = startAuthority()
    await running(next)
    await stop(next)
  })

  it('runs a light node that finds nobody yet, and stops it', async () => {
    const light = start('--mode=light', '--peer', PEER)
    assert.match(String((await running(light)).public_key), /^[0-9a-f]{64}$/)
    await stop(light)
    const key = readFileSync(join(data, 'voter.key'), 'utf8')
    const again = start('--mode=light', '--peer', PEER)
    await running(again)
    await stop(again)
    assert.equal(readFileSync(join(data, 'voter.key'), 'utf8'), key)
  })
})
