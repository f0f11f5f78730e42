import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { checkOrder } from '../../../src/market/intake.ts'
import { clear, tradesOf } from '../../helpers/clear-now.ts'
import { parseQuantity } from '../../../src/protocol/decimal.ts'
import { sha256Hex } from '../../../src/protocol/hash.ts'
import { orderShape, type Order } from '../../../src/protocol/order.ts'
import type { Trade } from '../../../src/protocol/transaction.ts'

/** The far side of a replay: the calls of docs/protocol.md 9 that it makes, over a book in memory. */
export interface FakeAuthority {
  readonly url: string
  readonly port: number
  /** "POST /orders/ <order_id>" and so on, in order of arrival. */
  readonly calls: string[]
  readonly orders: ReadonlyMap<string, Order>
  /** Ticks that were committed, each once. */
  readonly ticks: ReadonlyMap<string, CommittedTick>
  readonly connections: () => number
  /** Answers instead of the authority, if it gives back true. */
  intercept: (call: string, response: ServerResponse) => boolean
  close(): Promise<void>
}

interface CommittedTick {
  readonly timestamp: number
  readonly trades: readonly Trade[]
  readonly height: number | null
}

const TOKEN = 'operator-token'
export const OPERATOR_TOKEN = TOKEN

export async function startFakeAuthority(
  options: { readonly port?: number; readonly minTradeMicro?: bigint; readonly blocksBefore?: number } = {},
): Promise<FakeAuthority> {
  const orders = new Map<string, Order>()
  const open = new Map<string, bigint>()
  const ticks = new Map<string, CommittedTick>()
  const calls: string[] = []
  let connections = 0
  let tip = (options.blocksBefore ?? 0) - 1

  const placeOrder = (body: unknown): readonly [number, object] => {
    const order = orderShape(body, 'order')
    const verdict = checkOrder(order, { minTradeMicro: options.minTradeMicro ?? 10_000n, now: Date.now() })
    if (!verdict.ok) return [422, { code: verdict.code, detail: verdict.reason }]
    const known = orders.get(order.order_id)
    if (known !== undefined) {
      return JSON.stringify(known) === JSON.stringify(order)
        ? [200, { order_id: order.order_id }]
        : [409, { code: 'order_conflict', detail: `order ${order.order_id} was placed before with other content` }]
    }
    const closedBy = [...ticks].find(([, { timestamp }]) => timestamp === order.timestamp)?.[0]
    if (closedBy !== undefined) return [409, { code: 'interval_closed', tick_id: closedBy }]
    orders.set(order.order_id, order)
    open.set(order.order_id, parseQuantity(order.kwh))
    return [201, { order_id: order.order_id }]
  }
  const runTick = (tick_id: string, timestamp: number): readonly [number, object] => {
    if (!ticks.has(tick_id)) {
      const book = [...orders.values()]
        .filter((order) => order.timestamp <= timestamp && timestamp < (order.valid_until ?? Infinity))
        .map((order, sequence) => ({
          ...order,
          kwh_micro: open.get(order.order_id) ?? 0n,
          price_micro: parseQuantity(order.price_per_kwh),
          sequence,
        }))
      const terms = { tick_id, timestamp, amountDecimals: 6, nonces: () => '0'.repeat(32) }
      const { trades, fills } = tradesOf(clear(book), terms)
      for (const fill of fills) open.set(fill.order_id, (open.get(fill.order_id) ?? 0n) - fill.kwh_micro)
      ticks.set(tick_id, { timestamp, trades, height: trades.length === 0 ? null : ++tip })
    }
    const height = ticks.get(tick_id)?.height ?? null
    return [200, { tick_id, height, block_hash: height === null ? null : sha256Hex(tick_id) }]
  }
  const block = (hash: string): readonly [number, object] => {
    const found = [...ticks].find(([tick_id]) => sha256Hex(tick_id) === hash)
    return found === undefined ? [404, { code: 'unknown_block' }] : [200, { transactions: found[1].trades }]
  }

  const answer = (
    method: string,
    path: string,
    body: unknown,
    token: string | undefined,
  ): readonly [number, object] => {
    if (method === 'GET' && path === '/blocks/latest-headers/?n=1') return [200, { tip_height: tip < 0 ? null : tip }]
    if (method === 'GET' && path === '/genesis') return [200, { genesis: { currency: 'EUR' } }]
    if (method === 'GET' && path === '/metrics' && token === undefined) return [200, {}]
    if (token === undefined) return [401, { code: 'unauthorized', detail: 'a bearer token is needed' }]
    if (token !== `Bearer ${TOKEN}`) return [403, { code: 'forbidden', detail: 'not your row' }]
    if (method === 'GET' && path === '/metrics') return [200, {}]
    if (method === 'GET' && path.startsWith('/blocks/')) return block(path.slice('/blocks/'.length))
    if (method === 'GET' && path.startsWith('/users/')) return [200, { pseudonym: null }]
    if (method === 'POST' && path === '/orders/') return placeOrder(body)
    const { tick_id, timestamp } = body as { readonly tick_id: string; readonly timestamp: number }
    if (method === 'POST' && path === '/ticks/run/') return runTick(tick_id, timestamp)
    return [404, { code: 'not_found' }]
  }

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString('utf8')
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const { order_id, tick_id } = (body ?? {}) as { readonly order_id?: string; readonly tick_id?: string }
    const call = [request.method, request.url, order_id ?? tick_id].filter((part) => part !== undefined).join(' ')
    calls.push(call)
    if (authority.intercept(call, response)) return
    const [status, result] = answer(request.method ?? '', request.url ?? '', body, request.headers.authorization)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(result))
  }
  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.writeHead(400).end(String(error)))
  })
  server.on('connection', () => connections++)
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const authority: FakeAuthority = {
    url: `http://127.0.0.1:${port}`,
    port,
    calls,
    orders,
    ticks,
    connections: () => connections,
    intercept: () => false,
    close: async () => {
      server.closeAllConnections()
      if (server.listening) await new Promise((resolve) => server.close(resolve))
    },
  }
  return authority
}
