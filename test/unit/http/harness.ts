import { randomBytes } from 'node:crypto'
import { hashToken } from '../../../src/http/access.ts'
import { createMetrics, type Metrics } from '../../../src/http/metrics.ts'
import { createHttpServer, type HttpOptions, type HttpParts } from '../../../src/http/server.ts'
import type { Clock } from '../../../src/ports/clock.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import {
  signRegistryTransaction,
  type PostedRegistryTransaction,
  type RegistryTransactionBody,
} from '../../../src/protocol/registry-transaction.ts'
import { formatAuthorization, signRequest } from '../../../src/protocol/request.ts'
import { signingKeyFromSecret, type SigningKey } from '../../../src/protocol/signature.ts'
import { createMemoryLedger, DEVICES, type DeviceId, type MemoryLedger } from '../../helpers/memory-ledger.ts'

export const NOW = 1_760_000_400_000
export const TOKENS = {
  operator: 'operator-token-0123456789',
  platform: 'platform-token-0123456789',
  auditor: 'auditor-token-0123456789',
  validator: 'validator-token-0123456789',
} as const
export type Role = keyof typeof TOKENS

/** A clock that stands still until it is moved. */
export function createTestClock(): Clock & { advance(ms: number): void } {
  let now = NOW
  let tasks: { at: number; task: () => void }[] = []
  return {
    now: () => now,
    after(delayMs, task) {
      const entry = { at: now + delayMs, task }
      tasks.push(entry)
      return () => void (tasks = tasks.filter((other) => other !== entry))
    },
    advance(ms) {
      now += ms
      const due = tasks.filter(({ at }) => at <= now)
      tasks = tasks.filter(({ at }) => at > now)
      for (const { task } of due) task()
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The parsed body; {} if it is no JSON object. */
  readonly json: Record<string, unknown>
}

export interface TestServer {
  readonly url: string
  readonly port: number
  readonly ledger: MemoryLedger
  readonly metrics: Metrics
  readonly clock: ReturnType<typeof createTestClock>
  request(method: string, path: string, init?: { headers?: Record<string, string>; body?: unknown }): Promise<Answer>
  /** The header of a device's signed GET. */
  sign(device: DeviceId, path: string, changes?: { timestamp?: number; id?: string; method?: 'GET' | 'P2P' }): string
  stop(): Promise<void>
}

export const bearer = (role: Role): Record<string, string> => ({ authorization: `Bearer ${TOKENS[role]}` })

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** A real server on a free port in front of a ledger in memory. */
export async function startServer(
  changes: Partial<HttpParts> & { options?: Partial<HttpOptions>; wrap?: (ledger: MemoryLedger) => Ledger } = {},
): Promise<TestServer> {
  const { options, wrap, ...parts } = changes
  const ledger = createMemoryLedger()
  const clock = createTestClock()
  const metrics = createMetrics()
  const server = await createHttpServer(
    {
      ledger: wrap?.(ledger) ?? ledger,
      node: () => ({
        mode: 'authority',
        chain_id: ledger.chainId,
        peer_id: '12D3KooW',
        multiaddrs: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW'],
        version: '0.1.0',
      }),
      readiness: () => [],
      tokens: {
        operator: hashToken(TOKENS.operator),
        platform: hashToken(TOKENS.platform),
        auditor: hashToken(TOKENS.auditor),
        validator: hashToken(TOKENS.validator),
      },
      metrics,
      clock,
      logger: silentLogger,
      ...parts,
    },
    { host: '127.0.0.1', port: 0, rateLimitPerSecond: 1_000_000, ...options },
  )
  const { port } = await server.start()
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    port,
    ledger,
    metrics,
    clock,
    stop: () => server.stop(),
    async request(method, path, { headers = {}, body } = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: text }),
      })
      const answer = await response.text()
      return { status: response.status, headers: response.headers, text: answer, json: parse(answer) }
    },
    sign(device, path, { timestamp = clock.now(), id = randomBytes(16).toString('hex'), method = 'GET' } = {}) {
      const request = { method, path, timestamp, id }
      return formatAuthorization(signRequest(device, ledger.chainId, request, DEVICES[device].key))
    },
  }
}

export const TRADE = {
  id: 'trade-1',
  from_user_id: 'household-7',
  to_user_id: 'household-9',
  kwh: '1.25',
  price_per_kwh: '0.2',
  total_amount: '0.25',
  timestamp: NOW - 1000,
}
export const tick = (id: string, ...transactions: object[]) => ({ tick_id: id, timestamp: NOW - 500, transactions })
export const ORDER = {
  order_id: 'order-1',
  user_id: 'household-7',
  side: 'sell',
  kwh: '1.5',
  price_per_kwh: '0.2',
  timestamp: NOW,
}

/** Posts a tick with one trade and gives back the block's hash and the trade's. */
export async function sealOne(server: TestServer, id = 'trade-1'): Promise<{ blockHash: string; txHash: string }> {
  const body = tick(`tick of ${id}`.replaceAll(' ', '-'), { ...TRADE, id })
  const { json } = await server.request('POST', '/ticks/', { headers: bearer('platform'), body })
  const { block_hash, transactions } = json as { block_hash: string; transactions: { tx_hash: string }[] }
  return { blockHash: block_hash, txHash: transactions[0]!.tx_hash }
}

type Fields<T> = T extends unknown ? Omit<T, 'kind' | 'id' | 'timestamp' | 'nonce'> : never
/** A posted registry change with a nonce of its own. */
export function change(
  ledger: Pick<Ledger, 'chainId'>,
  key: SigningKey,
  fields: Fields<RegistryTransactionBody>,
): PostedRegistryTransaction {
  const nonce = randomBytes(16).toString('hex')
  const body = { kind: 'registry' as const, id: `change-${nonce}`, timestamp: NOW, nonce, ...fields }
  return signRegistryTransaction(body, ledger.chainId, key)
}

/** A key nobody has had before. */
export const freshKey = (): SigningKey => signingKeyFromSecret(new Uint8Array(randomBytes(32)))
