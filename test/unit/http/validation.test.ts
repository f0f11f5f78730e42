import assert from 'node:assert/strict'
import type { PlatformTick } from '../../../src/ports/ledger.ts'
import type { Order } from '../../../src/protocol/order.ts'
import { bearer, NOW, ORDER, sealOne, startServer, tick, TRADE, type TestServer } from './harness.ts'

const CORRECTION = {
  kind: 'correction',
  id: 'correction-1',
  corrects: 'trade-1',
  kwh_delta: '-0.25',
  amount_delta: '-0.05',
  reason: 'late reading',
  timestamp: NOW - 1000,
}

describe('HTTP input', () => {
  let server: TestServer
  let blockHash: string
  const ticks: PlatformTick[] = []
  const orders: Order[] = []

  before(async () => {
    server = await startServer({
      wrap: (ledger) => ({
        ...ledger,
        acceptTick: (accepted) => (ticks.push(accepted), ledger.acceptTick(accepted)),
        placeOrder: (order) => (orders.push(order), ledger.placeOrder(order)),
      }),
    })
    ;({ blockHash } = await sealOne(server))
  })
  after(() => server.stop())

  const postTick = (body: unknown) => server.request('POST', '/ticks/', { headers: bearer('platform'), body })
  const postOrder = (body: unknown) => server.request('POST', '/orders/', { headers: bearer('platform'), body })
  const isMalformed = (answer: { status: number; json: Record<string, unknown> }, path: string) =>
    assert.deepEqual(
      [answer.status, answer.json.code, answer.json.path],
      [400, 'malformed', path],
      JSON.stringify(answer),
    )

  describe('of ticks', () => {
    const badRows: readonly (readonly [string, object, string])[] = [
      ['negative kWh', { ...TRADE, kwh: '-1' }, 'kwh'],
      ['a negative number of kWh', { ...TRADE, kwh: -1 }, 'kwh'],
      ['a decimal comma', { ...TRADE, kwh: '1,5' }, 'kwh'],
      ['a seventh decimal as text', { ...TRADE, kwh: '1.2500001' }, 'kwh'],
      ['a quantity of thousands of digits', { ...TRADE, kwh: `1.25${'0'.repeat(5_000)}` }, 'kwh'],
      ['a time in seconds', { ...TRADE, timestamp: Math.floor(NOW / 1000) }, 'timestamp'],
      ['a seventh decimal', { ...TRADE, kwh: 0.1234567 }, 'kwh'],
      ['a number that is a fraction of a micro-unit', { ...TRADE, price_per_kwh: 0.1 + 0.2 }, 'price_per_kwh'],
      ['an exponent beyond all quantities', { ...TRADE, total_amount: '1e13' }, 'total_amount'],
      ['a quantity that is a boolean', { ...TRADE, kwh: true }, 'kwh'],
      ['a quantity that is null', { ...TRADE, kwh: null }, 'kwh'],
      ['an unknown field', { ...TRADE, note: 'x' }, 'note'],
      ['a nonce, which is the node’s to add', { ...TRADE, nonce: '0'.repeat(32) }, 'nonce'],
      ['a tick_id in a row', { ...TRADE, tick_id: 'x' }, 'tick_id'],
      ['__proto__', JSON.parse('{"__proto__": {"a": 1}}') as object, '__proto__'],
      ['an unknown kind', { ...TRADE, kind: 'gift' }, 'kind'],
      ['the kind null', { ...TRADE, kind: null }, 'kind'],
      ['an id with a space', { ...TRADE, id: 'a b' }, 'id'],
      ['an id of 65 characters', { ...TRADE, id: 'x'.repeat(65) }, 'id'],
      ['an empty id', { ...TRADE, from_user_id: '' }, 'from_user_id'],
      ['an id that is a fraction', { ...TRADE, to_user_id: 1.5 }, 'to_user_id'],
      ['a time as text', { ...TRADE, timestamp: String(NOW) }, 'timestamp'],
      ['a time with a fraction', { ...TRADE, timestamp: NOW + 0.5 }, 'timestamp'],
      ['a time before 1970', { ...TRADE, timestamp: -1 }, 'timestamp'],
      ['no id', { ...TRADE, id: undefined }, 'id'],
      ['a correction without a reason', { ...CORRECTION, reason: '' }, 'reason'],
      ['a correction with a field of a trade', { ...CORRECTION, kwh: '1' }, 'kwh'],
      ['a correction by a fraction of a micro-unit', { ...CORRECTION, kwh_delta: '-1e-7' }, 'kwh_delta'],
    ]
    for (const [what, row, field] of badRows) {
      it(`with ${what} are refused with the path of what is wrong`, async () => {
        isMalformed(await postTick(tick('bad', TRADE, row)), `body.transactions[1].${field}`)
      })
    }

    it('that are no JSON are refused, NaN among them', async () => {
      for (const text of ['{', 'NaN', '{"tick_id": NaN}', "{'a': 1}", '{"timestamp": Infinity}', '\u0000']) {
        isMalformed(await postTick(text), 'body')
      }
    })

    it('with a field that is there twice are refused, in whatever spelling: programs differ in which one they take', async () => {
      const once = JSON.stringify(tick('twice', TRADE))
      const twice = ['"kwh":"9"', '"kwh" : "9"', '"k\\u0077h":"9"'].map((field) =>
        once.replace('"kwh":', `${field},"kwh":`),
      )
      for (const text of [...twice, once.replace('{', '{"tick_id":"other",')]) {
        const answer = await postTick(text)
        isMalformed(answer, 'body')
        assert.match(String(answer.json.detail), /each field once/)
      }
    })

    it('with a number beyond what JSON numbers hold are refused', async () => {
      const text = JSON.stringify(tick('huge', TRADE)).replace('"1.25"', '1e999')
      isMalformed(await postTick(text), 'body.transactions[0].kwh')
    })

    it('that are another JSON value, or nothing, are refused', async () => {
      for (const text of ['[]', 'null', '1', '"x"', ' ']) isMalformed(await postTick(text), 'body')
      isMalformed(await postTick(undefined), 'body')
      isMalformed(await postTick({ ...tick('x'), transactions: {} }), 'body.transactions')
      isMalformed(await postTick({ ...tick('x'), extra: 1 }), 'body.extra')
    })

    it('take numbers that convert exactly, integers as ids, and UUIDs in either case', async () => {
      const uuid = '3F2504E0-4F89-11D3-9A0C-0305E82C3301'
      const row = { ...TRADE, id: 42, from_user_id: uuid, kwh: 1.25, price_per_kwh: 0.2, total_amount: 0.25 }
      const answer = await postTick({ ...tick('7', row), tick_id: 7 })
      assert.equal(answer.status, 200, answer.text)
      assert.deepEqual(ticks.at(-1), {
        tick_id: '7',
        timestamp: NOW - 500,
        transactions: [{ ...TRADE, kind: 'trade', id: '42', from_user_id: uuid.toLowerCase() }],
      })
    })

    it('are the same tick in whatever exact spelling their quantities come', async () => {
      const plain = await postTick(tick('spelled', { ...TRADE, id: 'spelled-1' }))
      assert.equal(plain.status, 200, plain.text)
      for (const [kwh, price_per_kwh, total_amount] of [
        ['1.250000', '0.20', '+0.25'],
        ['125E-2', '.2', '0000.250'],
        [1.25, 0.2, '2.5e-1'],
      ]) {
        const again = await postTick(tick('spelled', { ...TRADE, id: 'spelled-1', kwh, price_per_kwh, total_amount }))
        assert.deepEqual([again.status, again.json], [200, plain.json])
      }
      const accepted = ticks.slice(-4).map(({ transactions }) => transactions)
      assert.ok(accepted.every((rows) => JSON.stringify(rows) === JSON.stringify(accepted[0])))
    })

    it('write corrections in the one spelling, a negative zero as 0', async () => {
      await postTick(tick('respelled', { ...CORRECTION, kwh_delta: '-0.000', amount_delta: '-5.000E-2' }))
      assert.deepEqual(ticks.at(-1)?.transactions, [{ ...CORRECTION, kwh_delta: '0', amount_delta: '-0.05' }])
    })

    it('take trades that are older than the chain, back to 2001', async () => {
      const old = Date.UTC(2001, 0, 1)
      const answer = await postTick({ ...tick('old', { ...TRADE, id: 'old-1', timestamp: old }), timestamp: old })
      assert.equal(answer.status, 200, answer.text)
    })

    it('name amount_decimals where a total misses by rounding', async () => {
      const rounded = { ...TRADE, kwh: '0.75', price_per_kwh: '0.18', total_amount: '0.14' }
      const { status, json } = await postTick(tick('rounded', rounded))
      assert.deepEqual([status, json.expected, json.amount_decimals, json.rounded_to], [422, '0.135', 6, 2])
      assert.match(String(json.detail), /amount_decimals of this chain is 6/)
    })

    it('are read with a byte order mark, and refused compressed, with the coding that is taken', async () => {
      const text = JSON.stringify(tick('marked', { ...TRADE, id: 'marked-1' }))
      assert.equal((await postTick(`\ufeff${text}`)).status, 200)
      const headers = { ...bearer('platform'), 'content-encoding': 'gzip' }
      const refused = await server.request('POST', '/ticks/', { headers, body: text })
      assert.deepEqual([refused.status, refused.json.code], [415, 'unsupported_encoding'])
      assert.equal(refused.headers.get('accept-encoding'), 'identity')
    })

    it('pass corrections on as they are', async () => {
      await postTick(tick('corrections', { ...CORRECTION, kwh_delta: -0.25 }))
      assert.deepEqual(ticks.at(-1)?.transactions, [CORRECTION])
    })

    it('without transactions answer with height null', async () => {
      const answer = await postTick(tick('empty'))
      assert.deepEqual([answer.status, answer.json.height, answer.json.transactions], [200, null, []])
    })

    it('with other content under the same tick_id are a conflict, with the same content the same answer', async () => {
      const first = await postTick(tick('again', { ...TRADE, id: 'again-1' }))
      const second = await postTick(tick('again', { ...TRADE, id: 'again-1' }))
      assert.deepEqual(second.json, first.json)
      const other = await postTick(tick('again', { ...TRADE, id: 'again-2' }))
      assert.deepEqual([other.status, other.json.code, other.json.tick_id], [409, 'tick_conflict', 'again'])
    })

    it('with a wrong total are unprocessable, and say what the total should be', async () => {
      const { status, json } = await postTick(tick('sum', { ...TRADE, total_amount: '0.26' }))
      assert.deepEqual([status, json.code, json.expected], [422, 'wrong_total', '0.25'])
    })

    it('of more than 100,000 rows are too large, before any row is looked at', async () => {
      const { status, json } = await postTick({ ...tick('large'), transactions: new Array(100_001).fill({}) })
      assert.deepEqual([status, json.code, json.count, json.limit], [413, 'tick_too_large', 100_001, 100_000])
    })

    it('may be larger than other bodies', async () => {
      const rows = Array.from({ length: 1_000 }, (_, i) => ({ ...TRADE, id: `many-${i}` }))
      const body = tick('many', ...rows)
      assert.ok(JSON.stringify(body).length > 64 * 1024)
      assert.equal((await postTick(body)).status, 200)
    })
  })

  describe('of orders', () => {
    for (const [what, change, path] of [
      ['negative kWh', { kwh: '-1' }, 'kwh'],
      ['a number as side', { side: 1 }, 'side'],
      ['an unknown side', { side: 'give' }, 'side'],
      ['a signature that is too short', { signature: 'ab' }, 'signature'],
      ['a signature in capitals', { signature: 'AB'.repeat(64) }, 'signature'],
      ['an unknown field', { price: '1' }, 'price'],
      ['valid_until null', { valid_until: null }, 'valid_until'],
    ] as const) {
      it(`with ${what} are refused`, async () => isMalformed(await postOrder({ ...ORDER, ...change }), `body.${path}`))
    }

    it('take numbers and integers', async () => {
      const answer = await postOrder({ ...ORDER, order_id: 5, kwh: 1.5, price_per_kwh: 1 })
      assert.equal(answer.status, 201, answer.text)
      assert.deepEqual(orders.at(-1), { ...ORDER, order_id: '5', price_per_kwh: '1' })
    })

    it('larger than 64 KiB are refused', async () => {
      const { status, json } = await postOrder({ ...ORDER, user_id: 'x'.repeat(65 * 1024) })
      assert.deepEqual([status, json.code, json.limit_bytes], [413, 'body_too_large', 64 * 1024])
    })
  })

  describe('of votes', () => {
    it('is the strict shape: no edge spelling of an id', async () => {
      const body = {
        chain_id: server.ledger.chainId,
        header_hash: blockHash,
        height: 0,
        voter_id: 7,
        decision: 'ack',
        signature: '0'.repeat(128),
      }
      isMalformed(await server.request('POST', `/blocks/${blockHash}/vote/`, { body }), 'body.voter_id')
      const text = JSON.stringify({ ...body, voter_id: 'x' }).replace('"height":0', '"height":-0')
      isMalformed(await server.request('POST', `/blocks/${blockHash}/vote/`, { body: text }), 'body.height')
    })
  })

  describe('of paths and queries', () => {
    const get = (path: string) => server.request('GET', path, { headers: bearer('platform') })

    for (const n of ['0', '101', '-1', '1.5', 'five', '', '05', '1e1', '1&n=2']) {
      it(`n=${n} is refused`, async () => isMalformed(await get(`/blocks/latest-headers/?n=${n}`), 'query.n'))
    }

    it('n is from 1 to 100, 5 if absent', async () => {
      for (let i = 0; i < 6; i++) await sealOne(server, `extra-${i}`)
      const count = async (query: string) =>
        ((await get(`/blocks/latest-headers/${query}`)).json.headers as unknown[]).length
      assert.equal(await count('?n=1'), 1)
      assert.equal(await count(''), 5)
      assert.ok((await count('?n=100')) > 6)
    })

    it('an unknown parameter is refused', async () => {
      isMalformed(await get('/blocks/latest-headers/?count=5'), 'query.count')
    })

    const hashes = ['abc', 'g'.repeat(64), 'A'.repeat(64), '0'.repeat(63), '0'.repeat(65), '0'.repeat(900), '..%2f']
    for (const path of ['', '/status/', '/votes/', '/merkle-proof/?tx_id=x']) {
      it(`/blocks/{hash}${path} refuses what is no hash, and knows what it does not have`, async () => {
        for (const hash of hashes) isMalformed(await get(`/blocks/${hash}${path}`), 'path.block_hash')
        const unknown = await get(`/blocks/${'0'.repeat(64)}${path}`)
        assert.deepEqual([unknown.status, unknown.json.code], [404, 'unknown_block'])
      })
    }

    it('a proof is asked for by tx_hash or by tx_id, one of them', async () => {
      const proof = `/blocks/${blockHash}/merkle-proof/`
      isMalformed(await get(proof), 'query')
      isMalformed(await get(`${proof}?tx_id=trade-1&tx_hash=${'0'.repeat(64)}`), 'query')
      isMalformed(await get(`${proof}?tx_hash=zz`), 'query.tx_hash')
      const unknown = await get(`${proof}?tx_id=other`)
      assert.deepEqual([unknown.status, unknown.json.code], [404, 'unknown_transaction'])
    })

    it('an order that is not there is 404, an impossible id 400', async () => {
      assert.equal((await get('/orders/nobody')).json.code, 'unknown_order')
      isMalformed(await get('/orders/a%20b'), 'path.order_id')
    })

    it('a history that is not there yet is out of range', async () => {
      const answer = await get('/history/inclusion?height=0&size=99999')
      assert.deepEqual([answer.status, answer.json.code], [422, 'out_of_range'])
      isMalformed(await get('/history/inclusion?height=0'), 'query.size')
      isMalformed(await get('/history/consistency?from=0&to=1'), 'query.from')
    })

    it('transactions are paged by time', async () => {
      const first = await get('/transactions?limit=2&from=0')
      const rows = first.json.transactions as { id: string; height: number; block_hash: string }[]
      assert.deepEqual([rows.length, rows[0]?.id, rows[0]?.height, rows[0]?.block_hash], [2, 'trade-1', 0, blockHash])
      const second = await get(`/transactions?limit=2&after=${String(first.json.next)}`)
      assert.notDeepEqual(second.json.transactions, rows)
      isMalformed(await get('/transactions?limit=1001'), 'query.limit')
      isMalformed(await get('/transactions?from=yesterday'), 'query.from')
    })
  })

  it('a call that may come without a body takes an empty one, an empty object, and nothing else', async () => {
    const post = (path: string, body?: unknown) => server.request('POST', path, { headers: bearer('operator'), body })
    for (const body of [undefined, '', {}]) {
      assert.equal((await post('/blocks/propose/', body)).status, 204)
      assert.equal((await post('/ticks/run/', body)).status, 200)
    }
    isMalformed(await post('/blocks/propose/', { tick_id: 'x' }), 'body.tick_id')
    isMalformed(await post('/ticks/run/', { tick: 'x' }), 'body.tick')
    isMalformed(await post('/ticks/run/', 'null'), 'body')
  })

  it('proposing seals what waits', async () => {
    server.ledger.waiting.push({
      tick_id: 'waiting',
      timestamp: NOW,
      transactions: [{ ...TRADE, kind: 'trade', id: 'w' }],
    })
    const answer = await server.request('POST', '/blocks/propose/', { headers: bearer('operator') })
    assert.deepEqual([answer.status, answer.json.tick_id], [200, 'waiting'])
  })
})
