import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import type { PlatformUserTokens } from '../../src/http/access.ts'
import { createLightHttpServer } from '../../src/http/light-server.ts'
import type { LightState } from '../../src/http/routes/light.ts'
import { httpError } from '../../src/http/problem.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { silentLogger } from '../../src/ports/logger.ts'
import { decodePostedRegistryTransaction } from '../../src/protocol/registry-transaction.ts'
import { formatAuthorization } from '../../src/protocol/request.ts'
import { AUTHORITY_KEY, DEVICES } from '../helpers/memory-ledger.ts'
import { signRequest, type TestKey } from '../helpers/sign-now.ts'
import { tempDir } from '../helpers/temp.ts'
import {
  bearer,
  change,
  createTestClock,
  freshKey,
  NOW,
  ORDER,
  startServer,
  TOKENS,
  TRADE,
  type Role,
  type TestServer,
} from '../unit/http/harness.ts'

/** Somebody who asks: the headers that go with a request. */
interface Caller {
  readonly name: string
  readonly headers: (method: string, path: string) => Readonly<Record<string, string>>
}

/** A call of one server: what each caller is answered. */
export interface Row {
  readonly method: string
  readonly path: string
  /** By the name of the caller. */
  readonly cells: Readonly<Record<string, string>>
}

export interface Table {
  readonly title: string
  readonly callers: readonly string[]
  readonly rows: readonly Row[]
}

/** Every route that Fastify has registered, from the running app itself. */
interface Route {
  readonly method: string
  readonly url: string
}

async function withRoutes<T extends { stop(): Promise<void> }>(
  open: () => Promise<T>,
): Promise<{ readonly server: T; readonly routes: readonly Route[] }> {
  const routes: Route[] = []
  const onApp = (message: unknown): void => {
    const { fastify } = message as { readonly fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) routes.push({ method: one, url })
    })
  }
  subscribe('fastify.initialization', onApp)
  try {
    return { server: await open(), routes }
  } finally {
    unsubscribe('fastify.initialization', onApp)
  }
}

/** What a path is filled with, beside the examples of the API document. */
const HASH = 'a'.repeat(64)
const EXAMPLES: Readonly<Record<string, string>> = {
  block_hash: HASH,
  header_hash: HASH,
  order_id: 'order-1',
  id: 'trade-1',
  user_id: 'household-7',
}
const QUERIES: Readonly<Record<string, string>> = {
  '/blocks/headers': '?from_height=0',
  '/transactions/proof': '?tx_id=trade-1',
  '/history/inclusion': '?height=0&size=1',
  '/history/consistency': '?from=1&to=1',
}
const filled = (url: string): string =>
  url.replace(/:(\w+)/g, (_, name: string) => EXAMPLES[name] ?? 'x').replace('*', 'index.html') + (QUERIES[url] ?? '')

const GUARD_CODES: readonly string[] = ['forbidden', 'no_membership', 'unknown_voter']

/** Of the guard: whoever gets one of these has not come in. Of a body it is `signer` that its signature is not right. */
const cellOf = (status: number, code: string, hasCredential: boolean): string => {
  const isOfBody = !hasCredential && (code === 'bad_signature' || code === 'unknown_voter')
  if (isOfBody) return 'signer'
  if (status === 401 || status === 421) return String(status)
  if (GUARD_CODES.includes(code)) return '403'
  return 'in'
}

/** The user is what stands in the middle. */
const USERS: PlatformUserTokens = {
  userOf: (token) =>
    token.includes('expired')
      ? Promise.reject(httpError('bad_credential', { reason: 'the user token has expired' }))
      : Promise.resolve(token.split('.')[1] ?? ''),
}

/** A proxy on this machine passes somebody on: nobody whom the node knows. */
const STRANGER = { 'x-forwarded-for': '203.0.113.7' }
const stranger: Caller = { name: 'nobody', headers: () => STRANGER }
const local: Caller = { name: 'loopback', headers: () => ({}) }
/** A page whose name was given the address of this machine. */
const otherName: Caller = { name: 'other name', headers: () => ({ host: 'page.example' }) }
const unknownToken: Caller = {
  name: 'unknown token',
  headers: () => ({ ...STRANGER, authorization: 'Bearer guessed-token-0123456789' }),
}
const roles = Object.keys(TOKENS).map((role): Caller => ({
  name: role,
  headers: () => ({ ...STRANGER, ...bearer(role as Role) }),
}))

/** As `fetch`, which sends no `host` of its caller's. */
async function ask(url: string, method: string, headers: Record<string, string>, body = '{}') {
  const asked = request(url, { method, headers, agent: false })
  asked.end(method === 'POST' ? body : undefined)
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const { statusCode: status = 0, headers: given } = answer
  // An event stream has no end.
  if (given['content-type'] !== 'application/problem+json') {
    answer.destroy()
    return { status, code: '' }
  }
  const { code } = (await json(answer)) as { readonly code: string }
  return { status, code }
}

async function rowsOf(
  url: string,
  routes: readonly Route[],
  callers: readonly Caller[],
  bodies: Readonly<Record<string, string>> = {},
): Promise<readonly Row[]> {
  // HEAD is the GET of it, OPTIONS the question that browsers ask: neither opens anything.
  const asked = routes.filter(({ method }) => method !== 'HEAD' && method !== 'OPTIONS')
  const rows: Row[] = []
  for (const { method, url: pattern } of asked) {
    const path = filled(pattern)
    const cells: Record<string, string> = {}
    for (const caller of callers) {
      const headers = {
        ...caller.headers(method, path),
        ...(method === 'POST' && { 'content-type': 'application/json' }),
      }
      const { status, code } = await ask(`${url}${path}`, method, headers, bodies[pattern])
      cells[caller.name] = cellOf(status, code, 'authorization' in headers && method !== 'POST')
    }
    rows.push({ method, path: pattern === '' ? '/' : pattern.replace(/:(\w+)/g, '{$1}'), cells })
  }
  return rows
}

/** The table of an authority or a validator. */
async function fullNodeTable(mode: 'authority' | 'validator', webRoot: string): Promise<Table> {
  const { server, routes } = await withRoutes(() => startServer({ mode, users: USERS, options: { webRoot } }))
  try {
    const { ledger } = server
    const { json: document } = await server.request('GET', '/docs/json')
    await server.ledger.acceptTick({ tick_id: 'tick-1', timestamp: NOW, transactions: [{ kind: 'trade', ...TRADE }] })
    await server.ledger.placeOrder({ ...ORDER, side: 'sell' })
    const other = await enrolled(server, 'stranger.phone', 'voter')
    const validator = await enrolled(server, 'validator-1', 'validator')
    const lost = await enrolled(server, 'lost.phone', 'voter')
    await server.ledger.register(
      decodePostedRegistryTransaction(change(ledger, AUTHORITY_KEY, { action: 'revoke', subject_id: 'lost.phone' })),
    )
    const device = (name: string, id: string, key = DEVICES['household-7.phone'].key): Caller => ({
      name,
      headers: (method, path) => {
        if (method !== 'GET' && method !== 'DELETE') return {}
        const timestamp = server.clock.now()
        const signed = { method, path, timestamp, id: freshKey().publicKey.slice(0, 32), to: server.url } as const
        return { authorization: formatAuthorization(signRequest(id, ledger.chainId, signed, key)) }
      },
    })
    const stale: Caller = {
      name: 'stale signature',
      headers: (method, path) =>
        method === 'GET' || method === 'DELETE'
          ? { authorization: server.sign('household-7.phone', path, { method, timestamp: 1 }) }
          : {},
    }
    const callers = [
      stranger,
      local,
      otherName,
      unknownToken,
      ...roles,
      device('its device', 'household-7.phone'),
      device('other device', 'stranger.phone', other),
      device('validator key', 'validator-1', validator),
      device('authority key', 'authority-1', AUTHORITY_KEY),
      device('revoked device', 'lost.phone', lost),
      stale,
      { name: 'user token', headers: () => ({ ...STRANGER, authorization: 'Bearer a.household-7.b' }) },
      { name: 'expired token', headers: () => ({ ...STRANGER, authorization: 'Bearer a.expired.b' }) },
    ]
    const rows = await rowsOf(server.url, routes, callers, bodiesOf(document))
    return { title: mode, callers: callers.map(({ name }) => name), rows }
  } finally {
    await server.stop()
  }
}

async function enrolled({ ledger }: TestServer, subject_id: string, role: 'voter' | 'validator'): Promise<TestKey> {
  const key = freshKey()
  const { publicKey: public_key } = key
  const transaction = change(ledger, key, { action: 'enrol', subject_id, role, public_key, recovery_key: null })
  await ledger.register(decodePostedRegistryTransaction(transaction))
  return key
}

/** The example bodies of the API document, as JSON. */
function bodiesOf(document: unknown): Readonly<Record<string, string>> {
  const { paths } = document as {
    paths: Record<string, { post?: { requestBody?: { content: Record<string, { example?: unknown }> } } }>
  }
  return Object.fromEntries(
    Object.entries(paths).map(([path, { post }]) => {
      const [content] = Object.values(post?.requestBody?.content ?? {})
      const url = path.replace(/\{(\w+)\}/g, ':$1').replace(/\/$/, '')
      return [url, JSON.stringify(content?.example ?? {})]
    }),
  )
}

const LIGHT: LightState = {
  state: 'live',
  tip: null,
  headers: [],
  votes_sent: 0,
  peers: 1,
  trusted_height: null,
  reason: null,
  voter: { state: 'off', id: null, public_key: HASH },
}

async function lightTable(): Promise<Table> {
  const node = { mode: 'light' as const, chain_id: HASH, peer_id: 'p', multiaddrs: [], version: '0.1.0' }
  const parts = {
    node: () => node,
    light: () => LIGHT,
    metrics: createMetrics(),
    clock: createTestClock(),
    logger: silentLogger,
  }
  const { server, routes } = await withRoutes(() => createLightHttpServer(parts, { host: '127.0.0.1', port: 0 }))
  const { port } = await server.start()
  try {
    const callers = [stranger, local, otherName, unknownToken]
    const rows = await rowsOf(`http://127.0.0.1:${port}`, routes, callers)
    return { title: 'light', callers: callers.map(({ name }) => name), rows }
  } finally {
    await server.stop()
  }
}

/** The tables of all servers, each cell asked of the running one. */
export async function accessTables(): Promise<readonly Table[]> {
  const folder = await tempDir()
  try {
    await writeFile(join(folder.path, 'index.html'), '<h1>Sun</h1>')
    await writeFile(join(folder.path, 'icon.svg'), '<svg/>')
    return [
      await fullNodeTable('authority', folder.path),
      await fullNodeTable('validator', folder.path),
      await lightTable(),
    ]
  } finally {
    await folder.remove()
  }
}
