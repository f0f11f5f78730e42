import { DEVICES } from '../../helpers/memory-ledger.ts'
import { signVote } from '../../helpers/sign-now.ts'
import { NOW, ORDER, TRADE, bearer, startServer, tick, type Role, type TestServer } from './harness.ts'
import assert from 'node:assert/strict'

describe('HTTP of a validator', () => {
  let server: TestServer
  let blockHash: string

  before(async () => {
    server = await startServer({ mode: 'validator' })
    const sealed = await server.ledger.acceptTick({
      tick_id: 'tick-1',
      timestamp: NOW,
      transactions: [{ kind: 'trade', ...TRADE }],
    })
    blockHash = sealed.block_hash!
  })
  after(() => server.stop())

  it('answers what can be read of the chain, takes votes, and describes no other call', async () => {
    const { json } = await server.request('GET', '/docs/json')
    const listed = Object.entries(json.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    assert.deepEqual(listed.sort(), [
      'GET /blocks/headers/',
      'GET /blocks/latest-headers/',
      'GET /blocks/{block_hash}',
      'GET /blocks/{block_hash}/merkle-proof/',
      'GET /blocks/{block_hash}/status/',
      'GET /blocks/{block_hash}/votes/',
      'GET /events',
      'GET /evidence',
      'GET /genesis',
      'GET /health',
      'GET /history/consistency',
      'GET /history/inclusion',
      'GET /metrics',
      'GET /node',
      'GET /ready',
      'GET /redactions',
      'GET /registry',
      'GET /registry/changes',
      'GET /transactions/proof',
      'GET /transactions/{id}/receipt',
      'POST /add-checkpoint',
      'POST /blocks/{header_hash}/vote/',
      'POST /transactions/{id}/redact',
    ])
    for (const path of [
      '/genesis',
      '/node',
      '/blocks/latest-headers/',
      `/blocks/${blockHash}/status/`,
      `/blocks/${blockHash}/votes/`,
      `/blocks/${blockHash}/merkle-proof/?tx_id=${TRADE.id}`,
      '/history/inclusion?height=0&size=1',
      '/evidence',
      '/registry',
      '/health',
      '/ready',
    ]) {
      assert.equal((await server.request('GET', path)).status, 200, path)
    }
    assert.equal((await server.request('GET', '/node')).json.mode, 'validator')
  })

  it('does not know the calls of the market, whoever asks', async () => {
    const calls: readonly (readonly [string, string, object?])[] = [
      ['POST', '/ticks/', tick('t', TRADE)],
      ['POST', '/ticks/run/', {}],
      ['POST', '/orders/', ORDER],
      ['GET', '/orders/order-1'],
      ['GET', '/transactions'],
    ]
    for (const role of ['operator', 'platform'] as const) {
      for (const [method, path, body] of calls) {
        const { status, json } = await server.request(method, path, { headers: bearer(role), body })
        assert.deepEqual([status, json.code], [404, 'not_found'], `${method} ${path}`)
      }
    }
  })

  it('says which methods a path takes', async () => {
    const { status, json, headers } = await server.request('POST', '/registry/', {
      headers: bearer('operator'),
      body: {},
    })
    assert.deepEqual([status, json.code, headers.get('allow')], [405, 'method_not_allowed', 'GET'])
    const vote = await server.request('GET', `/blocks/${blockHash}/vote/`)
    assert.deepEqual([vote.status, vote.headers.get('allow')], [405, 'POST'])
  })

  it('seals nothing, whoever asks', async () => {
    const { status } = await server.request('POST', '/blocks/propose/', { headers: bearer('operator') })
    assert.ok(status === 404 || status === 405, String(status))
    assert.equal((await server.ledger.latestHeaders(10)).headers.length, 1)
  })

  it('shows whole blocks to the roles that may read them', async () => {
    for (const role of ['operator', 'platform', 'auditor', 'validator'] satisfies Role[]) {
      const { status, json } = await server.request('GET', `/blocks/${blockHash}`, { headers: bearer(role) })
      assert.deepEqual([status, (json.transactions as unknown[]).length], [200, 1], role)
    }
    assert.equal((await server.request('GET', `/blocks/${blockHash}`)).status, 401)
  })

  it('takes a vote on the chain that it has', async () => {
    const body = { chain_id: server.ledger.chainId, header_hash: blockHash, height: 0, voter_id: 'household-7.phone' }
    const vote = signVote({ ...body, decision: 'ack' }, DEVICES['household-7.phone'].key)
    const answer = await server.request('POST', `/blocks/${blockHash}/vote/`, { body: vote })
    assert.deepEqual([answer.status, answer.json.votes], [202, { ack: 1, reject: 0, required: 2 }])
  })
})
