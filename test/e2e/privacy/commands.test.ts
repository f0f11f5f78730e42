import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Libsql from 'libsql'
import { createKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { readPseudonymSecret } from '../../../src/keys/pseudonym-secret.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { encryptPayload } from '../../../src/payload/payload.ts'
import { recipientOf } from '../../../src/payload/recipient.ts'
import { pseudonymOf } from '../../../src/protocol/pseudonym.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { cliGroup } from '../main-job/cli.ts'

const HEADER = 'timestamp,household,load_kwh,pv_kwh,price_per_kwh'
const csv = (...rows: readonly string[]) => [HEADER, ...rows, ''].join('\n')
const [ROOF, FLAT] = ['roof-of-anna', 'flat-of-bert'] as const

describe('commands on a pseudonymous ledger', () => {
  const clis = cliGroup()
  let community: Community
  let pseudonym: (user: string) => string
  const file = (name: string) => join(community.folder, name)

  before(async () => {
    community = await startCommunity({ voters: [], flags: { privacy: 'pseudonymous' } })
    const secret = await readPseudonymSecret(join(community.directory, 'pseudonym-secret'))
    pseudonym = (user) => pseudonymOf(secret, community.chainId, user)
    for (const role of ['operator', 'platform', 'auditor'] as const) {
      await writeFile(file(role), community.tokens[role], { mode: 0o600 })
    }
    await createKeyFile(file('phone.key'), { randomBytes: systemRandomBytes })
    await createKeyFile(file('other.key'), { randomBytes: systemRandomBytes })
  })
  after(async () => {
    await clis.killAll()
    await (community as Community | undefined)?.stop()
  })

  const transactions = async (query = '') =>
    (await community.call('GET', `/transactions${query}`, { role: 'auditor' })).body.transactions as {
      readonly id: string
      readonly from_user_id?: string
      readonly reason?: string
    }[]

  it('replay and its corrections name nobody: not on the chain, not in SQL but in one table', async () => {
    await writeFile(
      file('readings.csv'),
      csv(`2016-08-08T10:00:00,${ROOF},1,4,0.2`, `2016-08-08T10:00:00,${FLAT},3,0,0.2`),
    )
    await writeFile(file('late.csv'), csv(`2016-08-08T10:00:00,${FLAT},1,0,0.2`))
    const tokens = ['--token-file', file('operator'), '--platform-token-file', file('platform')]
    const replay = (...more: string[]) =>
      clis.run('replay', file('readings.csv'), '--to', community.url, ...tokens, ...more)
    const replayed = await replay('--corrections', file('late.csv'))
    assert.equal(replayed.code, 0, replayed.stderr)
    const [trade, correction] = await transactions()
    assert.equal(trade?.from_user_id, pseudonym(ROOF))
    assert.equal(correction?.reason, `late meter reading of ${pseudonym(FLAT)}`)
    const again = await replay('--corrections', file('late.csv'))
    assert.equal(again.code, 0, again.stderr)
    assert.equal((await transactions()).length, 2)
    const database = new Libsql(community.database, { timeout: 5_000 })
    try {
      const tables = database.prepare("select name from sqlite_master where type = 'table'").all() as { name: string }[]
      const telling = tables.filter(({ name }) =>
        [ROOF, FLAT].some((user) => JSON.stringify(database.prepare(`select * from "${name}"`).all()).includes(user)),
      )
      assert.deepEqual(
        telling.map(({ name }) => name),
        ['pseudonyms'],
      )
    } finally {
      database.close()
    }
  })

  it('keys enrol registers a device by the pseudonym, and refuses an id that tells its user', async () => {
    const enrol = (id: string) =>
      clis.run(
        ...['keys', 'enrol', '--id', id, '--role', 'voter', '--key', file('phone.key'), '--user-id', FLAT],
        ...['--to', community.url, '--token-file', file('platform')],
      )
    const refused = await enrol(`${FLAT}.phone`)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /this ledger is pseudonymous, and the subject_id .* tells whose key it is/)
    const enrolled = await enrol(`${pseudonym(FLAT)}.phone`)
    assert.equal(enrolled.code, 0, enrolled.stderr)
  })

  it('trades lists those of a user of the platform, and of a pseudonym for an auditor', async () => {
    const list = (user: string, token: string) =>
      clis.run('trades', user, '--to-url', community.url, '--token-file', file(token), '--json')
    for (const [user, token] of [
      [FLAT, 'platform'],
      [pseudonym(FLAT), 'auditor'],
    ] as const) {
      const listed = await list(user, token)
      assert.equal(listed.code, 0, listed.stderr)
      const { user: shown, sums } = JSON.parse(listed.stdout) as { user: string; sums: { kwh_bought: string } }
      assert.deepEqual([shown, sums.kwh_bought], [pseudonym(FLAT), '1'])
    }
  })

  it('keys show prints the recipient, and payload decrypt opens what was encrypted for it', async () => {
    const shown = await clis.run('keys', 'show', file('phone.key'))
    const recipient = recipientOf((await readKeyFile(file('phone.key'))).publicKey)
    assert.match(shown.stdout, new RegExp(`^recipient   ${recipient}$`, 'm'))
    const { body } = await community.call('GET', `/users/${FLAT}/recipients`, { role: 'platform' })
    assert.deepEqual(
      (body.recipients as { recipient: string }[]).map((one) => one.recipient),
      [recipient],
    )

    const payload = await encryptPayload('contract 4711', [recipient])
    const timestamp = Date.now()
    const row = {
      id: 'secret',
      from_user_id: ROOF,
      to_user_id: FLAT,
      kwh: '1',
      price_per_kwh: '0.2',
      total_amount: '0.2',
    }
    const tick = { tick_id: 'tick-1', timestamp, transactions: [{ ...row, timestamp, payload }] }
    assert.equal((await community.call('POST', '/ticks/', { body: tick, role: 'platform' })).status, 200)
    const receipt = await community.call('GET', '/transactions/secret/receipt', { role: 'platform' })
    await writeFile(file('receipt.json'), JSON.stringify(receipt.body))
    await writeFile(file('trade.json'), JSON.stringify(receipt.body.transaction))
    await writeFile(file('payload.txt'), `${payload}\n`)
    await writeFile(file('other.json'), JSON.stringify({ transaction: { ...row, payload: undefined } }))
    const decrypt = (name: string, key = 'phone.key', ...more: string[]) =>
      clis.run('payload', 'decrypt', file(name), '--key-file', file(key), ...more)
    for (const name of ['receipt.json', 'trade.json', 'payload.txt']) {
      const opened = await decrypt(name)
      assert.deepEqual([opened.code, opened.stdout], [0, 'contract 4711'], opened.stderr)
    }
    assert.equal((await decrypt('receipt.json', 'phone.key', '--json')).stdout, '{"text":"contract 4711"}\n')
    for (const [name, key, reason] of [
      ['receipt.json', 'other.key', /expected an age file that is encrypted for this key/],
      ['other.json', 'phone.key', /this trade has no payload/],
      ['readings.csv', 'phone.key', /expected an age file/],
    ] as const) {
      const refused = await decrypt(name, key)
      assert.deepEqual([refused.code, refused.stdout], [1, ''])
      assert.match(refused.stderr, reason)
      assert.equal(refused.stderr.trim().split('\n').length, 1)
    }
    const proved = await clis.run(
      ...['prove', 'secret', '--peer', community.addressOf('tcp'), '--chain', community.chainId],
      ...['--key', file('phone.key')],
    )
    assert.equal(proved.code, 0, proved.stderr)
    assert.match(proved.stdout, /^payload {5}for the parties and auditors alone/m)
    const verified = await clis.run('verify', file('receipt.json'), '--chain', community.chainId)
    assert.equal(verified.code, 0, verified.stdout)
  })

  it('trades of a stopped authority takes the id of the platform, and needs no secret', async () => {
    await community.stopAuthority()
    try {
      const listed = await clis.run('trades', FLAT, '--data', community.directory, '--json')
      assert.equal(listed.code, 0, listed.stderr)
      assert.equal((JSON.parse(listed.stdout) as { sums: { trades: number } }).sums.trades, 2)
      const audited = await clis.run('audit', '--data', community.directory)
      assert.equal(audited.code, 0, audited.stdout + audited.stderr)
      const secret = await readFile(join(community.directory, 'pseudonym-secret'), 'utf8')
      assert.match(secret, /^[0-9a-f]{64}\n$/)
    } finally {
      await community.startAuthority()
    }
    const id = randomBytes(4).toString('hex')
    const { status } = await community.call('GET', `/users/${id}/pseudonym`, { role: 'platform' })
    assert.equal(status, 200)
  })
})
