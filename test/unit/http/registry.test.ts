import assert from 'node:assert/strict'
import { PER_SUBJECT, PER_SUBJECT_DAILY } from '../../../src/http/rate-limits.ts'
import type { Header } from '../../../src/protocol/header.ts'
import { MemoryTree } from '../../../src/protocol/history.ts'
import { registryLeaf, type RegistryEntry } from '../../../src/protocol/registry.ts'
import type { Finality } from '../../../src/protocol/genesis.ts'
import type { PostedRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { AUTHORITY_KEY, DEVICES, RECOVERY_KEY, TEST_GENESIS } from '../../helpers/memory-ledger.ts'
import type { TestKey } from '../../helpers/sign-now.ts'
import { bearer, change, freshKey, sealOne, startServer, type Answer, type TestServer } from './harness.ts'

interface RegistryAnswer {
  readonly height: number | null
  readonly registry_root: string
  readonly finality: Finality
  readonly since_height: number
  readonly entries: readonly RegistryEntry[]
}

describe('HTTP registry', () => {
  let server: TestServer
  beforeEach(async () => {
    server = await startServer()
  })
  afterEach(() => server.stop())

  const post = (body: unknown, headers = {}): Promise<Answer> => server.request('POST', '/registry/', { body, headers })
  const read = async () => (await server.request('GET', '/registry')).json as unknown as RegistryAnswer
  const tip = async () => {
    const { json } = await server.request('GET', '/blocks/latest-headers/?n=1')
    return (json.headers as { header: Header; header_hash: string }[])[0]!
  }
  const entryOf = async (id: string) => (await read()).entries.find((entry) => entry.id === id)
  const enrolment = (key: TestKey, subject_id = 'household-8.phone') =>
    change(server.ledger, key, { action: 'enrol', subject_id, role: 'voter', public_key: key.publicKey })
  const rotation = (from: TestKey, to = freshKey()) =>
    change(server.ledger, from, { action: 'rotate', subject_id: 'household-7.phone', public_key: to.publicKey })
  const refused = (answer: Answer, status: number, code: string) =>
    assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text)

  const rootOf = ({ finality, since_height, entries }: RegistryAnswer) =>
    new MemoryTree([registryLeaf({ finality, since_height }), ...entries.map(registryLeaf)]).root()

  it('of an empty chain is that of the genesis', async () => {
    const registry = await read()
    assert.deepEqual([registry.height, registry.finality], [null, TEST_GENESIS.finality])
    assert.deepEqual(
      registry.entries.map(({ id, public_key }) => ({ id, public_key })),
      TEST_GENESIS.registry.map(({ id, public_key }) => ({ id, public_key })),
    )
    assert.equal(rootOf(registry), registry.registry_root)
  })

  it('comes in pages where it is asked for so, which together are the whole of it', async () => {
    await sealOne(server)
    const whole = await read()
    assert.ok(!('next' in whole))
    const entries: unknown[] = []
    for (let from: number | undefined = 0; from !== undefined;) {
      const { json } = await server.request('GET', `/registry?from_slot=${from}&limit=2&at_height=0`)
      const page = json as unknown as RegistryAnswer & { readonly next?: number }
      assert.ok(page.entries.length <= 2)
      assert.equal(page.registry_root, whole.registry_root)
      entries.push(...page.entries)
      from = page.next
    }
    assert.deepEqual(entries, whole.entries)
    const beyond = await server.request('GET', '/registry?from_slot=1000')
    assert.deepEqual([beyond.status, beyond.json.entries, beyond.json.next], [200, [], undefined])
    for (const query of ['limit=0', 'limit=10001', 'from_slot=-1', 'from_slot=x']) {
      assert.equal((await server.request('GET', `/registry?${query}`)).status, 400, query)
    }
  })

  it('hashes to the registry_root in the header of the tip, after every change', async () => {
    await sealOne(server)
    const phone = freshKey()
    const changes: readonly PostedRegistryTransaction[] = [
      enrolment(phone),
      change(server.ledger, AUTHORITY_KEY, { action: 'revoke', subject_id: 'household-8.phone' }),
      rotation(DEVICES['household-7.phone'].key),
      change(server.ledger, AUTHORITY_KEY, {
        action: 'policy',
        subject_id: 'authority-1',
        finality: { policy: 'votes', threshold: 1 },
      }),
    ]
    for (const transaction of changes) {
      const { status, text } = await post(transaction, bearer('operator'))
      assert.equal(status, 202, text)
      const registry = await read()
      const { header } = await tip()
      assert.equal(registry.height, header.height)
      assert.equal(registry.registry_root, header.registry_root)
      assert.equal(rootOf(registry), header.registry_root)
    }
    assert.deepEqual((await read()).finality, { policy: 'votes', threshold: 1 })
    assert.equal((await entryOf('household-8.phone'))?.status, 'revoked')
  })

  it('takes an enrolment with its user: the device then acts for that user', async () => {
    const phone = freshKey()
    const transaction = enrolment(phone)
    const answer = await post({ transaction, user_id: 'household-8' }, bearer('platform'))
    assert.deepEqual(
      [answer.status, answer.json],
      [202, { id: transaction.id, tick_id: `registry:${transaction.nonce}` }],
    )
    assert.equal(await server.ledger.userOf('household-8.phone'), 'household-8')
    assert.deepEqual(
      (await server.ledger.devicesOf('household-8')).map((entry) => entry.public_key),
      [phone.publicKey],
    )
    const { header_hash } = await tip()
    const block = await server.request('GET', `/blocks/${header_hash}`, { headers: bearer('auditor') })
    const sealed = { ...transaction, tick_id: `registry:${transaction.nonce}` }
    assert.deepEqual(block.json.transactions, [sealed])
  })

  it('takes a recovery without a token, also after a revocation', async () => {
    const phone = DEVICES['household-7.phone'].key
    assert.equal(
      (await post(change(server.ledger, phone, { action: 'revoke', subject_id: 'household-7.phone' }))).status,
      202,
    )
    const replacement = freshKey()
    const recovery = change(server.ledger, RECOVERY_KEY, {
      action: 'recover',
      subject_id: 'household-7.phone',
      public_key: replacement.publicKey,
    })
    assert.equal((await post(recovery)).status, 202)
    const entry = await entryOf('household-7.phone')
    assert.deepEqual([entry?.status, entry?.public_key], ['active', replacement.publicKey])
  })

  it('answers the same transaction the same and seals it once, other content under its nonce is a conflict', async () => {
    const transaction = rotation(DEVICES['household-7.phone'].key)
    const first = await post(transaction)
    assert.deepEqual((await post(transaction)).json, first.json)
    assert.deepEqual((await post({ transaction })).json, first.json)
    assert.equal((await read()).height, 0)
    refused(await post({ ...transaction, subject_id: 'household-9.phone' }), 409, 'tick_conflict')
  })

  describe('refuses as unprocessable, with the reason,', () => {
    const cases: readonly (readonly [string, () => object, RegExp])[] = [
      ['a rotation by another key', () => rotation(freshKey()), /not signed by the present key of household-7\.phone/],
      [
        'a rotation signed for another chain',
        () => {
          const foreign = { chainId: '0'.repeat(64) }
          const fields = { subject_id: 'household-7.phone', public_key: freshKey().publicKey }
          return change(foreign, DEVICES['household-7.phone'].key, { action: 'rotate', ...fields })
        },
        /not signed by the present key/,
      ],
      [
        'a key that was registered before',
        () => rotation(DEVICES['household-7.phone'].key, DEVICES['household-9.phone'].key),
        /was registered before/,
      ],
      [
        'a policy by somebody who is no authority',
        () =>
          change(server.ledger, DEVICES['household-7.phone'].key, {
            action: 'policy',
            subject_id: 'household-7.phone',
            finality: { policy: 'authority' },
          }),
        /is no active authority/,
      ],
    ]
    for (const [what, body, reason] of cases) {
      it(what, async () => {
        const answer = await post(body())
        refused(answer, 422, 'registry_refused')
        assert.match(String(answer.json.detail), reason)
        assert.equal((await read()).height, null)
      })
    }
  })

  describe('refuses as malformed', () => {
    const good = () => rotation(DEVICES['household-7.phone'].key)
    const cases: readonly (readonly [string, () => unknown, string])[] = [
      ['a tick_id, which is the node’s to add', () => ({ ...good(), tick_id: 'x' }), 'transaction.tick_id'],
      ['an unknown field', () => ({ ...good(), note: 'x' }), 'transaction.note'],
      ['an unknown action', () => ({ ...good(), action: 'grant' }), 'transaction.action'],
      ['a field of another action', () => ({ ...good(), role: 'voter' }), 'transaction.role'],
      ['a short nonce', () => ({ ...good(), nonce: 'ab' }), 'transaction.nonce'],
      ['a subject with a space', () => ({ ...good(), subject_id: 'a b' }), 'transaction.subject_id'],
      ['a transaction that is none', () => ({ transaction: 7 }), 'transaction'],
      ['no body', () => undefined, 'transaction'],
      ['a user with anything but an enrolment', () => ({ transaction: good(), user_id: 'u' }), 'body.user_id'],
      ['an impossible user', () => ({ transaction: enrolment(freshKey()), user_id: 'a b' }), 'body.user_id'],
      ['an unknown field beside the transaction', () => ({ transaction: good(), note: 'x' }), 'body.note'],
    ]
    for (const [what, body, path] of cases) {
      it(what, async () => {
        const answer = await post(body(), bearer('operator'))
        refused(answer, 400, 'malformed')
        assert.equal(answer.json.path, path)
      })
    }

    it('a key that the signature rule refuses', async () => {
      const key = DEVICES['household-7.phone'].key
      const lowOrder = `01${'00'.repeat(31)}`
      const fields = { subject_id: 'household-7.phone', public_key: lowOrder }
      refused(await post(change(server.ledger, key, { action: 'rotate', ...fields })), 400, 'bad_public_key')
    })
  })

  it('may be asked and changed by pages of other origins: a household’s app rotates its own key', async () => {
    const origin = 'https://app.example.org'
    const open = await startServer({ options: { corsOrigins: [origin] } })
    try {
      for (const method of ['GET', 'POST']) {
        const headers = { origin, 'access-control-request-method': method }
        const answer = await open.request('OPTIONS', '/registry/', { headers })
        assert.equal(answer.status, 204)
        assert.equal(answer.headers.get('access-control-allow-origin'), origin)
        assert.equal(answer.headers.get('access-control-allow-methods'), method)
      }
    } finally {
      await open.stop()
    }
  })

  describe('of one subject', () => {
    /** Rotations that follow each other, each signed by the key of the one before. */
    const chainOf = (count: number) => {
      let key: TestKey = DEVICES['household-7.phone'].key
      return Array.from({ length: count }, () => {
        const next = freshKey()
        const transaction = rotation(key, next)
        key = next
        return transaction
      })
    }

    it(`changes at most ${PER_SUBJECT} times a minute, while other subjects change freely`, async () => {
      const chain = chainOf(PER_SUBJECT + 1)
      for (const transaction of chain.slice(0, PER_SUBJECT)) assert.equal((await post(transaction)).status, 202)
      const late = await post(chain[PER_SUBJECT])
      refused(late, 429, 'too_many_requests')
      const seconds = Number(late.headers.get('retry-after'))
      assert.ok(seconds >= 1 && seconds <= 60, String(seconds))
      const other = DEVICES['household-9.phone'].key
      const fields = { subject_id: 'household-9.phone', public_key: freshKey().publicKey }
      assert.equal((await post(change(server.ledger, other, { action: 'rotate', ...fields }))).status, 202)
      assert.equal((await post(chain[PER_SUBJECT], bearer('operator'))).status, 202)
    })

    it(`changes at most ${PER_SUBJECT_DAILY} times a day, and is recovered and revoked all the same`, async () => {
      const realNow = Date.now
      let minutes = 0
      Date.now = () => realNow() + minutes * 61_000
      try {
        const chain = chainOf(PER_SUBJECT_DAILY + 1)
        for (const [i, transaction] of chain.slice(0, -1).entries()) {
          assert.equal((await post(transaction)).status, 202, `the ${i + 1}. rotation`)
          if (i % PER_SUBJECT === PER_SUBJECT - 1) minutes += 1
        }
        const late = await post(chain.at(-1))
        refused(late, 429, 'too_many_requests')
        assert.ok(Number(late.headers.get('retry-after')) > 12 * 3600)
        const subject = { subject_id: 'household-7.phone' } as const
        const own = { action: 'recover', public_key: freshKey().publicKey, ...subject } as const
        assert.equal((await post(change(server.ledger, RECOVERY_KEY, own))).status, 202)
        const revoked = change(server.ledger, AUTHORITY_KEY, { action: 'revoke', ...subject })
        assert.equal((await post(revoked)).status, 202)
      } finally {
        Date.now = realNow
      }
    })

    it('no more than that passes when all come at once', async () => {
      const own = { action: 'recover', subject_id: 'household-7.phone' } as const
      const posted = Array.from({ length: 3 * PER_SUBJECT }, () =>
        post(change(server.ledger, RECOVERY_KEY, { ...own, public_key: freshKey().publicKey })),
      )
      const answers = await Promise.all(posted)
      assert.equal(answers.filter(({ status }) => status === 202).length, PER_SUBJECT)
      assert.ok(answers.every(({ status }) => status === 202 || status === 429))
    })

    it('is not held back by those who post again what the chain has: everybody can read it', async () => {
      const [first, next] = chainOf(2)
      for (let i = 0; i < 2 * PER_SUBJECT; i++) assert.equal((await post(first)).status, 202)
      assert.equal((await post(next)).status, 202)
    })

    it('is revoked by an authority however often its thief has revoked and recovered it', async () => {
      const subject = { subject_id: 'household-7.phone' } as const
      let key: TestKey = DEVICES['household-7.phone'].key
      for (let i = 0; i < PER_SUBJECT; i++) {
        assert.equal((await post(change(server.ledger, key, { action: 'revoke', ...subject }))).status, 202)
        key = freshKey()
        const back = { action: 'recover', public_key: key.publicKey, ...subject } as const
        assert.equal((await post(change(server.ledger, RECOVERY_KEY, back))).status, 202)
      }
      refused(await post(change(server.ledger, key, { action: 'revoke', ...subject })), 429, 'too_many_requests')
      const byAuthority = change(server.ledger, AUTHORITY_KEY, { action: 'revoke', ...subject })
      assert.equal((await post(byAuthority)).status, 202)
    })

    it('is not held back by those who only name it', async () => {
      for (let i = 0; i <= PER_SUBJECT; i++) refused(await post(rotation(freshKey())), 422, 'registry_refused')
      assert.equal((await post(rotation(DEVICES['household-7.phone'].key))).status, 202)
    })
  })
})
