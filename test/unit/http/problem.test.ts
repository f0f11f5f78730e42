import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { ledgerError } from '../../../src/ports/errors.ts'
import type { NodeRole } from '../../../src/http/routes/operations.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import { DEVICES } from '../../helpers/memory-ledger.ts'
import { signVote } from '../../helpers/sign-now.ts'
import { bearer, sealOne, startServer, type Answer, type TestServer } from './harness.ts'

/** Sends bytes and gives back all that comes until the server closes. */
async function sendRaw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk))
  socket.write(text)
  await once(socket, 'close')
  return received
}

function isProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  const { type, title, detail } = answer.json
  assert.deepEqual([answer.json.status, answer.json.code], [status, code])
  assert.equal(type, `urn:solar-node:problem:${code}`)
  assert.ok(typeof title === 'string' && typeof detail === 'string')
}

/** A rejection with anything, also with what is no error. */
const rejectWith = (error: unknown): Promise<never> => Promise.resolve().then(() => Promise.reject(error as Error))

describe('HTTP problems', () => {
  const running: TestServer[] = []
  const start = async (...args: Parameters<typeof startServer>) => {
    const server = await startServer(...args)
    running.push(server)
    return server
  }
  afterEach(async () => {
    await Promise.all(running.splice(0).map((server) => server.stop()))
  })
  const failing = (error: unknown) => ({
    wrap: (ledger: Ledger): Ledger => ({ ...ledger, latestHeaders: () => rejectWith(error) }),
  })
  const failWith = async (error: unknown, logger: Logger = silentLogger) => {
    const server = await start({ ...failing(error), logger })
    return server.request('GET', '/blocks/latest-headers/')
  }

  it('tell an unknown path from a method that the path does not take, whatever is sent', async () => {
    const server = await start()
    isProblem(await server.request('GET', '/nowhere'), 404, 'not_found')
    const text = { 'content-type': 'text/plain' }
    isProblem(await server.request('POST', '/nowhere', { headers: text, body: 'x' }), 404, 'not_found')
    isProblem(await server.request('POST', '/nowhere', { body: '{' }), 404, 'not_found')
    const wrong = await server.request('PUT', '/orders/x')
    isProblem(wrong, 405, 'method_not_allowed')
    assert.equal(wrong.headers.get('allow'), 'GET, DELETE')
    const get = await server.request('GET', '/ticks/')
    isProblem(get, 405, 'method_not_allowed')
    assert.equal(get.headers.get('allow'), 'POST')
  })

  it('refuse bodies that are not JSON by their type', async () => {
    const server = await start()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense']) {
      const headers = { ...bearer('platform'), 'content-type': type }
      isProblem(await server.request('POST', '/ticks/', { headers, body: '{}' }), 415, 'unsupported_media_type')
    }
  })

  it('answer what is not HTTP, or no path, in the same form', async () => {
    const server = await start()
    const garbage = await sendRaw(server.port, 'hello\r\n\r\n')
    assert.match(garbage, /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"code":"bad_request"/)
    const long = await sendRaw(server.port, `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`)
    assert.match(long, /^HTTP\/1\.1 431 [^]*"code":"headers_too_large"/)
    const escape = await sendRaw(server.port, 'GET /orders/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert.match(escape, /^HTTP\/1\.1 400 [^]*application\/problem\+json[^]*"code":"bad_request"/)
    const method = await sendRaw(server.port, 'PURGE /genesis HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    assert.match(method, /^HTTP\/1\.1 405 [^]*"code":"method_not_allowed"/)
  })

  it('refuse a body that is too large before it was sent', async () => {
    const server = await start()
    const { authorization } = bearer('platform')
    const head = `POST /ticks/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n`
    const length = `content-length: ${32 * 1024 * 1024 + 1}\r\n\r\n`
    const answer = await sendRaw(server.port, `${head}authorization: ${authorization!}\r\n${length}`)
    assert.match(answer, /^HTTP\/1\.1 413 [^]*"code":"body_too_large"/)
    const stranger = await sendRaw(server.port, `${head}${length}`)
    assert.match(stranger, /^HTTP\/1\.1 401 /, 'who may not send it is told so first')
  })

  it('carry the fields of the error', async () => {
    const answer = await failWith(ledgerError('fenced', { height: 3, tick_id: 't', sealed: 'ab' }))
    isProblem(answer, 409, 'fenced')
    assert.deepEqual([answer.json.height, answer.json.tick_id, answer.json.sealed], [3, 't', 'ab'])
  })

  it('say nothing about the inside of the node, and its log says it all', async () => {
    const secret = 'password=hunter2 in /var/lib/solar'
    const logged: unknown[] = []
    const logger: Logger = { ...silentLogger, error: (fields) => logged.push((fields as { error: unknown }).error) }
    const errors = [
      [new Error(secret), 500, 'internal'],
      [new TypeError(secret), 500, 'internal'],
      [{ message: secret }, 500, 'internal'],
      [ledgerError('corrupt', { place: secret, expected: 'a', found: 'b' }), 500, 'corrupt'],
      [
        ledgerError('store_failed', { store: 'sql', operation: 'x', retryable: false, reason: secret }),
        503,
        'store_failed',
      ],
      [ledgerError('peer_unreachable', { peer: 'p', reason: secret }), 503, 'peer_unreachable'],
      [Object.assign(new Error(secret), { statusCode: 502, code: 'FST_ERR_X' }), 500, 'internal'],
    ] as const
    for (const [error, status, code] of errors) {
      const answer = await failWith(error, logger)
      isProblem(answer, status, code)
      assert.ok(!answer.text.includes('hunter2'), answer.text)
    }
    assert.deepEqual(
      logged,
      errors.map(([error]) => error),
    )
  })

  it('say when to try again where that can help', async () => {
    const store = { store: 'sql', operation: 'commit', reason: 'busy' } as const
    const retry = async (error: unknown) => (await failWith(error)).headers.get('retry-after')
    assert.equal(await retry(ledgerError('store_failed', { ...store, retryable: true })), '1')
    assert.equal(await retry(ledgerError('store_failed', { ...store, retryable: false })), null)
    assert.equal(await retry(ledgerError('not_ready', { reason: 'recovering' })), '5')
    assert.equal(await retry(ledgerError('fenced', { height: 1, tick_id: 't', sealed: 'x' })), null)
  })

  it('/ready gives its reasons', async () => {
    const reasons: string[] = ['SQL is recovering', 'libp2p does not listen']
    const server = await start({ readiness: () => ({ role: 'leader', reasons }) })
    const answer = await server.request('GET', '/ready')
    isProblem(answer, 503, 'not_ready')
    assert.deepEqual(answer.json.reasons, reasons)
    assert.equal((await server.request('GET', '/health')).status, 200)
    reasons.length = 0
    assert.equal((await server.request('GET', '/ready')).status, 200)
  })

  it('/ready tells a stranger that it is not, and no more of why', async () => {
    const server = await start({ readiness: () => ({ role: 'leader', reasons: ['cannot open /srv/solar/ledger.db'] }) })
    const passedOn = { 'x-forwarded-for': '203.0.113.7' }
    for (const path of ['/ready', '/ready/leader']) {
      const stranger = await server.request('GET', path, { headers: passedOn })
      assert.equal(stranger.status, 503)
      assert.doesNotMatch(JSON.stringify(stranger.json), /srv|ledger\.db/)
      const auditor = await server.request('GET', path, { headers: { ...passedOn, ...bearer('auditor') } })
      assert.match(JSON.stringify(auditor.json.reasons), /srv/)
    }
  })

  it('quotes at most 200 characters of what came in, in answers and in the log', async () => {
    const logged: unknown[] = []
    const keep = (...line: unknown[]): void => void logged.push(line)
    const server = await start({ logger: { debug: keep, info: keep, warn: keep, error: keep } })
    const long = 'Z'.repeat(15_000)
    const asked: [string, string, object?][] = [
      ['GET', `/${long}`],
      ['GET', `/blocks/${long}`],
      ['GET', `/blocks/${'Z'.repeat(900)}`],
      ['GET', `/blocks/latest-headers/?${long}=1`],
      ['GET', `/blocks/latest-headers/?n=${long}`],
      ['GET', `/%E0%A4${long}`],
      ['POST', '/ticks/', { [long]: 1 }],
      ['POST', '/ticks/', { tick_id: long, timestamp: 1, transactions: [] }],
      ['POST', '/ticks/', { tick_id: 'a', timestamp: 1, transactions: [{ [long]: long }] }],
      ['POST', '/orders/', { [`\u0000${long}`]: long }],
      ['POST', '/orders/', { order_id: '\u0007'.repeat(15_000) }],
      ['DELETE', `/ticks/?${long}`],
    ]
    for (const [method, path, body] of asked) {
      const answer = await server.request(method, path, {
        headers: bearer('platform'),
        ...(body !== undefined && { body }),
      })
      assert.ok(answer.status >= 400, `${method} ${path.slice(0, 40)}`)
      assert.doesNotMatch(JSON.stringify(answer.json), /Z{201}|(\\u0007){40}/, `${method} ${path.slice(0, 40)}`)
    }
    assert.ok(logged.length > 0)
    assert.doesNotMatch(JSON.stringify(logged), /Z{201}/)
  })

  it('/ready says who leads, and /ready/leader is answered by the leader alone', async () => {
    let role: NodeRole = 'leader'
    const server = await start({ readiness: () => ({ role, reasons: [] }) })
    const asked = async (path: string) => {
      const { status, json } = await server.request('GET', path)
      return [status, json.role]
    }
    assert.deepEqual(
      [await asked('/ready'), await asked('/ready/leader')],
      [
        [200, 'leader'],
        [200, 'leader'],
      ],
    )
    role = 'standby'
    assert.deepEqual(await asked('/ready'), [200, 'standby'])
    const answer = await server.request('GET', '/ready/leader')
    isProblem(answer, 503, 'not_leading')
    assert.deepEqual([answer.json.role, answer.headers.get('retry-after')], ['standby', '1'])
  })

  describe('of limits', () => {
    const statuses = async (count: number, send: () => Promise<Answer>) => {
      const answers = await Promise.all(Array.from({ length: count }, send))
      return { answers, refused: answers.filter(({ status }) => status === 429) }
    }

    it('hold an address back that asks too much, on every path, with the time to wait', async () => {
      const fromPage = { headers: { origin: 'https://app.example.org' } }
      const server = await start({ options: { rateLimitPerSecond: 20, corsOrigins: ['https://app.example.org'] } })
      const { answers, refused } = await statuses(60, () => server.request('GET', '/genesis', fromPage))
      // The window may turn once while the 60 are sent.
      assert.ok(refused.length >= 20 && refused.length <= 40, `${refused.length} refused`)
      assert.ok(answers.some(({ status }) => status === 200))
      for (const answer of refused) {
        isProblem(answer, 429, 'too_many_requests')
        assert.equal(answer.headers.get('retry-after'), '1')
        assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example.org')
      }
      const elsewhere = await statuses(60, () => server.request('GET', '/nowhere'))
      assert.ok(elsewhere.refused.length >= 20)
    })

    it('let 200 requests a second of one address through by default', async () => {
      const server = await start({ options: { rateLimitPerSecond: undefined } })
      const { refused } = await statuses(200, () => server.request('GET', '/health'))
      assert.equal(refused.length, 0)
    })

    it('do not hold valid role tokens back, but guesses', async () => {
      const server = await start({ options: { rateLimitPerSecond: 5 } })
      const good = await statuses(40, () => server.request('GET', '/genesis', { headers: bearer('auditor') }))
      assert.equal(good.refused.length, 0)
      const authorization = 'Bearer guessed-token-0123456789'
      const guesses = await statuses(40, () => server.request('GET', '/transactions', { headers: { authorization } }))
      assert.ok(guesses.refused.length >= 25)
    })

    it('hold a key back that signs too much', async () => {
      const server = await start()
      const send = (device: keyof typeof DEVICES) =>
        server.request('GET', '/transactions', { headers: { authorization: server.sign(device, '/transactions') } })
      let refused: Answer | undefined
      for (let i = 0; i < 300 && refused === undefined; i++) {
        const answer = await send('household-7.phone')
        if (answer.status !== 200) refused = answer
      }
      assert.ok(refused !== undefined)
      isProblem(refused, 429, 'too_many_requests')
      assert.equal((await send('household-9.phone')).status, 200, 'another key is not held back')
    })

    it('are not used up by forged votes in the name of a voter', async () => {
      const server = await start()
      const { blockHash } = await sealOne(server)
      const path = `/blocks/${blockHash}/vote/`
      const body = { chain_id: server.ledger.chainId, header_hash: blockHash, height: 0, decision: 'ack' } as const
      const vote = signVote({ ...body, voter_id: 'household-7.phone' }, DEVICES['household-7.phone'].key)
      const forged = { ...vote, signature: vote.signature.replace(/^../, 'ff') }
      let sent = 0
      const from = () => ({ 'x-forwarded-for': `198.51.100.${++sent}` })
      const { answers } = await statuses(100, () => server.request('POST', path, { body: forged, headers: from() }))
      assert.ok(answers.every(({ status }) => status === 401))
      assert.equal((await server.request('POST', path, { body: vote })).status, 202)
    })
  })
})
