import assert from 'node:assert/strict'
import type { PlatformUserTokens } from '../../../src/http/access.ts'
import { httpError } from '../../../src/http/problem.ts'
import { MAX_WAITING } from '../../../src/http/rate-limits.ts'
import { eventually } from '../../helpers/network.ts'
import { ORDER, sealOne, startServer, type TestServer } from './harness.ts'

/** `user.NAME.x` is the token of NAME. */
const users: PlatformUserTokens = {
  userOf: (token) => {
    const [, name = ''] = token.split('.')
    return name === 'nobody'
      ? Promise.reject(httpError('bad_credential', { reason: 'the user token has expired' }))
      : Promise.resolve(name)
  },
}

describe('a platform user with a token', () => {
  let server: TestServer
  before(async () => {
    server = await startServer({ users })
    await sealOne(server)
    await server.ledger.placeOrder({ ...ORDER, side: 'sell' })
  })
  after(() => server.stop())

  const ask = (path: string, user: string, method = 'GET') =>
    server.request(method, path, { headers: { authorization: `Bearer user.${user}.x` } })

  it('reads the own transactions and no others', async () => {
    const own = await ask('/transactions', 'household-7')
    assert.equal(own.status, 200, own.text)
    assert.equal((own.json.transactions as object[]).length, 1)
    assert.deepEqual((await ask('/transactions', 'household-1')).json.transactions, [])
    assert.equal((await ask('/transactions?user_id=household-7', 'household-7')).status, 200)
    const foreign = await ask('/transactions?user_id=household-7', 'household-1')
    assert.deepEqual([foreign.status, foreign.json.code], [403, 'forbidden'])
  })

  it('has the receipts of the own trades and no others', async () => {
    const foreign = await ask('/transactions/trade-1/receipt', 'household-1')
    assert.deepEqual([foreign.status, foreign.json.code], [403, 'forbidden'])
    const own = await ask('/transactions/trade-1/receipt', 'household-7')
    assert.notEqual(own.status, 403, own.text)
    assert.notEqual(own.status, 401, own.text)
  })

  it('may do nothing else that takes a credential, and reads no more of a node that waits than a stranger', async () => {
    for (const [method, path] of [
      ['GET', '/orders/order-1'],
      ['DELETE', '/orders/order-1'],
      ['GET', '/membership'],
      ['GET', '/metrics'],
      ['GET', '/redactions'],
      ['POST', '/ticks/'],
      ['POST', '/ticks/run/'],
      ['POST', '/blocks/propose/'],
      ['POST', '/transactions/trade-1/redact'],
    ] as const) {
      assert.deepEqual((await ask(path, 'household-7', method)).json.code, 'forbidden', `${method} ${path}`)
    }
  })

  it('is refused with what is wrong with the token, and where no tokens of users are taken', async () => {
    const expired = await ask('/transactions', 'nobody')
    assert.deepEqual([expired.status, expired.json.detail], [401, 'the user token has expired'])
    const without = await startServer()
    try {
      const answer = await without.request('GET', '/transactions', { headers: { authorization: 'Bearer a.b.c' } })
      assert.deepEqual([answer.status, answer.json.code], [401, 'bad_credential'])
    } finally {
      await without.stop()
    }
  })

  it('is answered one request after the other, beside those of others, and told to wait where too many wait', async () => {
    const inHand = new Map<string, number>()
    const most = new Map<string, number>()
    const go = new Map<string, () => void>()
    const slow = await startServer({
      users,
      wrap: (ledger) => ({
        ...ledger,
        async transactions(query) {
          const { user_id: user = '' } = query
          inHand.set(user, (inHand.get(user) ?? 0) + 1)
          most.set(user, Math.max(most.get(user) ?? 0, inHand.get(user) ?? 0))
          // The first of each user waits until it is let go.
          if (!go.has(user)) await new Promise<void>((resolve) => go.set(user, resolve))
          const page = await ledger.transactions(query)
          inHand.set(user, (inHand.get(user) ?? 0) - 1)
          return page
        },
      }),
    })
    try {
      const askOf = (user: string) =>
        slow.request('GET', '/transactions', { headers: { authorization: `Bearer user.${user}.x` } })
      const all = Array.from({ length: MAX_WAITING + 5 }, () => askOf('household-7'))
      const beside = askOf('household-9')
      await eventually('both are in hand', () => Promise.resolve(go.size === 2))
      await eventually('some are told to wait', async () => (await askOf('household-7')).status === 429)
      for (const release of go.values()) release()
      const statuses = (await Promise.all(all)).map(({ status }) => status)
      assert.ok(statuses.filter((status) => status === 200).length >= MAX_WAITING, statuses.join())
      assert.equal((await beside).status, 200)
      assert.deepEqual([...most.values()], [1, 1])
    } finally {
      for (const release of go.values()) release()
      await slow.stop()
    }
  })

  it('counts for the limit of one user', async () => {
    const answers = await Promise.all(Array.from({ length: 70 }, () => ask('/transactions', 'household-9')))
    assert.ok(answers.some(({ status }) => status === 429))
    assert.equal((await ask('/transactions', 'household-8')).status, 200)
  })
})
