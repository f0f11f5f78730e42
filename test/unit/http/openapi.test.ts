import assert from 'node:assert/strict'
import { createEnrolQuotas } from '../../../src/http/enrol-quotas.ts'
import fc from 'fast-check'
import { defineCall, type Call } from '../../../src/http/call.ts'
import { createEventStream } from '../../../src/http/event-stream.ts'
import { createMetrics } from '../../../src/http/metrics.ts'
import { membershipCall } from '../../../src/http/routes/membership.ts'
import { openApiDocument } from '../../../src/http/openapi.ts'
import { blockCalls } from '../../../src/http/routes/blocks.ts'
import { checkpointCalls } from '../../../src/http/routes/checkpoint.ts'
import { evidenceCalls } from '../../../src/http/routes/evidence.ts'
import { eventCalls } from '../../../src/http/routes/events.ts'
import { leaderCall, operationCalls } from '../../../src/http/routes/operations.ts'
import { orderCalls } from '../../../src/http/routes/orders.ts'
import { redactionCalls } from '../../../src/http/routes/redactions.ts'
import { registryCalls } from '../../../src/http/routes/registry.ts'
import { tickCalls } from '../../../src/http/routes/ticks.ts'
import { proofCall, transactionCalls } from '../../../src/http/routes/transactions.ts'
import { userCalls } from '../../../src/http/routes/users.ts'
import type { Schema } from '../../../src/http/schema.ts'
import {
  decimal,
  decimalIn,
  hash,
  id,
  idIn,
  reason,
  signature,
  signedDecimal,
  signedDecimalIn,
} from '../../../src/http/schemas.ts'
import { createMemoryLedger, DEVICES } from '../../helpers/memory-ledger.ts'
import { signVote } from '../../helpers/sign-now.ts'
import {
  bearer,
  change,
  createTestClock,
  freshKey,
  ORDER,
  sealOne,
  startServer,
  tick,
  TRADE,
  type TestServer,
} from './harness.ts'

function everyCall(): readonly Call[] {
  const ledger = createMemoryLedger()
  const metrics = createMetrics()
  const key = { within: async <T>(_request: unknown, _key: string, work: () => T | Promise<T>) => work() }
  const signatures = { checked: async <T>(_request: unknown, check: () => T | Promise<T>) => check() }
  const limits = { key, subject: key, signatures }
  const node = () => ({ mode: 'authority' as const, chain_id: '', peer_id: '', multiaddrs: [], version: '' })
  const redactor = { redact: () => Promise.resolve([]), redactions: () => Promise.resolve([]) }
  const readiness = () => ({ role: 'leader', reasons: [] }) as const
  return [
    ...blockCalls(ledger, metrics, limits),
    ...tickCalls(ledger),
    ...orderCalls(ledger, limits),
    proofCall(ledger, { redactions: () => Promise.resolve([]) }),
    ...transactionCalls(ledger),
    proofCall(ledger, redactor),
    ...checkpointCalls(ledger),
    ...evidenceCalls(ledger),
    ...redactionCalls(redactor),
    ...registryCalls(ledger, limits, createEnrolQuotas(createTestClock())),
    ...eventCalls(createEventStream(ledger, createTestClock())),
    ...userCalls(ledger),
    membershipCall(ledger),
    ...operationCalls({ node, readiness, metrics }),
    leaderCall(readiness),
  ]
}

/** What a query string makes of example values. */
const asText = (example: unknown) =>
  Object.fromEntries(Object.entries(example as object).map(([name, value]) => [name, String(value)]))

describe('API document', () => {
  const calls = everyCall()
  const document = openApiDocument(calls, '1.2.3') as unknown as {
    openapi: string
    paths: Record<
      string,
      Record<string, { description: string; tags: string[]; security: object[]; responses: object }>
    >
    components: { schemas: Record<string, unknown> }
  }

  it('has every call of the protocol that this node answers', () => {
    const listed = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    )
    assert.deepEqual(listed.sort(), [
      'DELETE /orders/{order_id}',
      'GET /blocks/headers/',
      'GET /blocks/latest-headers/',
      'GET /blocks/{block_hash}',
      'GET /blocks/{block_hash}/merkle-proof/',
      'GET /blocks/{block_hash}/status/',
      'GET /blocks/{block_hash}/votes/',
      'GET /checkpoint',
      'GET /events',
      'GET /evidence',
      'GET /genesis',
      'GET /health',
      'GET /history/consistency',
      'GET /history/inclusion',
      'GET /membership',
      'GET /metrics',
      'GET /node',
      'GET /orders/{order_id}',
      'GET /ready',
      'GET /ready/leader',
      'GET /redactions',
      'GET /registry',
      'GET /registry/changes',
      'GET /transactions',
      'GET /transactions/proof',
      'GET /transactions/{id}/receipt',
      'GET /users/{user_id}/pseudonym',
      'GET /users/{user_id}/recipients',
      'POST /blocks/propose/',
      'POST /blocks/{header_hash}/vote/',
      'POST /orders/',
      'POST /registry/',
      'POST /ticks/',
      'POST /ticks/run/',
      'POST /transactions/{id}/redact',
    ])
  })

  for (const call of calls) {
    it(`${call.method} ${call.path} has examples that its own rules accept`, () => {
      const accepts = (schema: Schema<unknown>, example: unknown) =>
        assert.deepEqual(schema.shape(JSON.parse(JSON.stringify(example)), 'example'), example)
      if (call.params !== undefined) accepts(call.params, call.params.example)
      if (call.body !== undefined) accepts(call.body, call.body.example)
      accepts(call.answer, call.answer.example)
      if (call.query === undefined) return
      assert.deepEqual(call.query.shape(asText(call.query.example), 'query'), call.query.example)
    })
  }

  it('puts every call into one group', () => {
    for (const methods of Object.values(document.paths)) {
      for (const { tags } of Object.values(methods)) assert.equal(tags.length, 1)
    }
  })

  it('refers only to what it holds', () => {
    for (const [, name] of JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)) {
      assert.ok(name !== undefined && name in document.components.schemas, name)
    }
  })

  it('says who may call', () => {
    assert.match(document.paths['/ticks/']!.post!.description, /^Who: a token of the role platform\.\n/)
    assert.deepEqual(document.paths['/ticks/']!.post!.security, [{ token: [] }])
    assert.deepEqual(document.paths['/transactions']!.get!.security, [{ device: [] }, { user: [] }, { token: [] }])
    assert.deepEqual(document.paths['/genesis']!.get!.security, [{}])
    assert.match(document.paths['/registry/']!.post!.description, /^Who: the holder of the key that signs the body; /)
    assert.deepEqual(document.paths['/registry/']!.post!.security, [{}, { token: [] }])
  })

  describe('gives patterns that accept exactly the strings that are accepted', () => {
    const leaves: readonly (readonly [string, Schema<string>, string])[] = [
      ['hash', hash, '0123456789abcdefAG'],
      ['signature', signature, '0123456789abcdefAG'],
      ['id', id('x'), 'aZ09._:@+- \n/é'],
      ['id that comes in', idIn('x'), 'aZ09._:@+- \n/é'],
      ['decimal', decimal('1'), '0123456789.-e'],
      ['signed decimal', signedDecimal('1'), '0123456789.-e'],
      ['reason', reason, 'a ~\u007f\n'],
    ]
    for (const [name, { shape, json }, alphabet] of leaves) {
      it(name, () => {
        const [text] = (json.anyOf ?? [json]) as [{ pattern: string }]
        const pattern = new RegExp(text.pattern)
        const strings = fc.string({ unit: fc.constantFrom(...Array.from(alphabet)), maxLength: 130 })
        const exact = fc.constantFrom(32, 64, 65, 128, 200, 201).map((length) => alphabet[0]!.repeat(length))
        fc.assert(
          fc.property(fc.oneof(strings, exact), (value) => {
            let accepted = true
            try {
              shape(value, 'value')
            } catch {
              accepted = false
            }
            assert.equal(pattern.test(value), accepted, JSON.stringify(value))
          }),
          { numRuns: 1_000 },
        )
      })
    }
  })

  it('gives patterns of decimals in any spelling that leave out none that is taken', () => {
    for (const { shape, json } of [decimalIn('1'), signedDecimalIn('1')]) {
      const [{ pattern }] = json.anyOf as [{ pattern: string }]
      const decimals = fc.stringMatching(/^[+-]?[0-9]{0,9}\.?[0-9]{0,9}([eE][+-]?[0-9]{1,2})?$/)
      fc.assert(
        fc.property(decimals, (value) => {
          try {
            shape(value, 'value')
          } catch {
            return
          }
          assert.match(value, new RegExp(pattern))
        }),
      )
    }
  })

  it('closes the types of a call in: its handler gets what passed its schemas', async () => {
    const call = defineCall({ ...calls[0]!, answer: hash, handle: ({ body }) => ({ status: 200, body: String(body) }) })
    const context = { caller: { kind: 'anyone' } } as unknown as Parameters<typeof call.run>[0]
    assert.deepEqual(await call.run({ ...context, body: 'never looked at' }), { status: 200, body: 'undefined' })
  })

  describe('over HTTP', () => {
    let server: TestServer
    before(async () => {
      server = await startServer()
    })
    after(() => server.stop())

    it('is shown by a page that loads nothing from elsewhere', async () => {
      for (const path of ['/docs', '/docs/']) {
        const page = await server.request('GET', path)
        assert.equal(page.status, 200)
        const policy = page.headers.get('content-security-policy') ?? ''
        assert.match(policy, /default-src 'self'/)
        assert.doesNotMatch(policy, /upgrade-insecure-requests|https:|swagger\.io/)
        const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!)
        assert.ok(links.length >= 4)
        for (const link of links) {
          const target = new URL(link, `${server.url}${path}`)
          assert.equal(target.origin, server.url)
          assert.equal((await fetch(target)).status, 200, link)
        }
      }
    })

    it('is served as JSON and YAML', async () => {
      const { json } = await server.request('GET', '/docs/json')
      assert.equal(json.openapi, '3.1.0')
      assert.deepEqual(Object.keys(json.paths as object).sort(), Object.keys(document.paths).sort())
      assert.match((await server.request('GET', '/docs/yaml')).text, /^openapi: 3\.1\.0/)
    })

    it('is kept: every answer is as it describes', async () => {
      const { blockHash, txHash } = await sealOne(server)
      const voter = {
        chain_id: server.ledger.chainId,
        header_hash: blockHash,
        height: 0,
        voter_id: 'household-7.phone',
      }
      const vote = signVote({ ...voter, decision: 'ack' }, DEVICES['household-7.phone'].key)
      const phone = freshKey()
      const enrolment = change(server.ledger, phone, {
        action: 'enrol',
        subject_id: 'household-8.phone',
        role: 'voter',
        public_key: phone.publicKey,
      })
      const requests: Record<string, readonly [string, object?]> = {
        'GET /genesis': ['/genesis'],
        'GET /node': ['/node'],
        'GET /blocks/latest-headers/': ['/blocks/latest-headers/'],
        'GET /blocks/headers/': ['/blocks/headers/?from_height=0&count=2'],
        'GET /transactions/proof': [`/transactions/proof?tx_hash=${txHash}&at_height=0`],
        'GET /registry/changes': ['/registry/changes'],
        'POST /blocks/{header_hash}/vote/': [`/blocks/${blockHash}/vote/`, vote],
        'GET /blocks/{block_hash}': [`/blocks/${blockHash}`],
        'GET /blocks/{block_hash}/merkle-proof/': [`/blocks/${blockHash}/merkle-proof/?tx_hash=${txHash}`],
        'GET /blocks/{block_hash}/status/': [`/blocks/${blockHash}/status/`],
        'GET /blocks/{block_hash}/votes/': [`/blocks/${blockHash}/votes/`],
        'GET /history/inclusion': ['/history/inclusion?height=0&size=1'],
        'GET /history/consistency': ['/history/consistency?from=1&to=1'],
        'POST /ticks/': ['/ticks/', tick('described', { ...TRADE, id: 'described' })],
        'POST /orders/': ['/orders/', ORDER],
        'GET /orders/{order_id}': ['/orders/order-1'],
        'DELETE /orders/{order_id}': ['/orders/order-1'],
        'GET /transactions': ['/transactions'],
        'GET /users/{user_id}/pseudonym': ['/users/household-7/pseudonym'],
        'GET /users/{user_id}/recipients': ['/users/household-7/recipients'],
        'POST /registry/': ['/registry/', { transaction: enrolment, user_id: 'household-8' }],
        'GET /registry': ['/registry?at_height=0'],
        'GET /health': ['/health'],
        'GET /ready': ['/ready'],
        'GET /ready/leader': ['/ready/leader'],
      }
      for (const call of calls) {
        const [path, body] = requests[`${call.method} ${call.path}`] ?? []
        if (path === undefined) continue
        const answer = await server.request(call.method, path, { headers: bearer('platform'), body })
        assert.ok(String(answer.status) in call.statuses, `${path}: ${answer.status} ${answer.text}`)
        assert.deepEqual(call.answer.shape(answer.json, path), answer.json)
      }
      const ran = await server.request('POST', '/ticks/run/', { headers: bearer('operator') })
      const run = calls.find(({ path }) => path === '/ticks/run/')!
      assert.deepEqual(run.answer.shape(ran.json, 'run'), ran.json)
    })
  })
})
