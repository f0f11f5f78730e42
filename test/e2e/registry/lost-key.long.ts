import assert from 'node:assert/strict'
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cliFile } from '../../helpers/bundle.ts'
import { getJson, logged, postTick, tipHeight } from '../../helpers/process-network.ts'
import { freePorts, processGroup, type NodeProcess, type ProcessGroup } from '../../helpers/processes.ts'

/** What docs/mishaps.md says under "The only authority's key is lost", typed by somebody who has only the words. */
describe('the only authority’s key is lost, by the command line', () => {
  let folder: string
  let processes: ProcessGroup
  let url: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'solar-lost-key-'))
    processes = processGroup()
    const [port] = await freePorts(1)
    url = `http://127.0.0.1:${port}`
  })
  afterEach(async () => {
    await processes.killAll()
    await rm(folder, { recursive: true })
  })

  const data = (name = '') => join(folder, 'solar-data', name)
  const cli = (...args: readonly string[]): NodeProcess => processes.start([cliFile(), ...args])
  const node = (): NodeProcess =>
    cli(
      '--mode=authority',
      '--data',
      data(),
      '--tick',
      'off',
      '--listen',
      '/ip4/127.0.0.1/tcp/0',
      '--http',
      url.slice(7),
    )
  const isUp = logged(({ msg }) => String(msg).startsWith('authority is running'))
  const token = async () => (JSON.parse(await readFile(data('tokens.json'), 'utf8')) as { platform: string }).platform
  async function end(process: NodeProcess): Promise<void> {
    process.kill('SIGTERM')
    await process.ended
  }
  async function succeeds(...args: readonly string[]): Promise<string> {
    const process = cli(...args)
    assert.equal((await process.ended).code, 0, process.errors())
    return process.output()
  }

  it('a new key file, a start, and the recovery bring the ledger back', async () => {
    let running = node()
    await running.awaitLine(isUp)
    await postTick({ url }, await token(), 't0')
    await end(running)
    await rename(data('recovery-phrase.txt'), join(folder, 'paper'))
    await rm(data('authority.key'))

    const refused = node()
    assert.equal((await refused.ended).code, 1)
    assert.match(refused.errors(), /no authority\.key: put it back; if it is lost, put a new key there and recover it/)

    await succeeds('keys', 'new', '--out', data('authority.key'))
    running = node()
    await running.awaitLine(
      logged(({ msg }) => /^the key [0-9a-f]{64} of the authority authority is not here/.test(String(msg))),
    )
    await running.awaitLine(isUp)
    const ready = await fetch(`${url}/ready`)
    assert.equal(ready.status, 503)
    assert.match(await ready.text(), /is not here, so nothing is sealed: put its key file back/)
    await assert.rejects(postTick({ url }, await token(), 't1'), /503/)

    const recover = ['keys', 'recover', '--id', 'authority', '--new-key', data('authority.key'), '--to', url]
    const said = await succeeds(...recover, '--recovery-key', join(folder, 'paper'))
    assert.match(said, /authority has the key [0-9a-f]{64}, as of block 1\n/)
    assert.match(await succeeds(...recover, '--recovery-key', join(folder, 'paper')), /was so already/)
    assert.equal((await fetch(`${url}/ready`)).status, 200)
    assert.equal((await postTick({ url }, await token(), 't1')).height, 2)

    await end(running)
    running = node()
    await running.awaitLine(isUp)
    assert.equal((await postTick({ url }, await token(), 't2')).height, 3)
    assert.equal(await tipHeight({ url }), 3)
    assert.equal((await getJson<{ height: number }>({ url }, '/registry/')).height, 3)
    await end(running)
    await succeeds('audit', '--data', data())
  })
})
