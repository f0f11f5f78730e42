import assert from 'node:assert/strict'
import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { auditDirectory } from '../../../src/node/audit.ts'
import { createSignerClient } from '../../../src/node/signer-client.ts'
import type { SealedHeader } from '../../../src/protocol/header.ts'
import { bundleForNode } from '../../helpers/bundle.ts'
import { createProcessNetwork, getJson, postTick, type ProcessNetwork } from '../../helpers/process-network.ts'
import { freePorts } from '../../helpers/processes.ts'
import { createLives, type Lives } from '../crash/lives.ts'
import { signerOf } from './signer.ts'

describe('an authority that is killed between the signature of its signer and the fence', () => {
  let network: ProcessNetwork
  let lives: Lives

  beforeEach(async () => {
    network = await createProcessNetwork({ finality: 'authority', validators: [] })
  })
  afterEach(async () => {
    await lives.killAll()
    await network.stop()
  })

  /** What an authority is told at its start, and where it answers. */
  async function layOut() {
    const signer = await signerOf(network, 'authority', 'authorityKey')
    await signer.start()
    const [port = 0] = await freePorts(1)
    const data = join(network.folder, 'authority')
    const flags = {
      ...{ data, genesis: join(network.folder, 'genesis.json'), signer: signer.url(), tick: 'off' },
      ...{ http: `127.0.0.1:${port}`, listen: ['/ip4/127.0.0.1/tcp/0'] },
    }
    const entry = new URL('../crash/authority-process.ts', import.meta.url)
    lives = createLives(bundleForNode(entry, join(network.folder, 'package')), flags)
    return { signer, data, node: { url: `http://127.0.0.1:${port}` } }
  }
  const token = () => network.tokenOf('platform')

  it('seals the block that was signed, and goes on', async () => {
    const { signer, data, node } = await layOut()
    const first = await lives.begin({ step: 'before fence', occurrence: 2 })
    assert.ok(await first.started)
    await postTick(node, await token(), 't0')
    await assert.rejects(postTick(node, await token(), 't1'))
    const { step, signal } = await first.end
    assert.deepEqual([step, signal], ['before fence', 'SIGKILL'])

    const address = { kind: 'unix', path: signer.url().slice('unix:'.length) } as const
    const client = createSignerClient({ address, token: undefined })
    const { sealed } = (await client.keys()).keys[0]!
    assert.equal(sealed?.header.height, 1, 'the signer remembers what nobody has stored')

    const second = await lives.begin(null)
    assert.ok(await second.started)
    const { headers } = await getJson<{ headers: SealedHeader[] }>(node, '/blocks/latest-headers/?n=1')
    const [{ header, signature } = assert.fail()] = headers
    assert.deepEqual({ header, signature }, sealed, 'the tick that waited is sealed as it was signed')
    assert.equal((await postTick(node, await token(), 't2')).height, 2)
    second.process.kill('SIGTERM')
    assert.equal((await second.end).code, 0)
    const database = { kind: 'sqlite', path: join(data, 'ledger.db') } as const
    const { findings } = await auditDirectory(data, database, () => undefined)
    assert.deepEqual(findings, [])
  })

  it('starts on an older database with a tick that waits, and says what it lacks', async () => {
    const { data, node } = await layOut()
    const first = await lives.begin({ step: 'after commit', occurrence: 2 })
    assert.ok(await first.started)
    await postTick(node, await token(), 't0')
    await assert.rejects(postTick(node, await token(), 't1'))
    assert.equal((await first.end).step, 'after commit')
    const backup = join(network.folder, 'backup')
    await cp(data, backup, { recursive: true })

    const second = await lives.begin(null)
    assert.ok(await second.started)
    assert.equal((await postTick(node, await token(), 't2')).height, 2)
    second.process.kill('SIGTERM')
    assert.equal((await second.end).code, 0)
    await rm(data, { recursive: true })
    await rename(backup, data)

    const third = await lives.begin(null)
    assert.ok(await third.started)
    const response = await fetch(`${node.url}/ready`)
    assert.equal(response.status, 503)
    assert.match(
      await response.text(),
      /the signer has block 2 \([0-9a-f]{64}\) sealed by authority, this database ends at block 0/,
    )
    await assert.rejects(postTick(node, await token(), 't3'), /503/)
  })
})
