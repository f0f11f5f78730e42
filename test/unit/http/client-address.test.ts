import assert from 'node:assert/strict'
import type { FastifyRequest } from 'fastify'
import { createClients } from '../../../src/http/client-address.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { bearer, startServer, tick, type TestServer } from './harness.ts'

const from = (remoteAddress: string, headers: Record<string, string> = {}, httpVersion = '1.1') =>
  ({
    socket: { remoteAddress },
    headers: { host: '127.0.0.1:8080', ...headers },
    raw: { httpVersion },
  }) as unknown as FastifyRequest
const forwarded = (value: string) => ({ 'x-forwarded-for': value })

describe('who asks over HTTP', () => {
  it('is the connection, unless a trusted proxy tells otherwise', () => {
    const clients = createClients(['10.0.0.0/8', '2001:db8::/32'])
    const of = (remote: string, header: string) => clients.of(from(remote, forwarded(header))).address
    assert.equal(of('192.0.2.1', '198.51.100.7'), '192.0.2.1')
    assert.equal(of('127.0.0.1', '198.51.100.7'), '127.0.0.1')
    assert.equal(of('::ffff:10.0.0.1', '198.51.100.7'), '198.51.100.7')
    assert.equal(of('10.0.0.1', 'evil, 198.51.100.7, 10.0.0.2'), '198.51.100.7')
    assert.equal(of('10.0.0.1', '203.0.113.9, 198.51.100.7'), '198.51.100.7')
    assert.equal(of('2001:db8::1', '[2001:db9::5]:443'), '2001:db9::5')
    assert.equal(of('10.0.0.1', '198.51.100.7:1234'), '198.51.100.7')
    for (const none of ['', 'unknown', ',', '999.1.1.1', 'x'.repeat(10_000)])
      assert.equal(of('10.0.0.1', none), '10.0.0.1')
  })

  it('is assumed of a proxy on this machine only where none is configured', () => {
    const request = from('127.0.0.1', forwarded('198.51.100.7'))
    assert.deepEqual(createClients().of(request), { address: '198.51.100.7', source: 'assumed' })
    assert.deepEqual(createClients(['10.0.0.1']).of(request), { address: '127.0.0.1', source: 'own' })
    assert.deepEqual(createClients(['127.0.0.1']).of(request), { address: '198.51.100.7', source: 'configured' })
  })

  it('is this machine only without any sign of a proxy', () => {
    const clients = createClients()
    assert.equal(clients.isLocal(from('::1')), true)
    assert.equal(clients.isLocal(from('::ffff:127.0.0.1', { host: 'localhost' })), true)
    assert.equal(clients.isLocal(from('192.0.2.1')), false)
    assert.equal(clients.isLocal(from('127.0.0.1', {}, '1.0')), false)
    assert.equal(clients.isLocal(from('127.0.0.1', { host: 'ledger.example.org' })), false)
    assert.equal(createClients(['127.0.0.1']).isLocal(from('127.0.0.1')), false)
    const proxies = [
      'forwarded',
      'via',
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-forwarded',
      'cdn-loop',
      'x-amzn-trace-id',
    ]
    const addresses = [
      'x-real-ip',
      'cf-connecting-ip',
      'cf-connecting-ipv6',
      'true-client-ip',
      'client-ip',
      'x-azure-clientip',
    ]
    const more = ['x-envoy-external-address', 'wl-proxy-client-ip', 'x-appengine-user-ip', 'x-remote-addr']
    for (const name of [...proxies, ...addresses, ...more]) {
      assert.equal(clients.isLocal(from('127.0.0.1', { [name]: 'x' })), false, name)
    }
    for (const name of ['x-prometheus-scrape-timeout-seconds', 'x-request-id', 'user-agent', 'connection']) {
      assert.equal(clients.isLocal(from('127.0.0.1', { [name]: 'x' })), true, name)
    }
  })
})

describe('HTTP behind a proxy', () => {
  let server: TestServer | undefined
  const lines: { fields: object; message: string }[] = []
  const logger: Logger = { ...silentLogger, warn: (fields, message) => lines.push({ fields, message }) }
  afterEach(async () => {
    await server?.stop()
    lines.length = 0
  })

  it('counts each client by itself, and invented ones together', async () => {
    server = await startServer({ options: { rateLimitPerSecond: 1 } })
    const get = async (address: string) =>
      (await server!.request('GET', '/health', { headers: forwarded(address) })).status
    const noisy = await Promise.all(Array.from({ length: 20 }, () => get('203.0.113.66')))
    assert.ok(noisy.includes(429))
    assert.equal(await get('198.51.100.7'), 200)
    const invented = await Promise.all(Array.from({ length: 200 }, (_, n) => get(`198.51.100.${n + 10}`)))
    assert.ok(invented.includes(429))
  })

  it('tells what was refused at warn, a flood once, and never a token', async () => {
    server = await startServer({ logger })
    const post = (body: unknown) => server!.request('POST', '/ticks/', { headers: bearer('platform'), body })
    for (let n = 0; n < 5; n++) await post(tick('bad', { id: 1 }))
    assert.equal(lines.length, 1)
    server.clock.advance(1_000)
    await post(tick('bad', { id: 1 }))
    assert.deepEqual(lines[1]?.fields, {
      method: 'POST',
      route: '/ticks/',
      code: 'malformed',
      status: 400,
      client: '127.0.0.1',
      token_name: 'the platform',
      more_like_this: 4,
    })
    await server.request('POST', '/ticks/', { headers: { authorization: 'Bearer wrong-token-0123456789' }, body: {} })
    assert.match(lines[2]?.message ?? '', /refused POST \/ticks\//)
    assert.doesNotMatch(JSON.stringify(lines), /wrong-token/)
  })

  it('does not tell of a standby that is asked whether it leads', async () => {
    const errors: string[] = []
    server = await startServer({
      logger: { ...logger, error: (_fields, message) => errors.push(message) },
      readiness: () => ({ role: 'standby', reasons: [] }),
    })
    assert.equal((await server.request('GET', '/ready/leader')).status, 503)
    assert.deepEqual([errors, lines], [[], []])
  })
})
