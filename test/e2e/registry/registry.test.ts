import assert from 'node:assert/strict'
import { join } from 'node:path'
import { createKeyFile } from '../../../src/keys/key-file.ts'
import { systemRandomBytes } from '../../../src/node/clock.ts'
import { bytesToHex } from '../../../src/protocol/bytes.ts'
import type { Finality } from '../../../src/protocol/genesis.ts'
import type { PostedRegistryTransaction, RegistryTransactionBody } from '../../../src/protocol/registry-transaction.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { signingKeyFromSecret, signRegistryTransaction, type TestKey } from '../../helpers/sign-now.ts'

type Change = RegistryTransactionBody extends infer T
  ? T extends unknown
    ? Omit<T, 'kind' | 'id' | 'timestamp' | 'nonce'>
    : never
  : never

/** Changes of the registry on a running network: over HTTP, sealed at once, followed by light nodes through proofs. */
describe('registry changes on a running network', () => {
  let community: Community
  let ticks = 0

  beforeEach(async () => {
    community = await startCommunity({ voters: ['house-1', 'house-2', 'house-3'] })
    ticks = 0
  })
  afterEach(() => community.stop())

  const newKey = (): TestKey => signingKeyFromSecret(systemRandomBytes(32))

  function keyOf(id: string): TestKey {
    const material = community.keys.get(id)
    assert.ok(material)
    return signingKeyFromSecret(material.secret)
  }

  function sign(change: Change, key: TestKey, timestamp = Date.now()): PostedRegistryTransaction {
    const nonce = bytesToHex(systemRandomBytes(16))
    const body = {
      kind: 'registry',
      id: `change-${nonce}`,
      timestamp,
      nonce,
      ...change,
    } as RegistryTransactionBody
    return signRegistryTransaction(body, community.chainId, key)
  }

  async function change(what: Change, key: TestKey): Promise<void> {
    const answer = await community.call('POST', '/registry/', { body: sign(what, key), role: 'operator' })
    assert.equal(answer.status, 202, JSON.stringify(answer.body))
  }

  async function trade(): Promise<string> {
    ticks += 1
    const row = { id: `trade-${ticks}`, from_user_id: 'house-1', to_user_id: 'house-2' }
    const amounts = { kwh: '1', price_per_kwh: '0.2', total_amount: '0.2', timestamp: Date.now() }
    const tick = { tick_id: `tick-${ticks}`, timestamp: Date.now(), transactions: [{ ...row, ...amounts }] }
    const answer = await community.call('POST', '/ticks/', { body: tick, role: 'platform' })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
    return answer.body.block_hash as string
  }

  async function newAuthorityKey(name: string): Promise<TestKey> {
    const file = join(community.directory, name)
    return signingKeyFromSecret((await createKeyFile(file, { randomBytes: systemRandomBytes })).secret)
  }

  async function statusOf(hash: string) {
    return (await community.call('GET', `/blocks/${hash}/status/`)).body as {
      readonly status: string
      readonly policy: string
      readonly votes: { readonly ack: number; readonly required: number }
    }
  }

  const becomesFinal = async (hash: string): Promise<void> => {
    await community.until(`${hash} is final`, () =>
      community.events.some((e) => e.type === 'final' && e.header_hash === hash),
    )
    assert.equal((await statusOf(hash)).status, 'final')
  }

  it('enrols a new household, whose votes count from the next block on', async () => {
    await trade()
    const key = newKey()
    await change({ action: 'enrol', subject_id: 'house-4', role: 'voter', public_key: key.publicKey }, key)
    const { body } = await community.call('GET', '/registry')
    const ids = (body.entries as { readonly id: string }[]).map(({ id }) => id)
    assert.deepEqual(ids, ['authority', 'house-1', 'house-2', 'house-3', 'house-4'])
  })

  it('takes no change that was signed more than a day before the chain as it is', async () => {
    await trade()
    const key = newKey()
    const enrolment = { action: 'enrol', subject_id: 'house-4', role: 'voter', public_key: key.publicKey } as const
    const post = (timestamp: number) =>
      community.call('POST', '/registry/', { body: sign(enrolment, key, timestamp), role: 'operator' })
    const day = 24 * 3_600_000
    const old = await post(Date.now() - day - 60_000)
    assert.deepEqual([old.status, old.body.code], [422, 'registry_refused'])
    assert.match(String(old.body.detail), /was signed at [0-9]+, more than 24 hours before [0-9]+: sign it anew/)
    assert.equal((await post(Date.now() - day + 60_000)).status, 202)
  })

  it('lets light nodes follow the rotation of the authority, also one that slept through it and more', async () => {
    const awake = await community.startHousehold('house-1')
    const sleeper = await community.startHousehold('house-2', { transport: 'ws' })
    await Promise.all([awake.live(), sleeper.live()])
    await trade()
    await community.until('both are at block 0', () =>
      [awake, sleeper].every(({ node }) => node.status().tip?.height === 0),
    )
    await sleeper.stop()

    const next = await newAuthorityKey('authority-2.key')
    await change({ action: 'rotate', subject_id: 'authority', public_key: next.publicKey }, keyOf('authority'))
    await trade()
    await change({ action: 'revoke', subject_id: 'house-3' }, next)
    const third = await newAuthorityKey('authority-3.key')
    await change({ action: 'rotate', subject_id: 'authority', public_key: third.publicKey }, next)
    for (let i = 0; i < 8; i++) await trade()
    const height = 12
    await community.until('the one awake is at the tip', () => awake.node.status().tip?.height === height)

    const again = await community.startHousehold('house-2', { transport: 'ws' })
    await community.until('the sleeper is at the tip', () => again.node.status().tip?.height === height)
    for (const { events } of [awake, again])
      assert.deepEqual(
        events.filter(({ type }) => type === 'alarm'),
        [],
      )
  })

  it('refuses a rotation to a key that this authority does not have, and stays able to seal', async () => {
    await trade()
    const unknown = newKey()
    const transaction = sign(
      { action: 'rotate', subject_id: 'authority', public_key: unknown.publicKey },
      keyOf('authority'),
    )
    const answer = await community.call('POST', '/registry/', { body: transaction })
    assert.equal(answer.status, 503)
    await trade()
  })

  it('finalizes by votes after the policy changes to votes:2, and light nodes trust only what a quorum acked', async () => {
    const one = await community.startHousehold('house-1')
    await one.live()
    await trade()
    const finality: Finality = { policy: 'votes', threshold: 2 }
    await change({ action: 'policy', subject_id: 'authority', finality }, keyOf('authority'))
    const hash = await trade()
    await community.until('the first vote is counted', () =>
      community.events.some((e) => e.type === 'vote' && e.vote.header_hash === hash),
    )
    assert.deepEqual(await statusOf(hash).then(({ status, policy, votes }) => ({ status, policy, votes })), {
      status: 'proposed',
      policy: 'votes',
      votes: { ack: 1, reject: 0, required: 2 },
    })
    const two = await community.startHousehold('house-2', { transport: 'ws' })
    await two.live()
    await becomesFinal(hash)
    const later = await trade()
    await becomesFinal(later)
    for (const { events } of [one, two])
      assert.deepEqual(
        events.filter(({ type }) => type === 'alarm'),
        [],
      )
  })

  it('stops counting a revoked phone and counts the recovered one', async () => {
    await trade()
    await change({ action: 'revoke', subject_id: 'house-3' }, keyOf('authority'))
    const hash = await trade()
    const phone = await community.startHousehold('house-3')
    await phone.live()
    await trade()
    await community.until('it follows', () => phone.node.status().tip?.height === 3)
    assert.equal(phone.node.status().votes_sent, 0)
    assert.equal((await statusOf(hash)).votes.ack, 0)
  })
})
