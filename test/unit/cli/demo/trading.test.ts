import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { HOUSEHOLDS } from '../../../../src/cli/demo/model.ts'
import { TICK_MS } from '../../../../src/cli/demo/model-clock.ts'
import type { DemoPrinter } from '../../../../src/cli/demo/printer.ts'
import { startTrading } from '../../../../src/cli/demo/trading.ts'
import { hash32 } from '../../../../src/protocol/shape.ts'
import { signingKeyFromSecret } from '../../../helpers/sign-now.ts'

/** Noon on a summer day, wherever this runs. */
const NOON = new Date(2025, 5, 1, 12).getTime()

describe('trading in the demo', () => {
  it('tells a trouble of the authority once, in one line, and posts the same orders until they are taken', async () => {
    const orders: string[] = []
    const ticks: string[] = []
    let refusals = 0
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as { order_id?: string; tick_id?: string }
        const isTick = body.tick_id !== undefined
        if (body.order_id !== undefined) orders.push(body.order_id)
        // The first quarter fails twice at its tick, the second one is taken.
        if (isTick && refusals < 2) {
          refusals += 1
          response.writeHead(503, { 'content-type': 'application/problem+json' })
          response.end(JSON.stringify({ code: 'busy', detail: `the store is locked, try ${refusals}` }))
          return
        }
        if (isTick) ticks.push(body.tick_id ?? '')
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ tick_id: body.tick_id, height: null, block_hash: null, transactions: [] }))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const said: string[] = []
    const printer: DemoPrinter = {
      started: () => said.push('started'),
      tick: ({ timestamp }) => said.push(`tick ${(timestamp - NOON) / TICK_MS}`),
      household: () => undefined,
      validator: () => undefined,
      failed: (timestamp, message) => said.push(`failed ${(timestamp - NOON) / TICK_MS}: ${message}`),
      recovered: () => said.push('recovered'),
      over: () => undefined,
      stopped: () => undefined,
    }
    let last = NOON
    const trading = startTrading({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      operatorToken: 'token',
      chainId: hash32('0c'.repeat(32), 'chain'),
      households: HOUSEHOLDS.map((household) => ({ ...household, key: signingKeyFromSecret(new Uint8Array(32)) })),
      clock: { startAt: NOON, next: () => (last < NOON + 2 * TICK_MS ? (last += TICK_MS) : undefined) },
      tickMs: 1,
      block: () => Promise.reject(new Error('there is no block')),
      printer,
    })
    try {
      await trading.over
    } finally {
      await trading.stop()
      server.close()
    }
    assert.deepEqual(said, ['failed 1: the store is locked, try 1', 'tick 1', 'recovered', 'tick 2'])
    assert.equal(ticks.length, 2)
    const first = orders.slice(0, HOUSEHOLDS.length)
    assert.deepEqual(orders.slice(0, 3 * HOUSEHOLDS.length), [...first, ...first, ...first])
    assert.equal(new Set(orders).size, 2 * HOUSEHOLDS.length)
  })
})
