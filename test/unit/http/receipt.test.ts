import assert from 'node:assert/strict'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { bearer, sealOne, startServer, type TestServer } from './harness.ts'

describe('GET /transactions/{id}/receipt', () => {
  let server: TestServer
  const path = '/transactions/trade-1/receipt'

  before(async () => {
    server = await startServer()
    await sealOne(server)
  })
  after(() => server.stop())

  it('gives platform and auditor a receipt that verifies with nothing but the chain_id', async () => {
    for (const role of ['platform', 'auditor'] as const) {
      const { status, json } = await server.request('GET', path, { headers: bearer(role) })
      assert.equal(status, 200)
      const verdict = verifyReceipt(json, server.ledger.chainId)
      assert.ok(verdict.ok && verdict.status === 'sealed' && verdict.receipt.transaction.id === 'trade-1')
    }
  })

  it('gives it to the devices of both parties, by their signature', async () => {
    for (const device of ['household-7.phone', 'household-9.phone'] as const) {
      const headers = { authorization: server.sign(device, path) }
      assert.equal((await server.request('GET', path, { headers })).status, 200, device)
    }
  })

  it('gives it to nobody else', async () => {
    const others = { from_user_id: 'household-1', to_user_id: 'household-2' }
    const body = { tick_id: 'other', timestamp: 1_760_000_399_500, transactions: [{ ...TRADE_OF_OTHERS, ...others }] }
    await server.request('POST', '/ticks/', { headers: bearer('platform'), body })
    const foreign = '/transactions/trade-2/receipt'
    const headers = { authorization: server.sign('household-7.phone', foreign) }
    const refused = await server.request('GET', foreign, { headers })
    assert.deepEqual([refused.status, refused.json.code], [403, 'forbidden'])
    assert.equal((await server.request('GET', path)).status, 401)
    for (const role of ['operator', 'validator'] as const) {
      assert.equal((await server.request('GET', path, { headers: bearer(role) })).status, 403, role)
    }
  })

  it('knows no receipt of what is not on the chain', async () => {
    const unknown = await server.request('GET', '/transactions/nothing/receipt', { headers: bearer('auditor') })
    assert.deepEqual([unknown.status, unknown.json.code], [404, 'unknown_transaction'])
  })
})

const TRADE_OF_OTHERS = {
  id: 'trade-2',
  kwh: '1.25',
  price_per_kwh: '0.2',
  total_amount: '0.25',
  timestamp: 1_760_000_399_000,
}
