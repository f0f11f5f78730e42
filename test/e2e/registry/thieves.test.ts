import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import { PER_SUBJECT } from '../../../src/http/rate-limits.ts'
import { hashToken } from '../../../src/http/tokens.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { changeTokens } from '../../../src/node/token-files.ts'
import type { PostedRegistryTransaction, RegistryTransactionBody } from '../../../src/protocol/registry-transaction.ts'
import { startCommunity, type Answer, type Community } from '../../helpers/community.ts'
import { countersign, signingKeyFromSecret, signRegistryTransaction, type TestKey } from '../../helpers/sign-now.ts'

type Change = RegistryTransactionBody extends infer Body
  ? Body extends unknown
    ? Omit<Body, 'kind' | 'id' | 'timestamp' | 'nonce'>
    : never
  : never

describe('thieves at a running authority', () => {
  let community: Community
  let town: TestKey
  beforeEach(async () => {
    community = await startCommunity({ voters: ['house-1', 'house-2'] })
    const key = community.keys.get('authority')
    assert.ok(key)
    town = signingKeyFromSecret(key.secret)
  })
  afterEach(() => community.stop())

  const newKey = (): TestKey => signingKeyFromSecret(new Uint8Array(randomBytes(32)))
  const hex = (): string => randomBytes(16).toString('hex')
  function sign(change: Change, key: TestKey): PostedRegistryTransaction {
    const nonce = hex()
    const body = { kind: 'registry' as const, id: `change-${nonce}`, timestamp: Date.now(), nonce, ...change }
    return signRegistryTransaction(body, community.chainId, key)
  }
  const countersigned = (tx: PostedRegistryTransaction, id: string, key: TestKey) => {
    assert.ok(tx.action === 'enrol' || tx.action === 'recover')
    return countersign(tx, id, community.chainId, key)
  }
  const post = (body: PostedRegistryTransaction, role?: 'operator' | 'platform'): Promise<Answer> =>
    community.call('POST', '/registry/', { body, ...(role !== undefined && { role }) })
  async function taken(answer: Promise<Answer>): Promise<void> {
    const { status, body } = await answer
    assert.equal(status, 202, JSON.stringify(body))
  }
  async function refused(answer: Promise<Answer>, status: number, detail: RegExp): Promise<void> {
    const { status: found, body } = await answer
    assert.equal(found, status, JSON.stringify(body))
    assert.match(String(body.detail), detail)
  }
  const enrol = (subject_id: string, role: 'authority' | 'validator' | 'voter', key: TestKey, recovery: TestKey) =>
    sign({ action: 'enrol', subject_id, role, public_key: key.publicKey, recovery_key: recovery.publicKey }, key)
  const recover = (subject_id: string, key: TestKey, to = newKey()) =>
    sign({ action: 'recover', subject_id, public_key: to.publicKey }, key)
  const tick = (name: string) => {
    const timestamp = Date.now()
    const row = {
      id: name,
      from_user_id: 'a',
      to_user_id: 'b',
      kwh: '1',
      price_per_kwh: '0.2',
      total_amount: '0.2',
      timestamp,
    }
    return community.call('POST', '/ticks/', {
      body: { tick_id: name, timestamp, transactions: [row] },
      role: 'platform',
    })
  }

  it('whoever has stolen the operator token enrols no authority and no validator, and revokes none', async () => {
    const evil = newKey()
    for (const role of ['authority', 'validator'] as const) {
      const own = enrol('evil', role, evil, newKey())
      await refused(post(own, 'operator'), 422, /takes the signature of an active authority as well/)
      await refused(post(countersigned(own, 'evil', evil), 'operator'), 422, /evil is no active authority/)
      await refused(post(countersigned(own, 'authority', evil), 'operator'), 422, /not countersigned by authority/)
    }
    await refused(post(sign({ action: 'revoke', subject_id: 'authority' }, evil), 'operator'), 422, /signed neither by/)
    assert.equal((await tick('after')).status, 200)
  })

  it('the key of an authority alone opens no door: it takes a token as well', async () => {
    const key = newKey()
    const school = countersigned(enrol('school', 'validator', key, newKey()), 'authority', town)
    assert.equal((await post(school)).status, 401)
    assert.equal((await post(school, 'platform')).status, 403)
    await taken(post(school, 'operator'))
  })

  it('a stolen phone is revoked, and comes back when operator or platform vouch for its owner', async () => {
    const [phone, owner, thief] = [newKey(), newKey(), newKey()]
    await taken(post(enrol('home.phone', 'voter', phone, owner), 'platform'))
    const rotation = { action: 'rotate', subject_id: 'home.phone', public_key: thief.publicKey } as const
    await refused(
      post(sign({ ...rotation, recovery_key: newKey().publicKey }, phone)),
      422,
      /changes by its own signature alone/,
    )
    await taken(post(sign({ action: 'revoke', subject_id: 'home.phone' }, town)))
    const back = recover('home.phone', owner)
    await refused(post(back), 422, /takes the signature of an active authority as well/)
    await taken(post(back, 'platform'))
    await taken(post(back, 'platform'))
  })

  it('whoever posts again what the chain has uses up nothing of whose it is', async () => {
    const [phone, owner, next] = [newKey(), newKey(), newKey()]
    await taken(post(enrol('home.phone', 'voter', phone, owner), 'platform'))
    const rotation = { action: 'rotate', subject_id: 'home.phone' } as const
    const own = sign({ ...rotation, public_key: next.publicKey }, phone)
    for (let i = 0; i <= PER_SUBJECT; i++) await taken(post(own))
    await taken(post(sign({ ...rotation, public_key: newKey().publicKey }, next)))
  })

  it('a token alone brings back no validator that an authority has revoked', async () => {
    const [school, owner] = [newKey(), newKey()]
    await taken(post(countersigned(enrol('school', 'validator', school, owner), 'authority', town), 'operator'))
    await taken(post(sign({ action: 'revoke', subject_id: 'school' }, town)))
    const back = recover('school', owner)
    await refused(post(back, 'operator'), 422, /takes the signature of an active authority as well/)
    await taken(post(countersigned(back, 'authority', town)))
  })

  it('an authority that is revoked starts, answers, seals nothing and says so, and its recovery key brings it back', async () => {
    const [second, safe, safe2] = [newKey(), newKey(), newKey()]
    const named = {
      action: 'rotate',
      subject_id: 'authority',
      public_key: (await ownKeyFile('authority-2.key')).publicKey,
    }
    await taken(post(sign({ ...named, recovery_key: safe.publicKey } as Change, town)))
    const present = await ownKeyFile('authority-2.key')
    await taken(post(countersigned(enrol('second', 'authority', second, safe2), 'authority', present), 'operator'))
    assert.equal((await tick('before')).status, 200)
    await taken(post(sign({ action: 'revoke', subject_id: 'authority' }, second)))
    for (const restart of [false, true]) {
      if (restart) {
        await community.stopAuthority()
        await community.startAuthority()
      }
      const ready = await community.call('GET', '/ready')
      assert.equal(ready.status, 503)
      assert.match(
        JSON.stringify(ready.body),
        /the authority authority is revoked and seals nothing: its recovery key brings it/,
      )
      assert.equal((await community.call('GET', '/registry')).status, 200)
      const { status, body } = await tick(`while-revoked-${restart}`)
      assert.equal(status, 503, JSON.stringify(body))
      assert.match(String(body.detail), /is revoked/)
      const receipt = await community.call('GET', '/transactions/before/receipt', { role: 'platform' })
      assert.equal(receipt.status, 200, JSON.stringify(receipt.body))
    }
    // The second one was registered later: it does not bind the recovery key, which seals its own return.
    const next = await ownKeyFile('authority-3.key')
    await taken(post(recover('authority', safe, next)))
    await taken(post(sign({ action: 'revoke', subject_id: 'second' }, next)))
    await refused(post(recover('second', safe2)), 422, /which authority has revoked, takes the signature/)
    assert.equal((await community.call('GET', '/ready')).status, 200)
    assert.equal((await tick('back')).status, 200)
  })

  /** A key file of the authority, made where it is not there. */
  async function ownKeyFile(name: string): Promise<TestKey> {
    const file = join(community.directory, name)
    if (!existsSync(file)) await createKeyFile(file, { randomBytes: systemRandomBytes })
    return signingKeyFromSecret((await readKeyFile(file)).secret)
  }
})

for (const privacy of ['plain', 'pseudonymous'] as const) {
  describe(`an installer's token at the authority of a ${privacy} ledger`, () => {
    const TOKEN = 'installer-'.repeat(5)
    let community: Community
    beforeEach(async () => {
      community = await startCommunity({ voters: [], flags: { privacy } })
      const grant = { name: 'eve', role: 'enroller', hash: hashToken(TOKEN), expires_at: null } as const
      await changeTokens(join(community.directory, 'token-hashes.json'), (grants) => [
        ...grants,
        { ...grant, users: 'eve-', per_day: 2 },
      ])
    })
    afterEach(() => community.stop())

    function enrolment(subject_id: string): PostedRegistryTransaction {
      const key = signingKeyFromSecret(new Uint8Array(randomBytes(32)))
      const nonce = randomBytes(16).toString('hex')
      const body = { kind: 'registry', action: 'enrol', subject_id, role: 'voter', public_key: key.publicKey } as const
      const common = { id: `change-${nonce}`, nonce, timestamp: Date.now() }
      return signRegistryTransaction({ ...body, ...common }, community.chainId, key)
    }
    async function asEve(transaction: PostedRegistryTransaction, user_id: string) {
      const response = await fetch(`${community.url}/registry/`, {
        method: 'POST',
        body: JSON.stringify({ transaction, user_id }),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` },
      })
      return { status: response.status, text: await response.text() }
    }

    it('learns of no enrolment that everybody sees whose device it is, and asks no more often than its quota', async () => {
      const transaction = enrolment('device-1')
      const body = { transaction, user_id: 'anna.smith' }
      assert.equal((await community.call('POST', '/registry/', { role: 'platform', body })).status, 202)
      const told = await community.call('GET', '/users/anna.smith/pseudonym', { role: 'platform' })
      const { pseudonym = 'anna.smith' } = told.body as { readonly pseudonym?: string }
      const names = ['anna.smith', 'eve-', pseudonym]
      for (const user of ['eve-1', 'eve-2']) {
        const { status, text } = await asEve(transaction, user)
        assert.equal(status, 409, text)
        assert.match(text, /device-1 was not enrolled for that user/)
        for (const name of names) assert.ok(!text.includes(name), text)
      }
      assert.equal((await asEve(transaction, 'eve-3')).status, 429)
      assert.equal((await asEve(enrolment('device-2'), 'eve-1')).status, 429)
    })

    it('may enrol as many as its quota after what was refused for another reason', async () => {
      for (let n = 0; n < 3; n++) assert.equal((await asEve(enrolment('authority'), 'eve-1')).status, 422)
      for (const id of ['device-1', 'device-2']) assert.equal((await asEve(enrolment(id), 'eve-1')).status, 202)
      assert.equal((await asEve(enrolment('device-3'), 'eve-1')).status, 429)
    })
  })
}
