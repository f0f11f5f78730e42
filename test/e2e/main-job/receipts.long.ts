import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { verifyCheckpoint } from '../../../src/protocol/checkpoint.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { cliGroup, type CliEnd } from './cli.ts'
import { sealTicks } from './trades.ts'

describe('a receipt from a running authority', () => {
  const clis = cliGroup()
  let community: Community
  let file: string

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    file = join(community.folder, 'receipt.json')
    await sealTicks(community, 0, 5)
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  const prove = (...more: readonly string[]): Promise<CliEnd> =>
    clis.run('prove', 'tick-3.0', '--peer', community.addressOf('tcp'), '--chain', community.chainId, ...more)
  const verify = (path: string, ...more: readonly string[]): Promise<CliEnd> =>
    clis.run('verify', path, '--chain', community.chainId, ...more)

  it('is fetched by a party, saved, and verifies offline after the authority has gone', async () => {
    const proved = await prove('--key', join(community.folderOf('ben'), 'voter.key'), '--out', file)
    assert.equal(proved.code, 0, proved.stderr)
    assert.match(proved.stdout, /^receipt +.*receipt\.json: final$/m)
    assert.match(proved.stdout, /^trade +ann sold 1\.5 kWh to ben at .* for /m)
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const again = await prove('--key', join(community.folderOf('ben'), 'voter.key'), '--out', file)
    assert.equal(again.code, 2)
    assert.match(again.stderr, /exists already: choose another name, or --force/)
    await community.stopAuthority()
    const checked = await verify(file)
    assert.equal(checked.code, 0, checked.stdout)
    for (const check of ['format', 'genesis', 'transaction', 'inclusion', 'handovers', 'seal', 'votes']) {
      assert.match(checked.stdout, new RegExp(`^${check} `, 'm'))
    }
    assert.match(checked.stdout, /^valid +tick-3\.0 is final$/m)
    await community.startAuthority()
  })

  it('is fetched with a token of platform or auditor, and refused to others', async () => {
    const withToken = async (token: string) => {
      const tokenFile = join(community.folder, 'token')
      await writeFile(tokenFile, token)
      return await prove('--token-file', tokenFile, '--out', file, '--force', '--json')
    }
    const asAuditor = await withToken(community.tokens.auditor)
    assert.equal(asAuditor.code, 0, asAuditor.stderr)
    const { receipt } = JSON.parse(asAuditor.stdout) as { receipt: { status: string } }
    assert.equal(receipt.status, 'final')
    const answer = JSON.parse((await verify(file, '--json')).stdout) as Record<string, unknown>
    assert.deepEqual([answer.valid, answer.status], [true, 'final'])
    for (const token of [community.tokens.operator, 'a-token-of-nobody']) {
      const refused = await withToken(token)
      assert.equal(refused.code, 1)
      assert.match(refused.stderr, /forbidden/)
    }
  })

  it('leads to the checkpoint that the authority publishes', async () => {
    const answer = await fetch(`${community.url}/checkpoint`)
    assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/)
    const note = await answer.text()
    const { checkpoint } = JSON.parse(await readFile(file, 'utf8')) as { checkpoint: { note: string } }
    assert.equal(Buffer.from(checkpoint.note, 'base64').toString(), note)
    const authority = community.genesis.registry.find(({ role }) => role === 'authority')!
    const verdict = verifyCheckpoint(note, community.genesis.origin, authority.public_key)
    assert.ok(verdict.ok && verdict.checkpoint.size === 5)
  })

  it('is not given to a household that is no party of the trade', async () => {
    const { code, stderr } = await prove(
      '--key',
      join(community.folderOf('cyd'), 'voter.key'),
      '--out',
      file,
      '--force',
    )
    assert.equal(code, 1)
    assert.match(stderr, /no party/)
  })

  it('is refused with the reason when anything of it is changed, and on another chain', async () => {
    const receipt = JSON.parse(await readFile(file, 'utf8')) as { transaction: { kwh: string } }
    const changed = join(community.folder, 'changed.json')
    await writeFile(
      changed,
      JSON.stringify({ ...receipt, transaction: { ...receipt.transaction, nonce: '0'.repeat(32) } }),
    )
    const wrong = await verify(changed)
    assert.equal(wrong.code, 1)
    assert.match(wrong.stdout, /^inclusion +FAILED /m)
    const elsewhere = await clis.run('verify', file, '--chain', '0c'.repeat(32), '--json')
    assert.equal(elsewhere.code, 1)
    const { valid, failed, code } = JSON.parse(elsewhere.stdout) as Record<string, unknown>
    assert.deepEqual([valid, failed, code], [false, 'genesis', 'wrong_chain'])
  })

  it('is asked for as the command line can mean it', async () => {
    const text = join(community.folder, 'text')
    await writeFile(text, 'no receipt')
    const ends = await Promise.all([
      prove('--out', file),
      verify(join(community.folder, 'nowhere.json')),
      clis.run('verify', file, '--chain', 'abc'),
      verify(text),
    ])
    assert.deepEqual(
      ends.map(({ code }) => code),
      [2, 2, 2, 1],
    )
  })
})
