import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { grantOf, hashToken } from '../../../src/http/tokens.ts'
import type { TokenGrant } from '../../../src/ports/tokens.ts'
import { createMetrics, type Metrics } from '../../../src/http/metrics.ts'
import {
  createHttpServer,
  createValidatorHttpServer,
  type HttpOptions,
  type HttpParts,
} from '../../../src/http/server.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Witness } from '../../../src/ports/witness.ts'
import { makeDoubleSeal, proveSigner, type Evidence } from '../../../src/protocol/evidence.ts'
import type { SealedHeader } from '../../../src/protocol/header.ts'
import { EMPTY_HISTORY_ROOT } from '../../../src/protocol/history.ts'
import { merkleRoot } from '../../../src/protocol/merkle.ts'
import { Registry } from '../../../src/protocol/registry.ts'
import {
  type PostedRegistryTransaction,
  type RegistryTransactionBody,
} from '../../../src/protocol/registry-transaction.ts'
import { formatAuthorization } from '../../../src/protocol/request.ts'
import {
  AUTHORITY_KEY,
  createMemoryLedger,
  DEVICES,
  TEST_GENESIS,
  type DeviceId,
  type MemoryLedger,
} from '../../helpers/memory-ledger.ts'
import { sealHeader, signingKeyFromSecret, signRequest, type TestKey } from '../../helpers/sign-now.ts'
import { signedChange } from '../../helpers/signed-change.ts'
import { createVirtualClock, type VirtualClock } from '../../helpers/virtual-clock.ts'

export const NOW = 1_760_000_400_000
export const TOKENS = {
  operator: 'operator-token-0123456789',
  platform: 'platform-token-0123456789',
  auditor: 'auditor-token-0123456789',
  validator: 'validator-token-0123456789',
  enroller: 'enroller-token-0123456789',
  metrics: 'metrics-token-0123456789',
} as const
export type Role = keyof typeof TOKENS
/** An enroller brings devices of users whose id begins with `home-`, two a day. */
const GRANTS: readonly TokenGrant[] = (Object.entries(TOKENS) as [Role, string][]).map(([role, token]) => ({
  ...{ name: `the ${role}`, role, hash: hashToken(token), expires_at: null },
  ...(role === 'enroller' && { users: 'home-', per_day: 2 }),
}))

/** A clock that stands still until it is moved. */
export const createTestClock = (): VirtualClock => createVirtualClock(NOW)

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
  readonly clock: VirtualClock
  request(method: string, path: string, init?: { headers?: Record<string, string>; body?: unknown }): Promise<Answer>
  /** The header of a device's signed GET. */
  sign(
    device: DeviceId,
    path: string,
    changes?: { timestamp?: number; id?: string; to?: string; method?: 'GET' | 'DELETE' },
  ): string
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
  changes: Partial<HttpParts> & {
    mode?: 'authority' | 'validator'
    options?: Partial<HttpOptions>
    wrap?: (ledger: MemoryLedger) => Ledger
  } = {},
): Promise<TestServer> {
  const { mode = 'authority', options, wrap, ...parts } = changes
  const ledger = createMemoryLedger()
  const clock = createTestClock()
  const metrics = createMetrics()
  const http = { host: '127.0.0.1', port: 0, rateLimitPerSecond: 1_000_000, ...options }
  const given: HttpParts = {
    ledger: wrap?.(ledger) ?? ledger,
    node: () => ({
      mode,
      chain_id: ledger.chainId,
      peer_id: '12D3KooW',
      multiaddrs: ['/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW'],
      version: '0.1.0',
    }),
    redactor: { redact: () => Promise.resolve([]), redactions: () => Promise.resolve([]) },
    readiness: () => ({ role: 'leader', reasons: [] }),
    tokens: { find: (token) => Promise.resolve(grantOf(token, GRANTS)) },
    metrics,
    clock,
    logger: silentLogger,
    ...parts,
  }
  const witness: Witness = { addCheckpoint: () => Promise.resolve({ status: 404, reason: 'no log is witnessed here' }) }
  const server = await (mode === 'authority'
    ? createHttpServer(given, http)
    : createValidatorHttpServer({ ...given, witness }, http))
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
    sign(
      device,
      path,
      { timestamp = clock.now(), id = randomBytes(16).toString('hex'), to = url, method = 'GET' } = {},
    ) {
      const request = { method, path, timestamp, id, to }
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
  key: TestKey,
  fields: Fields<RegistryTransactionBody>,
): PostedRegistryTransaction {
  const nonce = randomBytes(16).toString('hex')
  const body = { kind: 'registry' as const, id: `change-${nonce}`, timestamp: NOW, nonce, ...fields }
  return signedChange(body, ledger.chainId, key, { id: 'authority-1', key: AUTHORITY_KEY })
}

const REGISTRY = Registry.fromGenesis(TEST_GENESIS)

/** Two seals of one height by the authority of a ledger in memory. */
export function doubleSeal({ chainId }: Pick<Ledger, 'chainId'>, height = 0): Evidence {
  const seal = (timestamp: number): SealedHeader =>
    sealHeader(
      {
        version: 1,
        chain_id: chainId,
        height,
        prev_hash: chainId,
        merkle_root: merkleRoot([]),
        tx_count: 0,
        history_root: EMPTY_HISTORY_ROOT,
        registry_root: REGISTRY.root,
        timestamp,
        nonce: 0,
        difficulty: 0,
        miner_id: 'authority-1',
      },
      AUTHORITY_KEY,
    )
  const proof = proveSigner(REGISTRY, 'authority-1', null)
  assert.ok(proof)
  return makeDoubleSeal(seal(NOW), seal(NOW + 1), proof)
}

/** A key nobody has had before. */
export const freshKey = (): TestKey => signingKeyFromSecret(new Uint8Array(randomBytes(32)))
