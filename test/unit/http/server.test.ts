import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createLightHttpServer } from '../../../src/http/light-server.ts'
import { createMetrics } from '../../../src/http/metrics.ts'
import type { LightState } from '../../../src/http/routes/light.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { createMemoryLedger, DEVICES } from '../../helpers/memory-ledger.ts'
import { signVote } from '../../helpers/sign-now.ts'
import { tempDir } from '../../helpers/temp.ts'
import {
  bearer,
  createTestClock,
  doubleSeal,
  NOW,
  sealOne,
  startServer,
  tick,
  TRADE,
  type TestServer,
} from './harness.ts'

/** The value of a sample in Prometheus text. */
const sample = (text: string, name: string): number | undefined => {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length + 1))
}

const PAGE = 'https://app.example.org'

describe('HTTP headers', () => {
  let server: TestServer
  let blockHash: string
  before(async () => {
    server = await startServer({ options: { corsOrigins: [PAGE] } })
    ;({ blockHash } = await sealOne(server))
  })
  after(() => server.stop())

  it('protect every answer', async () => {
    for (const path of ['/genesis', '/nowhere', '/blocks/zz']) {
      const { headers } = await server.request('GET', path)
      assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
      assert.equal(headers.get('referrer-policy'), 'no-referrer')
      assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/)
      assert.equal(headers.get('x-frame-options'), 'DENY')
      assert.equal(headers.get('strict-transport-security'), null, 'that is for who speaks TLS')
    }
    assert.equal((await server.request('GET', '/genesis')).headers.get('cache-control'), 'no-store')
  })

  const openTo = async (path: string, origin: string) =>
    (await server.request('GET', path, { headers: { origin } })).headers.get('access-control-allow-origin')

  it('open to pages of the origins that the operator names what a household may call, its errors too', async () => {
    for (const path of ['/genesis', '/blocks/latest-headers/', '/blocks/zz/status/', '/transactions', '/health']) {
      assert.equal(await openTo(path, PAGE), PAGE, path)
      assert.equal(await openTo(path, 'https://evil.example'), null, path)
      assert.equal(await openTo(path, 'null'), null, path)
    }
    for (const path of [`/blocks/${blockHash}`, '/metrics', '/docs', '/nowhere']) {
      assert.equal(await openTo(path, PAGE), null, path)
    }
  })

  it('are closed to pages of every other origin where the operator names none', async () => {
    const closed = await startServer()
    try {
      for (const path of ['/genesis', '/transactions']) {
        const { headers } = await closed.request('GET', path, { headers: { origin: PAGE } })
        assert.equal(headers.get('access-control-allow-origin'), null)
        assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin')
        const asked = { origin: PAGE, 'access-control-request-method': 'GET' }
        assert.equal((await closed.request('OPTIONS', path, { headers: asked })).status, 405)
      }
    } finally {
      await closed.stop()
    }
  })

  it('answer the question that browsers ask before a vote, an order and a signed request', async () => {
    const ask = (path: string, method: string, origin = PAGE) =>
      server.request('OPTIONS', path, { headers: { origin, 'access-control-request-method': method } })
    for (const [path, method] of [
      [`/blocks/${blockHash}/vote/`, 'POST'],
      ['/orders', 'POST'],
      ['/orders/order-1', 'GET'],
      ['/orders/order-1', 'DELETE'],
      ['/transactions', 'GET'],
    ] as const) {
      const { status, headers } = await ask(path, method)
      assert.equal(status, 204, path)
      assert.equal(headers.get('access-control-allow-origin'), PAGE)
      assert.match(headers.get('vary') ?? '', /origin/i)
      assert.equal(headers.get('access-control-allow-methods'), method)
      assert.equal(headers.get('access-control-allow-headers'), 'authorization, content-type, solar-membership')
      assert.equal((await ask(path, method, 'https://evil.example')).headers.get('access-control-allow-origin'), null)
    }
    for (const path of ['/ticks/', '/blocks/propose/', '/metrics']) {
      const { status, headers } = await ask(path, path === '/metrics' ? 'GET' : 'POST')
      assert.deepEqual([status, headers.get('access-control-allow-origin')], [405, null], path)
    }
    assert.equal((await ask('/nowhere', 'GET')).status, 404)
  })

  it('are all that HEAD answers, where everybody may ask', async () => {
    const head = await server.request('HEAD', '/health')
    assert.deepEqual([head.status, head.text], [200, ''])
    for (const path of ['/events', '/transactions', '/metrics']) {
      assert.equal((await server.request('HEAD', path)).status, 405, path)
    }
  })
})

describe('HTTP pages', () => {
  it('of the folder are at /, and nothing beside it', async () => {
    const folder = await tempDir()
    const webRoot = join(folder.path, 'web')
    await mkdir(webRoot)
    await writeFile(join(folder.path, 'secret.txt'), 'secret')
    await writeFile(join(webRoot, '.hidden'), 'secret')
    await writeFile(join(webRoot, 'index.html'), '<h1>Sun</h1>')
    await writeFile(join(webRoot, 'app.js'), 'export {}')
    await writeFile(join(webRoot, 'icon.svg'), '<svg/>')
    const server = await startServer({ options: { webRoot } })
    try {
      const page = await server.request('GET', '/')
      assert.deepEqual([page.status, page.text], [200, '<h1>Sun</h1>'])
      assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'self'; connect-src 'self' ws: wss:/)
      assert.match((await server.request('GET', '/app.js')).headers.get('content-type') ?? '', /javascript/)
      for (const path of ['/.hidden', '/missing.js', '/..%2fsecret.txt', '/%2e%2e/secret.txt']) {
        const answer = await server.request('GET', path)
        assert.equal(answer.headers.get('content-type'), 'application/problem+json', path)
        assert.ok([400, 403, 404].includes(answer.status) && !answer.text.includes('"secret"'), answer.text)
      }
      assert.equal(
        (await server.request('GET', '/docs/static/theme/icon.svg')).text,
        '<svg/>',
        'one icon for both pages',
      )
      assert.equal((await server.request('GET', '/ticks/')).status, 405)
      assert.equal((await server.request('GET', '/genesis')).status, 200)
    } finally {
      await server.stop()
      await folder.remove()
    }
  })

  it('are not there without a folder', async () => {
    const server = await startServer()
    assert.equal((await server.request('GET', '/')).status, 404)
    await server.stop()
  })
})

describe('Metrics', () => {
  it('count evidence by its kind', async () => {
    const metrics = createMetrics()
    assert.doesNotMatch(await metrics.text(), /solar_evidence_total\{/)
    const evidence = doubleSeal(createMemoryLedger())
    for (const now of [1, 2]) metrics.recordEvent({ type: 'evidence', evidence }, now)
    const text = await metrics.text()
    assert.equal(sample(text, 'solar_evidence_total{kind="double-seal"}'), 2)
    assert.match(text, /# TYPE solar_evidence_total counter/)
  })

  it('tell what the plan asks for: votes, proof latency, finalization time', async () => {
    const server = await startServer()
    const { ledger, metrics } = server
    ledger.subscribe((event) => metrics.recordEvent(event, server.clock.now()))
    metrics.watchPeers(() => 3)
    metrics.recordTick('sealed')
    const empty = await metrics.text()
    assert.deepEqual([sample(empty, 'solar_height'), sample(empty, 'solar_final_height')], [-1, -1])

    const { blockHash } = await sealOne(server, 'a')
    await sealOne(server, 'b')
    const body = { chain_id: ledger.chainId, header_hash: blockHash, height: 0, voter_id: 'household-7.phone' }
    const vote = signVote({ ...body, decision: 'reject' }, DEVICES['household-7.phone'].key)
    await server.request('POST', `/blocks/${blockHash}/vote/`, { body: vote })
    await server.request('GET', `/blocks/${blockHash}/merkle-proof/?tx_id=a`)
    ledger.emit({ type: 'final', header_hash: 'f'.repeat(64), height: 1, finalized_at: NOW + 4_000 })

    const { text, headers } = await server.request('GET', '/metrics')
    assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    const values = {
      solar_blocks_total: 2,
      solar_height: 1,
      solar_final_height: 1,
      'solar_votes_total{decision="reject"}': 1,
      'solar_ticks_total{outcome="sealed"}': 1,
      solar_peers: 3,
      solar_proof_duration_seconds_count: 1,
      // A final header finalizes those below it.
      solar_finalization_seconds_count: 2,
      solar_finalization_seconds_sum: 8,
    }
    for (const [name, value] of Object.entries(values)) assert.equal(sample(text, name), value, name)
    const route = 'method="GET",route="/blocks/{block_hash}/merkle-proof/",status="200"'
    assert.equal(sample(text, `solar_http_request_duration_seconds_count{${route}}`), 1)
    assert.ok((sample(text, 'process_resident_memory_bytes') ?? 0) > 0)
    await server.stop()
  })

  it('have as many routes as there are calls, whatever is asked for', async () => {
    const server = await startServer()
    for (const path of ['/a', '/b', '/c?d', '/orders/1', '/orders/2']) await server.request('GET', path)
    const { text } = await server.request('GET', '/metrics')
    const routes = new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route))
    assert.deepEqual([...routes].sort(), ['/orders/{order_id}', 'unknown'])
    await server.stop()
  })

  it('begin at the heights found at start, and heights only grow', async () => {
    const metrics = createMetrics()
    metrics.setHeights(7, 5)
    metrics.recordEvent({ type: 'final', header_hash: 'f'.repeat(64), height: 3, finalized_at: 1 }, 1)
    const text = await metrics.text()
    assert.deepEqual([sample(text, 'solar_height'), sample(text, 'solar_final_height')], [7, 5])
  })

  it('of two servers are apart', async () => {
    const [one, two] = [createMetrics(), createMetrics()]
    one.recordTick('empty')
    assert.equal(sample(await two.text(), 'solar_ticks_total{outcome="empty"}'), undefined)
  })
})

describe('HTTP of a light node', () => {
  it('answers four calls and no other', async () => {
    const light: { -readonly [Field in keyof LightState]: LightState[Field] } = {
      state: 'live',
      tip: { height: 4, header_hash: 'a'.repeat(64) },
      headers: [],
      votes_sent: 2,
      peers: 1,
      trusted_height: 4,
      reason: null,
      voter: { state: 'registered', id: 'household-7', public_key: 'b'.repeat(64) },
    }
    const node = { mode: 'light', chain_id: 'c'.repeat(64), peer_id: 'p', multiaddrs: [], version: '0.1.0' } as const
    const server = await createLightHttpServer(
      {
        node: () => node,
        light: () => light,
        metrics: createMetrics(),
        clock: createTestClock(),
        logger: silentLogger,
      },
      { host: 'localhost', port: 0 },
    )
    const { host, port } = await server.start()
    const url = `http://${host}:${port}`
    const get = async (path: string, headers: Record<string, string> = {}) => fetch(`${url}${path}`, { headers })
    for (const state of ['syncing', 'live', 'stale', 'alarm'] as const) {
      light.state = state
      assert.deepEqual(await (await get('/light/')).json(), light)
    }
    assert.deepEqual(await (await get('/node')).json(), node)
    assert.deepEqual(await (await get('/health')).json(), { status: 'alive' })
    assert.match(await (await get('/metrics')).text(), /solar_height -1/)
    for (const path of ['/blocks/latest-headers/', '/transactions', '/ready', '/docs', '/']) {
      assert.equal((await get(path)).status, 404, path)
    }
    for (const authorization of ['Bearer x', 'Solar a.1.b.c', bearer('operator').authorization!]) {
      assert.equal((await get('/metrics', { authorization })).status, 401, 'it knows no credential')
    }
    await server.stop()
  })
})

describe('HTTP speed', () => {
  it('takes a tick of 100,000 rows', async () => {
    let received = 0
    const nothing = { height: null, block_hash: null, header_hash: null, merkle_root: null, transactions: [] }
    const server = await startServer({
      wrap: (ledger) => ({
        ...ledger,
        acceptTick: (accepted) => {
          received = accepted.transactions.length
          return Promise.resolve({ tick_id: accepted.tick_id, ...nothing })
        },
      }),
    })
    const body = tick('largest', ...Array.from({ length: 100_000 }, (_, i) => ({ ...TRADE, id: `trade-${i}` })))
    const answer = await server.request('POST', '/ticks/', { headers: bearer('platform'), body })
    assert.deepEqual([answer.status, received], [200, 100_000], answer.text)
    await server.stop()
  })
})
