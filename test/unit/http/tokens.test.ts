import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createProgram } from '../../../src/cli/program.ts'
import { openDataDirectory, type DataDirectory } from '../../../src/node/data-directory.ts'
import { changeTokens, ensureTokens, readTokens, writeTokens } from '../../../src/node/token-files.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { signingKeyFromSecret } from '../../helpers/sign-now.ts'
import { bearer, change, NOW, startServer, type TestServer } from './harness.ts'

const freshKey = () => signingKeyFromSecret(systemRandomBytes(32))

describe('tokens of a running node', () => {
  let folder: string
  let directory: DataDirectory
  let server: TestServer
  let lines: { readonly text: string; readonly fields: object }[]
  const path = (name: string) => join(folder, name)

  /** Runs `solar-node tokens ...` in this process. */
  async function tokens(...args: readonly string[]): Promise<void> {
    const program = createProgram().exitOverride()
    await program.parseAsync(['node', 'solar-node', '--json', 'tokens', ...args, '--data', folder])
  }
  const made = (name: string): string => readFileSync(path(`${name}.token`), 'utf8').trim()
  const redactions = async (token: string) =>
    await server.request('GET', '/redactions', { headers: { authorization: `Bearer ${token}` } })

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tokens-'))
    directory = await openDataDirectory(folder)
    lines = []
    const note = (fields: object, text: string) => void lines.push({ text, fields })
    const logger: Logger = { ...silentLogger, info: note, warn: note }
    server = await startServer({ tokens: await ensureTokens(directory, systemRandomBytes), logger })
  })
  afterEach(async () => {
    await server.stop()
    directory.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('a new one counts with the next request, and one that is revoked no more', async () => {
    await tokens('new', '--role', 'auditor', '--name', 'mia', '--out', path('mia.token'))
    assert.equal(statSync(path('mia.token')).mode & 0o777, 0o600)
    assert.equal((await redactions(made('mia'))).status, 200)
    await tokens('revoke', 'mia')
    assert.equal((await redactions(made('mia'))).status, 401)
    const { auditor } = JSON.parse(readFileSync(path('tokens.json'), 'utf8')) as Record<string, string>
    assert.equal((await redactions(auditor ?? '')).status, 200, 'the others stay')
    await tokens('revoke', 'auditor')
    assert.equal((await redactions(auditor ?? '')).status, 401)
  })

  it('are changed by one command at a time: what one has revoked, another does not bring back', async () => {
    await changeTokens(directory.file('tokenHashes'), async (grants) => {
      await assert.rejects(
        tokens('revoke', 'auditor'),
        /token-hashes\.json is being changed by .*: run the command again/,
      )
      await assert.rejects(
        tokens('new', '--role', 'auditor', '--name', 'mia', '--out', path('mia.token')),
        /run the command/,
      )
      return grants
    })
    assert.throws(() => made('mia'), { code: 'ENOENT' }, 'half of it was done')
    await tokens('revoke', 'auditor')
    const { auditor } = JSON.parse(readFileSync(path('tokens.json'), 'utf8')) as Record<string, string>
    assert.equal((await redactions(auditor ?? '')).status, 401)
  })

  it('one that has expired is refused with its name and the time', async () => {
    await tokens('new', '--role', 'auditor', '--name', 'mia', '--days', '1', '--out', path('mia.token'))
    const file = directory.file('tokenHashes')
    const grants = await readTokens(file)
    await writeTokens(
      file,
      grants.map((grant) => (grant.name === 'mia' ? { ...grant, expires_at: NOW } : grant)),
    )
    const refused = await redactions(made('mia'))
    assert.equal(refused.status, 401)
    assert.match(refused.text, /the token mia expired at /)
  })

  it('while the file of their hashes is gone or damaged none counts', async () => {
    const { auditor = '' } = JSON.parse(readFileSync(path('tokens.json'), 'utf8')) as Record<string, string>
    const file = directory.file('tokenHashes')
    const kept = readFileSync(file)
    writeFileSync(file, '{"tokens":')
    assert.equal((await redactions(auditor)).status, 500)
    unlinkSync(file)
    assert.equal((await redactions(auditor)).status, 500)
    writeFileSync(file, kept, { mode: 0o600 })
    assert.equal((await redactions(auditor)).status, 200)
  })

  it('their names stand in the log: of what was changed with them, and of what they were refused', async () => {
    await tokens('new', '--role', 'operator', '--name', 'mia', '--out', path('mia.token'))
    const headers = { authorization: `Bearer ${made('mia')}` }
    assert.equal((await server.request('POST', '/blocks/propose/', { headers })).status, 204)
    assert.equal((await server.request('POST', '/ticks/', { headers, body: {} })).status, 403)
    const named = lines.filter(({ fields }) => 'token_name' in fields && fields.token_name === 'mia')
    assert.equal(named.length, 2)
    assert.match(named[0]?.text ?? '', /with the token mia$/)
    assert.ok(!JSON.stringify(lines).includes(made('mia')))
  })

  it('of what makes no sense none is made', async () => {
    const out = path('x.token')
    for (const [args, reason] of [
      [['--role', 'enroller', '--name', 'x'], /--users: expected the beginning/],
      [['--role', 'enroller', '--name', 'x', '--users', 'a b'], /--users: expected the beginning/],
      [['--role', 'auditor', '--name', 'x', '--users', 'home-'], /--users: only a token of the role enroller/],
      [['--role', 'auditor', '--name', 'x', '--days', '0'], /--days: expected a whole number/],
      [['--role', 'auditor', '--name', 'x y'], /--name: expected an identifier/],
      [['--role', 'auditor', '--name', 'platform'], /--name: platform is the name of a token already/],
    ] as const) {
      await assert.rejects(tokens('new', ...args, '--out', out), reason)
    }
    await assert.rejects(tokens('revoke', 'x'), /NAME: expected one of operator, platform, auditor, validator, got "x"/)
  })

  it('an enroller brings devices of its own users, and so many a day', async () => {
    const enrol = async (subject_id: string, user_id?: string, role: 'voter' | 'validator' = 'voter') => {
      const key = freshKey()
      const fields = { action: 'enrol', subject_id, role, public_key: key.publicKey } as const
      const transaction = change(server.ledger, key, fields)
      const body = user_id === undefined ? transaction : { transaction, user_id }
      return await server.request('POST', '/registry/', { headers: { authorization: `Bearer ${made('eve')}` }, body })
    }
    await tokens(
      'new',
      '--role',
      'enroller',
      '--name',
      'eve',
      '--users',
      'home-',
      '--per-day',
      '2',
      '--out',
      path('eve.token'),
    )
    assert.equal((await enrol('phone', 'household-7')).status, 403)
    assert.equal((await enrol('phone')).status, 403, 'without a user the id is that of the user')
    assert.equal((await enrol('school', 'home-1', 'validator')).status, 403)
    assert.equal((await enrol('household-7.phone', 'home-1')).status, 422, 'what is refused is not counted')
    assert.equal((await enrol('phone', 'home-1')).status, 202)
    assert.equal((await enrol('home-2')).status, 202)
    const third = await enrol('home-3')
    assert.equal(third.status, 429)
    assert.match(third.text, /the token eve has enrolled 2 devices within 24 hours/)
    server.clock.advance(24 * 3_600_000)
    const late = await enrol('home-3')
    assert.notEqual(late.status, 429, late.text)
  })

  it('a token of the metrics opens the metrics and nothing else', async () => {
    const headers = bearer('metrics')
    await tokens('new', '--role', 'metrics', '--name', 'prometheus', '--out', path('prometheus.token'))
    headers.authorization = `Bearer ${made('prometheus')}`
    assert.equal((await server.request('GET', '/metrics', { headers })).status, 200)
    for (const [method, at] of [
      ['GET', '/redactions'],
      ['GET', '/transactions?from=0'],
      ['POST', '/ticks/'],
      ['POST', '/blocks/propose/'],
    ] as const) {
      assert.equal((await server.request(method, at, { headers })).status, 403, at)
    }
  })
})
