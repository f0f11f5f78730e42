import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { FastifyRequest } from 'fastify'
import { createClients } from '../../../src/http/client-address.ts'
import { createOrigins, createOwnNames } from '../../../src/http/origins.ts'
import { DEVICES } from '../../helpers/memory-ledger.ts'
import { formatAuthorization } from '../../../src/protocol/request.ts'
import { signRequest } from '../../helpers/sign-now.ts'
import { bearer, startServer, type TestServer } from './harness.ts'

const PATH = '/transactions'
const PUBLIC = 'https://ledger.example.org'

/** What this server answers to bytes as they are: 200, or the code of its refusal. */
async function send(host: string, port: number, lines: readonly string[]): Promise<unknown> {
  const socket = connect(port, host)
  let text = ''
  socket.on('data', (data: Buffer) => (text += data.toString()))
  socket.end(`${lines.join('\r\n')}\r\n\r\n`)
  await once(socket, 'close')
  const [head = '', body = ''] = text.split('\r\n\r\n', 2)
  return head.startsWith('HTTP/1.1 200') ? 200 : (JSON.parse(body) as { readonly code: unknown }).code
}

describe('the origin that a signed request is for', () => {
  let server: TestServer
  afterEach(() => server.stop())
  const start = async (host = '127.0.0.1') => {
    server = await startServer({ options: { host, publicUrls: [PUBLIC] } })
  }

  interface Asked {
    readonly to: string
    /** Where the connection goes to. */
    readonly via?: string
    readonly host?: string
    readonly target?: string
    readonly version?: '1.0' | '1.1'
    readonly headers?: readonly string[]
  }
  function ask({ to, via = '127.0.0.1', headers = [], target = PATH, version = '1.1', ...asked }: Asked) {
    const { host = `${via.includes(':') ? `[${via}]` : via}:${server.port}` } = asked
    const request = { method: 'GET', path: target, timestamp: server.clock.now(), id: nextId(), to } as const
    const { key } = DEVICES['household-7.phone']
    const authorization = formatAuthorization(signRequest('household-7.phone', server.ledger.chainId, request, key))
    const lines = [`host: ${host}`, `authorization: ${authorization}`, 'connection: close', ...headers]
    return send(via, server.port, [`GET ${target} HTTP/${version}`, ...lines])
  }
  let ids = 0
  const nextId = (): string => (++ids).toString(16).padStart(32, '0')

  it('has one spelling, that of WHATWG URLs', async () => {
    await start()
    const { port } = server
    for (const to of [PUBLIC, `http://127.0.0.1:${port}`, `http://localhost:${port}`]) {
      assert.equal(await ask({ to }), 200, to)
    }
    for (const [to, code] of [
      [`${PUBLIC}:443`, 'wrong_audience'],
      [`${PUBLIC}.`, 'wrong_audience'],
      [PUBLIC.replace('https', 'http'), 'wrong_audience'],
      ['http://ledger.example.org:443', 'wrong_audience'],
      [`${PUBLIC}.evil.example`, 'wrong_audience'],
      [`http://127.0.0.1`, 'wrong_audience'],
      [`https://127.0.0.1:${port}`, 'wrong_audience'],
      [`http://0x7f.1:${port}`, 'wrong_audience'],
      [`http://[::1]:${port}`, 'wrong_audience'],
      [`http://[::ffff:127.0.0.1]:${port}`, 'wrong_audience'],
      [`http://0.0.0.0:${port}`, 'wrong_audience'],
      [PUBLIC.toUpperCase().replace('HTTPS', 'https'), 'bad_credential'],
      [`${PUBLIC}/`, 'bad_credential'],
      [`${PUBLIC}/x`, 'bad_credential'],
      [`${PUBLIC}?x`, 'bad_credential'],
      [`${PUBLIC}#x`, 'bad_credential'],
      ['https://ledger.example.org@evil.example', 'bad_credential'],
      ['https://evil.example@ledger.example.org', 'bad_credential'],
      ['ledger.example.org', 'bad_credential'],
      ['null', 'bad_credential'],
      ['', 'bad_credential'],
    ] as const) {
      assert.equal(await ask({ to }), code, to)
    }
  })

  it('is what was connected to, whatever the request says that it asks for', async () => {
    await start()
    const evil = 'evil.example'
    const own = `http://127.0.0.1:${server.port}`
    // Passed on by somebody: who asks for another name has not connected to this node by himself.
    for (const asked of [
      { host: evil },
      { headers: [`x-forwarded-host: ${evil}`, 'x-forwarded-proto: https'] },
      { headers: [`forwarded: host=${evil};proto=https`] },
      { headers: [`x-original-host: ${evil}`] },
      { version: '1.0' as const },
    ]) {
      for (const to of [own, `https://${evil}`, `http://${evil}`]) {
        assert.equal(await ask({ to, ...asked }), 'wrong_audience', JSON.stringify({ to, ...asked }))
      }
      assert.equal(await ask({ to: PUBLIC, ...asked }), 200)
    }
    // The target in its absolute form (RFC 9112, 3.2.2) is what is signed, and names no origin.
    const target = `http://${evil}${PATH}`
    assert.equal(await ask({ to: `http://${evil}`, target }), 'wrong_audience')
    assert.equal(await ask({ to: own, target }), 200)
  })

  it('has IPv6 addresses in brackets, and those of IPv4 as they are, also on a socket that takes both', async () => {
    const hasIpv6 = Object.values(networkInterfaces()).some((found) => found?.some(({ address }) => address === '::1'))
    await start(hasIpv6 ? '::' : '127.0.0.1')
    const { port } = server
    const [ipv4, ipv6, name] = [`http://127.0.0.1:${port}`, `http://[::1]:${port}`, `http://localhost:${port}`]
    const overIpv4 = [
      ['127.0.0.1', ipv4, 200],
      ['127.0.0.1', name, 200],
      ['127.0.0.1', ipv6, 'wrong_audience'],
    ] as const
    const overIpv6 = [
      ['::1', ipv6, 200],
      ['::1', name, 200],
      ['::1', ipv4, 'wrong_audience'],
      ['::1', `http://[0:0:0:0:0:0:0:1]:${port}`, 'wrong_audience'],
      ['::1', `http://[::]:${port}`, 'wrong_audience'],
    ] as const
    for (const [via, to, expected] of [...overIpv4, ...(hasIpv6 ? overIpv6 : [])]) {
      assert.equal(await ask({ via, to }), expected, `${to} over ${via}`)
    }
  })

  it('is none of its own where the connection is gone, and is as its network has it', async () => {
    await start()
    const originsOf = createOrigins({ host: 'Solar.Example', publicUrls: [PUBLIC] }, createClients())
    const over = (socket: object) =>
      originsOf({ socket, headers: {}, raw: { httpVersion: '1.1' } } as unknown as FastifyRequest)
    const remoteAddress = '192.0.2.7'
    assert.deepEqual(over({}), [PUBLIC])
    for (const [localAddress, localPort, expected] of [
      ['192.0.2.1', 8080, 'http://192.0.2.1:8080'],
      ['192.0.2.1', 80, 'http://192.0.2.1'],
      ['::ffff:192.0.2.1', 8080, 'http://192.0.2.1:8080'],
      ['fe80::1%eth0', 8080, 'http://[fe80::1]:8080'],
      ['2001:DB8:0::1', 8080, 'http://[2001:db8::1]:8080'],
    ] as const) {
      const named = `http://solar.example${localPort === 80 ? '' : `:${localPort}`}`
      assert.deepEqual(over({ remoteAddress, localAddress, localPort }), [expected, named, PUBLIC])
    }
  })
})

describe('the name that a request without a credential asks for', () => {
  const isOwn = createOwnNames(
    { host: 'Solar.Example', publicUrls: [PUBLIC, 'https://[2001:db8::1]:8443'] },
    createClients(['127.0.0.9']),
  )
  const asked = (host: string | undefined, localAddress = '127.0.0.1', remoteAddress = '127.0.0.1') =>
    isOwn({ socket: { localAddress, remoteAddress }, headers: { host } } as unknown as FastifyRequest)

  it('is one of this machine, of the settings, or none, where it comes over loopback', () => {
    for (const host of [
      'localhost:8080',
      'LOCALHOST',
      '127.0.0.1:8080',
      '127.9.9.9',
      '[::1]:8080',
      'ledger.example.org',
      'Ledger.Example.org:443',
      '[2001:db8::1]:8443',
      'solar.example:8080',
      undefined,
    ])
      assert.ok(asked(host), host)
    for (const host of ['page.example', 'localhost.page.example', '127.0.0.1.page.example:8080', 'xlocalhost', '']) {
      for (const local of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.equal(asked(host, local), false, host)
    }
  })

  it('is any where it comes from elsewhere, or from a named proxy', () => {
    assert.ok(asked('page.example', '192.0.2.1', '192.0.2.7'))
    assert.ok(asked('page.example', '127.0.0.1', '127.0.0.9'))
    assert.equal(asked('page.example', '127.0.0.1', '127.0.0.8'), false)
  })

  it('does not matter to whoever has a credential', async () => {
    const server = await startServer()
    try {
      const as = async (path: string, authorization: string | undefined) => {
        const lines = [`GET ${path} HTTP/1.1`, 'host: page.example', 'connection: close']
        const credential = authorization === undefined ? [] : [`authorization: ${authorization}`]
        return await send('127.0.0.1', server.port, [...lines, ...credential])
      }
      assert.equal(await as('/genesis', undefined), 'wrong_host')
      assert.equal(await as('/genesis', 'Bearer guessed-token-0123456789'), 'wrong_host')
      assert.equal(await as('/genesis', bearer('platform').authorization), 200)
      // Whom it is for, the signature says.
      assert.equal(await as('/transactions', server.sign('household-7.phone', '/transactions')), 'wrong_audience')
    } finally {
      await server.stop()
    }
  })
})
