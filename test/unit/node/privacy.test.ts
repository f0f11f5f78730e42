import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isConfigError } from '../../../src/config/errors.ts'
import { loadAuthorityConfig } from '../../../src/config/load.ts'
import { createPseudonymSecret, readPseudonymSecret } from '../../../src/keys/pseudonym-secret.ts'
import { createAuthority, type AuthorityNode } from '../../../src/node/authority.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { pseudonymOf } from '../../../src/protocol/pseudonym.ts'
import { namedKey } from '../../helpers/branches.ts'
import { TCP } from '../../helpers/network.ts'
import { tempDir } from '../../helpers/temp.ts'

describe('the privacy of a ledger', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let node: AuthorityNode | undefined
  let data: string

  beforeEach(async () => {
    folder = await tempDir()
    data = join(folder.path, 'data')
  })
  afterEach(async () => {
    await stop()
    await folder.remove()
  })

  const secretFile = () => join(data, 'pseudonym-secret')
  const databaseFile = () => join(data, 'ledger.db')

  async function stop(): Promise<void> {
    await node?.stop()
    node = undefined
  }

  async function start(privacy?: 'plain' | 'pseudonymous', settings: object = {}): Promise<AuthorityNode> {
    await stop()
    const file = join(folder.path, 'authority.yaml')
    await writeFile(file, JSON.stringify(settings))
    const flags = { data, http: 'off', listen: [TCP], tick: 'off', privacy }
    const next = createAuthority(loadAuthorityConfig({ flags, env: {}, file }), { logger: silentLogger })
    await next.start()
    return (node = next)
  }

  const refuses = async (reason: RegExp, privacy?: 'plain' | 'pseudonymous', settings?: object) =>
    assert.rejects(start(privacy, settings), (error) => {
      assert.ok(isConfigError(error), String(error))
      assert.match(error.message, reason)
      assert.doesNotMatch(error.message, /\n/)
      return true
    })

  async function tradeOn({ ledger }: AuthorityNode, id: string): Promise<string> {
    const timestamp = Date.now()
    await ledger.acceptTick({
      ...{ tick_id: `tick-${id}`, timestamp },
      transactions: [
        {
          ...{ kind: 'trade', id, from_user_id: 'ann', to_user_id: 'ben', timestamp },
          ...{ kwh: '1', price_per_kwh: '0.2', total_amount: '0.2' },
        },
      ],
    })
    const { transactions } = await ledger.transactions({ from: 0, to: Number.MAX_SAFE_INTEGER, limit: 100 })
    const found = transactions.find(({ transaction: tx }) => tx.kind !== 'redacted' && tx.id === id)
    return found?.transaction.kind === 'trade' ? found.transaction.from_user_id : ''
  }

  it('is settled by the first start: its secret is for this user alone, and a later start finds it without being told', async () => {
    const { ledger } = await start('pseudonymous')
    assert.equal(ledger.privacy, 'pseudonymous')
    const secret = await readPseudonymSecret(secretFile())
    if (process.platform !== 'win32') assert.equal((await stat(secretFile())).mode & 0o777, 0o600)
    const ann = pseudonymOf(secret, ledger.chainId, 'ann')
    assert.equal(await tradeOn(node!, 'one'), ann)
    assert.equal(await tradeOn(await start(), 'two'), ann)
    assert.equal(await tradeOn(await start('pseudonymous'), 'three'), ann)
    assert.deepEqual(await node?.ledger.namesOf([ann]), { [ann]: 'ann' })
  })

  it('is plain if nobody says otherwise, and stays plain', async () => {
    assert.equal((await start()).ledger.privacy, 'plain')
    assert.equal(await tradeOn(node!, 'one'), 'ann')
    await refuses(
      /privacy: there is a chain already, and no .*pseudonym-secret: if it is plain it stays plain/,
      'pseudonymous',
    )
    await createPseudonymSecret(secretFile(), { randomBytes: systemRandomBytes })
    await refuses(/privacy: the database is that of a plain ledger, and stays so/)
    await rm(secretFile())
    assert.equal((await start('plain')).ledger.privacy, 'plain')
  })

  it('stays pseudonymous', async () => {
    await start('pseudonymous')
    await refuses(/pseudonymous, and it stays so: start it without --privacy plain/, 'plain')
    assert.equal((await start()).ledger.privacy, 'pseudonymous')
  })

  it('is not guessed where the secret is lost', async () => {
    const ann = await tradeOn(await start('pseudonymous'), 'one')
    await stop()
    const secret = await readFile(secretFile(), 'utf8')
    await rm(secretFile())
    await refuses(/the database is that of a pseudonymous ledger, and there is no .*pseudonym-secret: put it back/)
    await refuses(/there is a chain already, and no .*put pseudonym-secret back from a backup/, 'pseudonymous')
    await writeFile(secretFile(), secret, { mode: 0o600 })
    assert.equal(await tradeOn(await start(), 'two'), ann)
  })

  it('refuses a database with pseudonyms of another secret', async () => {
    await tradeOn(await start('pseudonymous'), 'one')
    await stop()
    await rm(secretFile())
    await createPseudonymSecret(secretFile(), { randomBytes: systemRandomBytes })
    await refuses(/pseudonyms in the database were made with another secret than .*pseudonym-secret: put back the one/)
  })

  it('refuses a secret that is damaged, or that others can read', async () => {
    await start('pseudonymous')
    await stop()
    const secret = await readFile(secretFile(), 'utf8')
    await writeFile(secretFile(), secret.slice(1))
    await assert.rejects(start(), (error) => isSolarError(error, 'key_malformed'))
    if (process.platform === 'win32') return
    await writeFile(secretFile(), secret)
    await rm(secretFile())
    await writeFile(secretFile(), secret, { mode: 0o644 })
    await assert.rejects(start(), (error) => isSolarError(error, 'key_exposed'))
  })

  it('goes on with the secret where the database is new: pseudonyms are what they were', async () => {
    const ann = await tradeOn(await start('pseudonymous'), 'one')
    await stop()
    for (const suffix of ['', '-wal', '-shm']) await rm(`${databaseFile()}${suffix}`, { force: true })
    assert.equal(await tradeOn(await start(), 'two'), ann)
  })

  it('encrypts the secret where keys are encrypted', async () => {
    const passphrase = join(folder.path, 'passphrase')
    await writeFile(passphrase, 'open sesame\n', { mode: 0o600 })
    const options = { randomBytes: systemRandomBytes, passphrase: 'open sesame', workFactor: 2 }
    const file = join(folder.path, 'secret')
    const secret = await createPseudonymSecret(file, options)
    assert.deepEqual(await readPseudonymSecret(file, 'open sesame'), secret)
    await assert.rejects(readPseudonymSecret(file), (error) => isSolarError(error, 'key_encrypted'))
    assert.match(await readFile(file, 'utf8'), /^-----BEGIN AGE ENCRYPTED FILE-----/)
  })

  describe('with voters in the genesis', () => {
    const voter = (id: string, user_id?: string) => ({ id, user_id, public_key: namedKey(id).publicKey })

    it('has their users by pseudonyms', async () => {
      const { ledger } = await start('pseudonymous', { voters: [voter('device-1', 'ann')] })
      const ann = pseudonymOf(await readPseudonymSecret(secretFile()), ledger.chainId, 'ann')
      assert.equal(await ledger.userOf('device-1'), ann)
      assert.equal((await ledger.membership('device-1')).user_id, ann)
      assert.deepEqual(
        (await ledger.devicesOf('ann')).map(({ id }) => id),
        ['device-1'],
      )
      assert.equal(await (await start()).ledger.userOf('device-1'), ann)
    })

    it('wants a user for each, and no id that tells it, before anything is made', async () => {
      for (const [voters, reason] of [
        [[voter('ann')], /voters, with privacy pseudonymous: expected a user_id for each, ann has none/],
        [[voter('device-1', 'ben'), voter('ann.phone', 'ann')], /the id ann.phone tells its user/],
      ] as const) {
        await refuses(reason, 'pseudonymous', { voters })
        await assert.rejects(readdir(data))
      }
    })

    it('wants a user for each of a genesis that others have made', async () => {
      await start('plain', { voters: [voter('device-1', 'ann')] })
      const genesis = join(folder.path, 'genesis.json')
      await copyFile(join(data, 'genesis.json'), genesis)
      await stop()
      data = join(folder.path, 'other')
      await mkdir(data, { mode: 0o700 })
      await copyFile(join(folder.path, 'data', 'authority.key'), join(data, 'authority.key'))
      const nameless = /voters: expected a user_id for each voter of the genesis, device-1 has none/
      await refuses(nameless, 'pseudonymous', { genesis })
      const { ledger } = await start('pseudonymous', { genesis, voters: [voter('device-1', 'ann')] })
      assert.deepEqual(
        (await ledger.devicesOf('ann')).map(({ id }) => id),
        ['device-1'],
      )
    })
  })
})
