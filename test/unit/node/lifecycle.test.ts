import assert from 'node:assert/strict'
import { STOP_LIMIT_MS } from '../../../src/node/lifecycle.ts'
import { startChild, type Child } from './child.ts'
import { spentMs } from '../../helpers/patience.ts'

describe('node/lifecycle runUntilSignal', () => {
  let child: Child
  const run = async (behaviour: string, says = 'running'): Promise<Child> => {
    child = startChild('signal-child.ts', behaviour)
    await child.says(says)
    return child
  }
  afterEach(async () => {
    child.process.kill('SIGKILL')
    await child.ended
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`stops and exits 0 at ${signal}, whatever still keeps the process alive`, async () => {
      const node = await run('stops')
      node.process.kill(signal)
      assert.deepEqual(await node.ended, { code: 0, signal: null })
      assert.match(node.output(), /stopped/)
    })
  }

  it('exits 1 within 5 s if something hangs, and says what', async () => {
    const node = await run('hangs')
    const [begun, spent] = [Date.now(), spentMs()]
    node.process.kill('SIGTERM')
    assert.deepEqual(await node.ended, { code: 1, signal: null })
    assert.ok(Date.now() - begun >= STOP_LIMIT_MS - 50)
    assert.ok(spentMs() - spent < 5_000)
    assert.match(node.output(), /"msg":"tick in hand did not stop within 4500 ms"/)
  })

  it('exits at once at the second signal', async () => {
    const node = await run('hangs')
    const begun = spentMs()
    node.process.kill('SIGTERM')
    await node.says('stopping')
    node.process.kill('SIGINT')
    assert.deepEqual(await node.ended, { code: 130, signal: null })
    assert.ok(spentMs() - begun < STOP_LIMIT_MS / 2)
  })

  it('stops after the start if the signal comes during the start', async () => {
    const node = await run('slow-start', 'starting')
    node.process.kill('SIGTERM')
    await node.says('stopping')
    node.process.stdin.end()
    assert.deepEqual(await node.ended, { code: 0, signal: null })
    assert.match(node.output(), /running[^]*stopped/)
  })

  it('rejects with the error of a start, of a stop, and with one that nobody caught', async () => {
    assert.equal((await (await run('start-fails', 'failed: the port is taken')).ended).code, 1)
    const node = await run('stop-fails')
    node.process.kill('SIGTERM')
    await node.says('failed: the disk is full')
    assert.equal((await node.ended).code, 1)
    assert.equal((await (await run('throws-later', 'failed: nobody caught this')).ended).code, 1)
  })

  it('stops a node that has failed, and rejects with its error', async () => {
    const node = await run('fails-later', 'failed: it is of another chain')
    assert.equal((await node.ended).code, 1)
    assert.match(node.output(), /running[^]*stopped/)
  })
})
