import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { cliGroup } from './cli.ts'
import { sealTicks } from './trades.ts'

describe('solar-node export', () => {
  const clis = cliGroup()
  let community: Community
  let file: string

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    file = join(community.folder, 'chain.jsonl')
    await sealTicks(community, 0, 5)
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })
  const exportChain = () => clis.run('export', '--data', community.directory, '--out', file)

  it('waits until nobody else has the data directory', async () => {
    const { code, stderr } = await exportChain()
    assert.equal(code, 1)
    assert.match(stderr, /in use/)
  })

  it('writes a file that audit finds clean without a node, and whose changes it names', async () => {
    await community.stopAuthority()
    const exported = await exportChain()
    assert.equal(exported.code, 0, exported.stderr)
    assert.match(exported.stdout, /^5 blocks written/)
    const clean = await clis.run('audit', '--file', file, '--chain', community.chainId)
    assert.equal(clean.code, 0, clean.stdout)
    assert.match(clean.stdout, /^5 blocks, 15 transactions: clean$/m)

    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('"id":"tick-3.1"', '"id":"tick-3.7"'))
    const found = await clis.run('audit', '--file', file, '--json')
    assert.equal(found.code, 1)
    const { findings } = JSON.parse(found.stdout) as { findings: { place: string }[] }
    assert.deepEqual(
      findings.map(({ place }) => place),
      ['line 5, block 3, transactions'],
    )
  })

  it('is asked for as the command line can mean it', async () => {
    const ends = await Promise.all([
      clis.run('audit'),
      clis.run('audit', '--file', file, '--data', community.directory),
      clis.run('audit', '--file', join(community.folder, 'nowhere')),
      clis.run('export', '--data', community.directory),
    ])
    assert.deepEqual(
      ends.map(({ code }) => code),
      [2, 2, 2, 2],
    )
  })
})
