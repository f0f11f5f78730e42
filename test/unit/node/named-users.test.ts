import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { isConfigError } from '../../../src/config/errors.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { namedKey } from '../../helpers/branches.ts'
import { TCP } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'

describe('the users that the setting voters names', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let node: AuthorityNode | undefined

  beforeEach(async () => {
    folder = await tempDir()
  })
  afterEach(async () => {
    await node?.stop()
    await folder.remove()
  })

  /** Starts the authority anew with this list of voters in its file. */
  async function start(voters: readonly { readonly id: string; readonly user_id?: string }[]): Promise<AuthorityNode> {
    await node?.stop()
    node = undefined
    const file = join(folder.path, 'authority.yaml')
    const rows = voters.map((voter) => ({ ...voter, public_key: namedKey(voter.id).publicKey }))
    await writeFile(file, JSON.stringify({ voters: rows }))
    const flags = { data: join(folder.path, 'data'), http: 'off', listen: [TCP], tick: 'off' }
    const next = createAuthority(loadAuthorityConfig({ flags, env: {}, file }), { logger: silentLogger })
    await next.start()
    return (node = next)
  }
  const usersOf = ({ ledger }: AuthorityNode) => Promise.all(['ben', 'phone', 'tablet'].map((id) => ledger.userOf(id)))
  const [phone, tablet] = [
    { id: 'phone', user_id: '17' },
    { id: 'tablet', user_id: '17' },
  ]
  // Its id is the name of a user of the platform, and it is no device of that user.
  const ben = { id: 'ben', user_id: 'mallory' }

  it('are kept: a device does not become that of another user where a later start lacks the setting', async () => {
    const first = await start([phone, tablet, ben])
    assert.deepEqual(await usersOf(first), ['mallory', '17', '17'])
    for (const voters of [[], [{ id: 'phone' }, { id: 'ben' }]]) {
      const later = await start(voters)
      assert.deepEqual(await usersOf(later), ['mallory', '17', '17'])
      assert.deepEqual((await later.ledger.devicesOf('17')).map(({ id }) => id).sort(), ['phone', 'tablet'])
      assert.deepEqual(await later.ledger.devicesOf('ben'), [])
      assert.equal((await later.ledger.membership('ben', undefined)).user_id, 'mallory')
    }
  })

  it('are known by certificates where the database was lost', async () => {
    const { ledger } = await start([phone])
    const membership = await ledger.membership('phone', undefined)
    await node?.stop()
    node = undefined
    for (const end of ['', '-wal', '-shm']) await rm(join(folder.path, 'data', `ledger.db${end}`), { force: true })
    const { ledger: later } = await start([])
    assert.equal(await later.userOf('phone', membership), '17')
    assert.equal((await later.membership('phone', membership)).user_id, '17')
    // One that does not count says nothing: it is a voter of the genesis, and nobody has named another user.
    assert.equal(await later.userOf('phone', { ...membership, user_id: 'ben' }), 'phone')
  })

  it('may be said later, once: a device of another user takes another id', async () => {
    await start([{ id: 'phone' }, { id: 'tablet' }, { id: 'ben' }])
    assert.deepEqual(await usersOf(await start([phone, { id: 'tablet' }])), ['ben', '17', 'tablet'])
    await assert.rejects(start([{ ...phone, user_id: '18' }]), (error) => {
      assert.ok(isConfigError(error) && error.code === 'config_conflict')
      assert.match(error.message, /^voters: phone is said to be a device of the user 18, but .* one of 17: a device of/)
      return true
    })
    assert.deepEqual(await usersOf(await start([])), ['ben', '17', 'tablet'])
  })
})
