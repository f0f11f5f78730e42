import assert from 'node:assert/strict'
import { WRONG_PER_ADDRESS } from '../../../src/http/rate-limits.ts'
import { formatAuthorization } from '../../../src/protocol/request.ts'
import { decodePostedRegistryTransaction } from '../../../src/protocol/registry-transaction.ts'
import { AUTHORITY_KEY, DEVICES } from '../../helpers/memory-ledger.ts'
import { eventually } from '../../helpers/network.ts'
import { signObject, signRequest, signVote } from '../../helpers/sign-now.ts'
import {
  bearer,
  change,
  freshKey,
  NOW,
  ORDER,
  sealOne,
  startServer,
  tick,
  TRADE,
  type Role,
  type TestServer,
} from './harness.ts'

type Credential = 'nothing' | 'unknown token' | 'device' | Role
const CREDENTIALS: readonly Credential[] = [
  'nothing',
  'unknown token',
  'device',
  'operator',
  'platform',
  'auditor',
  'validator',
  'enroller',
  'metrics',
]
const EVERYBODY = CREDENTIALS

interface Row {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  /** Who is let in; the `who` column of docs/protocol.md 9. */
  readonly who: readonly Credential[]
  readonly body?: () => object | Promise<object>
  /** What the body asks for, where that decides who is let in. */
  readonly what?: string
}

describe('HTTP access', () => {
  let server: TestServer
  let blockHash: string
  let txHash: string
  let counter = 0

  before(async () => {
    server = await startServer()
    ;({ blockHash, txHash } = await sealOne(server))
    await server.ledger.placeOrder({ ...ORDER, side: 'sell' })
  })
  after(() => server.stop())

  const vote = () =>
    signVote(
      {
        chain_id: server.ledger.chainId,
        header_hash: blockHash,
        height: 0,
        voter_id: 'household-7.phone',
        decision: 'ack',
      },
      DEVICES['household-7.phone'].key,
    )
  const freshTick = () => tick(`tick-${counter++}`, { ...TRADE, id: `row-${counter}` })
  const freshOrder = () => ({ ...ORDER, order_id: `order-of-matrix-${counter++}` })
  const enrol = (role: 'voter' | 'validator', key = freshKey(), recovery = freshKey()) => {
    const subject_id = `${role}-${counter++}`
    const { publicKey: public_key } = key
    return change(server.ledger, key, {
      action: 'enrol',
      subject_id,
      role,
      public_key,
      recovery_key: recovery.publicKey,
    })
  }
  const enrolled = async () => {
    const [key, recovery] = [freshKey(), freshKey()]
    const transaction = enrol('voter', key, recovery)
    await server.ledger.register(decodePostedRegistryTransaction(transaction))
    return { subject_id: transaction.subject_id, key, recovery }
  }
  const rotate = async () => {
    const { subject_id, key } = await enrolled()
    return change(server.ledger, key, { action: 'rotate', subject_id, public_key: freshKey().publicKey })
  }
  const revoke = async () => {
    const { subject_id } = await enrolled()
    return change(server.ledger, AUTHORITY_KEY, { action: 'revoke', subject_id })
  }
  const recover = async () => {
    const { subject_id, recovery } = await enrolled()
    return change(server.ledger, recovery, { action: 'recover', subject_id, public_key: freshKey().publicKey })
  }
  const policy = () =>
    change(server.ledger, AUTHORITY_KEY, {
      action: 'policy',
      subject_id: 'authority-1',
      finality: { policy: 'votes', threshold: 2 },
    })
  const registry = { method: 'POST', path: '/registry/' } as const
  const rows: readonly Row[] = [
    { method: 'GET', path: '/genesis', who: EVERYBODY },
    { method: 'GET', path: '/node', who: EVERYBODY },
    { method: 'GET', path: '/blocks/latest-headers/?n=5', who: EVERYBODY },
    { method: 'GET', path: '/blocks/BLOCK/merkle-proof/?tx_hash=TX', who: EVERYBODY },
    { method: 'GET', path: '/blocks/BLOCK', who: ['auditor', 'validator', 'platform', 'operator'] },
    { method: 'POST', path: '/blocks/BLOCK/vote/', who: EVERYBODY, body: vote },
    { method: 'GET', path: '/blocks/BLOCK/status/', who: EVERYBODY },
    { method: 'GET', path: '/blocks/BLOCK/votes/', who: EVERYBODY },
    { method: 'POST', path: '/blocks/propose/', who: ['operator'] },
    { method: 'POST', path: '/ticks/', who: ['platform'], body: freshTick },
    { method: 'POST', path: '/ticks/run/', who: ['operator'], body: () => ({ tick_id: `run-${counter++}` }) },
    { method: 'POST', path: '/orders/', who: ['platform', 'operator'], body: freshOrder },
    { method: 'GET', path: '/orders/order-1', who: ['device', 'platform'] },
    { method: 'DELETE', path: '/orders/order-1', who: ['device', 'platform', 'operator'] },
    { method: 'GET', path: '/transactions?from=0', who: ['device', 'platform', 'auditor'] },
    { method: 'GET', path: '/history/inclusion?height=0&size=1', who: EVERYBODY },
    { method: 'GET', path: '/history/consistency?from=1&to=1', who: EVERYBODY },
    { method: 'GET', path: '/registry', who: EVERYBODY },
    { ...registry, what: 'enrolling a voter', who: ['platform', 'operator'], body: () => enrol('voter') },
    { ...registry, what: 'enrolling a validator', who: ['operator'], body: () => enrol('validator') },
    { ...registry, what: 'rotating', who: EVERYBODY, body: rotate },
    { ...registry, what: 'revoking', who: EVERYBODY, body: revoke },
    { ...registry, what: 'recovering', who: EVERYBODY, body: recover },
    { ...registry, what: 'changing the policy', who: EVERYBODY, body: policy },
    { method: 'GET', path: '/health', who: EVERYBODY },
    { method: 'GET', path: '/ready', who: EVERYBODY },
    { method: 'GET', path: '/metrics', who: ['nothing', 'operator', 'metrics'] },
  ]

  const headersOf = (credential: Credential, { method }: Row, path: string): Record<string, string> => {
    if (credential === 'nothing') return {}
    if (credential === 'unknown token') return { authorization: 'Bearer guessed-token-0123456789' }
    if (credential === 'device')
      return { authorization: server.sign('household-7.phone', path, method === 'POST' ? {} : { method }) }
    return bearer(credential)
  }
  /** What the answer says of this credential; a device signs no POST, so to one its header is no credential. */
  const expected = (row: Row, credential: Credential): 'in' | 401 | 403 => {
    if (row.who.includes(credential)) return 'in'
    if (credential === 'nothing' || credential === 'unknown token') return 401
    return credential === 'device' && row.method === 'POST' ? 401 : 403
  }

  for (const row of rows) {
    const name = `${row.method} ${row.path}${row.what === undefined ? '' : `, ${row.what},`}`
    for (const credential of CREDENTIALS) {
      const verdict = expected(row, credential)
      it(`${name} with ${credential}: ${verdict}`, async () => {
        const path = row.path.replace('BLOCK', blockHash).replace('TX', txHash)
        const body = await row.body?.()
        const answer = await server.request(row.method, path, { headers: headersOf(credential, row, path), body })
        if (verdict === 'in') assert.ok(answer.status < 300, `${answer.status} ${answer.text}`)
        else {
          assert.equal(answer.status, verdict, answer.text)
          assert.equal(answer.headers.get('content-type'), 'application/problem+json')
          assert.equal(answer.headers.has('www-authenticate'), verdict === 401)
        }
      })
    }
    it(`${name} answers with and without the trailing slash`, async () => {
      const who = row.who.find((credential) => credential !== 'device' && credential !== 'unknown token')!
      const [pathname, query] = row.path.replace('BLOCK', blockHash).replace('TX', txHash).split('?')
      for (const end of ['', '/']) {
        const path = `${pathname!.replace(/\/$/, '')}${end}${query === undefined ? '' : `?${query}`}`
        const answer = await server.request(row.method, path, {
          headers: headersOf(who, row, path),
          body: await row.body?.(),
        })
        assert.ok(answer.status < 300, `${path}: ${answer.status} ${answer.text}`)
      }
    })
  }

  it('names the schemes that open a call', async () => {
    const challenge = async (path: string) => (await server.request('GET', path)).headers.get('www-authenticate')
    assert.equal(await challenge(`/blocks/${blockHash}`), 'Bearer realm="solar-node"')
    assert.equal(await challenge('/transactions'), 'Bearer realm="solar-node", Solar realm="solar-node"')
  })

  it('keeps metrics from whom a proxy on this machine passes on', async () => {
    const passedOn = { 'x-forwarded-for': '203.0.113.7' }
    assert.equal((await server.request('GET', '/metrics', { headers: passedOn })).status, 401)
    assert.equal(
      (await server.request('GET', '/metrics', { headers: { ...passedOn, ...bearer('operator') } })).status,
      200,
    )
  })

  describe('signed requests of devices', () => {
    const get = (path: string, authorization: string) => server.request('GET', path, { headers: { authorization } })

    it('are accepted once', async () => {
      const authorization = server.sign('household-7.phone', '/orders/order-1')
      assert.equal((await get('/orders/order-1', authorization)).status, 200)
      const replayed = await get('/orders/order-1', authorization)
      assert.deepEqual([replayed.status, replayed.json.code], [401, 'replayed_request'])
    })

    it('are accepted up to 60 s from the clock, and not beyond', async () => {
      const signed = (timestamp: number) => server.sign('household-7.phone', '/transactions', { timestamp })
      for (const timestamp of [NOW - 60_000, NOW + 60_000]) {
        assert.equal((await get('/transactions', signed(timestamp))).status, 200)
      }
      for (const timestamp of [NOW - 60_001, NOW + 60_001]) {
        const answer = await get('/transactions', signed(timestamp))
        assert.deepEqual([answer.status, answer.json.code], [401, 'stale_request'])
      }
    })

    it('cover the path with its query exactly as it is sent', async () => {
      for (const [signed, sent] of [
        ['/transactions?from=1', '/transactions?from=2'],
        ['/transactions', '/transactions/'],
        ['/orders/order-1', '/orders/order%2D1'],
      ] as const) {
        const answer = await get(sent, server.sign('household-7.phone', signed))
        assert.deepEqual([answer.status, answer.json.code], [401, 'bad_signature'], sent)
      }
      const path = '/transactions/?from=1&to=99'
      assert.equal((await get(path, server.sign('household-7.phone', path))).status, 200)
    })

    it('signed for libp2p are not taken over HTTP', async () => {
      const { chainId } = server.ledger
      const common = { path: '/transactions', timestamp: server.clock.now(), id: 'ab'.repeat(16), to: server.url }
      const { key } = DEVICES['household-7.phone']
      const signed = signRequest('household-7.phone', chainId, { ...common, method: 'P2P', from: 'me' }, key)
      const answer = await get('/transactions', formatAuthorization({ ...signed, method: 'GET' }))
      assert.deepEqual([answer.status, answer.json.code], [401, 'bad_signature'])
    })

    it('are for the origin of this node: what another node was shown is worth nothing here', async () => {
      for (const to of ['https://mallory.example', server.url.replace('http:', 'https:'), `http://127.0.0.1`]) {
        const answer = await get('/transactions', server.sign('household-7.phone', '/transactions', { to }))
        assert.deepEqual([answer.status, answer.json.code], [401, 'wrong_audience'], to)
        assert.ok(String(answer.json.detail).includes(`for ${to}, this node is ${server.url}`))
      }
      const local = server.url.replace('127.0.0.1', 'localhost')
      assert.equal(
        (await get('/transactions', server.sign('household-7.phone', '/transactions', { to: local }))).status,
        200,
      )
    })

    it('are for a public origin where a proxy passes them on, and for the address that the proxy asks at no more', async () => {
      const publicUrls = ['https://ledger.example']
      const proxied = await startServer({ options: { publicUrls } })
      try {
        const ask = (to: string) => {
          const authorization = proxied.sign('household-7.phone', '/transactions', { to })
          return proxied.request('GET', '/transactions', { headers: { authorization, 'x-forwarded-for': '192.0.2.7' } })
        }
        assert.equal((await ask('https://ledger.example')).status, 200)
        assert.equal((await ask(proxied.url)).json.code, 'wrong_audience')
      } finally {
        await proxied.stop()
      }
    })

    it('get the certificate of whose device they are, which no token asks for', async () => {
      const answer = await get('/membership', server.sign('household-7.phone', '/membership'))
      const { membership } = answer.json as { membership: { voter_id: string; user_id: string } }
      assert.deepEqual([membership.voter_id, membership.user_id], ['household-7.phone', 'household-7'])
      const { status } = await server.request('GET', '/membership', { headers: bearer('operator') })
      assert.equal(status, 403)
    })

    it('of somebody who is not registered are refused', async () => {
      const authorization = server.sign('household-7.phone', '/transactions').replace('household-7.phone', 'nobody')
      const answer = await get('/transactions', authorization)
      assert.deepEqual([answer.status, answer.json.code], [403, 'unknown_voter'])
    })

    for (const authorization of ['Solar', 'Solar ', 'Solar a.b.c', 'Solar x.1.2.3', 'Basic dTpw', 'Bearer', '']) {
      it(`spelt ${JSON.stringify(authorization)} are no credential`, async () => {
        const answer = await get('/transactions', authorization)
        assert.equal(answer.status, 401, answer.text)
      })
    }

    it('read the orders of their own user only', async () => {
      const answer = await get('/orders/order-1', server.sign('household-9.phone', '/orders/order-1'))
      assert.deepEqual([answer.status, answer.json.code], [403, 'forbidden'])
    })

    it('cancel the orders of their own user only, and by a signature of that', async () => {
      const cancel = (authorization: string) =>
        server.request('DELETE', '/orders/order-1', { headers: { authorization } })
      const theirs = await cancel(server.sign('household-9.phone', '/orders/order-1', { method: 'DELETE' }))
      assert.deepEqual([theirs.status, theirs.json.code], [403, 'forbidden'])
      const toRead = await cancel(server.sign('household-7.phone', '/orders/order-1'))
      assert.deepEqual([toRead.status, toRead.json.code], [401, 'bad_signature'])
      const own = await cancel(server.sign('household-7.phone', '/orders/order-1', { method: 'DELETE' }))
      assert.deepEqual([own.status, own.json.status], [200, 'cancelled'])
    })

    it('read the transactions of their own user only', async () => {
      const { json } = await get('/transactions', server.sign('household-9.phone', '/transactions'))
      const rows = json.transactions as { id: string; from_user_id: string; to_user_id: string }[]
      assert.ok(rows.length > 0)
      assert.ok(rows.every((row) => [row.from_user_id, row.to_user_id].includes('household-9')))
      const foreign = '/transactions?user_id=household-7'
      assert.equal((await get(foreign, server.sign('household-9.phone', foreign))).status, 403)
    })
  })

  describe('signed orders', () => {
    const signed = (device: keyof typeof DEVICES, order: object) => ({
      ...order,
      signature: signObject('order', server.ledger.chainId, order, DEVICES[device].key),
    })
    const place = (body: object, headers = {}) => server.request('POST', '/orders/', { body, headers })

    it('of a device of the user are placed once, and told apart from others', async () => {
      const order = { ...ORDER, order_id: 'signed-1', valid_until: NOW + 60_000 }
      const first = await place(signed('household-7.phone', order))
      assert.deepEqual([first.status, first.json], [201, { order_id: 'signed-1' }])
      assert.equal(first.headers.get('location'), '/orders/signed-1')
      assert.equal((await place(signed('household-7.phone', order))).status, 200)
      const other = await place(signed('household-7.phone', { ...order, kwh: '2' }))
      assert.deepEqual([other.status, other.json.code], [409, 'order_conflict'])
    })

    it('of a device of somebody else are refused', async () => {
      const answer = await place(signed('household-9.phone', { ...ORDER, order_id: 'signed-2' }))
      assert.deepEqual([answer.status, answer.json.code], [401, 'bad_signature'])
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="solar-node", Solar realm="solar-node"')
    })

    it('with wrong signatures are no longer looked at once an address has sent so many, sent together too', async () => {
      const one = (n: number) => signed('household-9.phone', { ...ORDER, order_id: `wrong-${n}` })
      const all = await Promise.all(Array.from({ length: 2 * WRONG_PER_ADDRESS }, (_, n) => place(one(n))))
      const told = all.map(({ json }) => json.code)
      const looked = told.filter((code) => code === 'bad_signature').length
      assert.ok(looked > 0 && looked < told.length, told.join())
      assert.ok(told.every((code) => code === 'bad_signature' || code === 'too_many_requests'))
      const right = signed('household-7.phone', { ...ORDER, order_id: 'right-after' })
      const refused = await place(right)
      assert.deepEqual([refused.status, refused.json.code], [429, 'too_many_requests'])
      assert.equal(refused.headers.get('retry-after'), '1')
      await eventually('the next second', async () => (await place(right)).status === 201)
      const byPlatform = await place(one(0), bearer('platform'))
      assert.equal(byPlatform.status, 401, 'whoever has a token is looked at, and counts for nobody')
    })

    it('of a user without devices are refused', async () => {
      const answer = await place(
        signed('household-9.phone', { ...ORDER, order_id: 'signed-3', user_id: 'household-8' }),
      )
      assert.deepEqual([answer.status, answer.json.code], [403, 'unknown_voter'])
    })

    it('are checked also when the platform passes them on', async () => {
      const order = { ...ORDER, order_id: 'signed-4' }
      assert.equal((await place(signed('household-9.phone', order), bearer('platform'))).status, 401)
      assert.equal((await place(signed('household-7.phone', order), bearer('platform'))).status, 201)
    })

    it('may spell a quantity as a number: the signature is over the stored spelling', async () => {
      const order = signed('household-7.phone', { ...ORDER, order_id: 'signed-5' })
      assert.equal((await place({ ...order, kwh: 1.5 })).status, 201)
    })
  })

  it('a vote needs the signature of its voter', async () => {
    const body = { ...vote(), decision: 'reject' }
    const answer = await server.request('POST', `/blocks/${blockHash}/vote/`, { body })
    assert.deepEqual([answer.status, answer.json.code], [401, 'bad_signature'])
    assert.equal(answer.headers.get('www-authenticate'), 'Solar realm="solar-node"')
  })

  it('a vote counts for the header of its path only', async () => {
    const answer = await server.request('POST', `/blocks/${'0'.repeat(64)}/vote/`, { body: vote() })
    assert.deepEqual([answer.status, answer.json.path], [400, 'body.header_hash'])
  })
})
