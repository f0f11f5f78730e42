import assert from 'node:assert/strict'
import type { TokenRole } from '../../../src/node/token-files.ts'
import type { VoteBody } from '../../../src/protocol/vote.ts'
import { startCommunity, type Community } from '../../helpers/community.ts'
import { signingKeyFromSecret, signObject, signVote, type TestKey } from '../../helpers/sign-now.ts'
import { countRows } from './database.ts'
import { sealTick, tickOf, tradeRow, type Sealed } from './trades.ts'

interface Request {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  readonly role?: TokenRole
  /** A string is sent as it is. */
  readonly body?: unknown
}

type Case = readonly [what: string, request: () => Request, status: number, code: string, detail?: RegExp]

const OTHER = '5a'.repeat(32)
const IN_AN_HOUR = 3_600_000

describe('bad input over HTTP', () => {
  let community: Community
  let sealed: Sealed

  before(async () => {
    community = await startCommunity({ voters: ['ann', 'ben', 'cyd'] })
    sealed = await sealTick(community, 0)
  })
  after(() => (community as Community | undefined)?.stop())

  const keyOf = (id: string): TestKey => signingKeyFromSecret(community.keys.get(id)!.secret)
  const stored = async () => {
    const { body } = await community.call('GET', '/blocks/latest-headers/?n=1')
    return { rows: countRows(community.database), tip: body.tip_height, headers: body.headers }
  }

  // Ticks of a platform.
  const tick = (...rows: readonly object[]) => tickOf(1, ...rows)
  const postTick = (body: unknown): Request => ({ path: '/ticks/', role: 'platform', body })
  const row = (changed: object = {}) => ({ ...tradeRow('new', 'ann', 'ben'), ...changed })
  const raw = (number: string): string => JSON.stringify(tick(row({ kwh: 0 }))).replace('"kwh":0', `"kwh":${number}`)
  const correction = (changed: object = {}) => ({
    kind: 'correction',
    id: 'late-1',
    corrects: 'tick-0.0',
    kwh_delta: '-0.5',
    amount_delta: '-0.1',
    reason: 'meter read late',
    timestamp: tick().timestamp,
    ...changed,
  })
  const ticks: readonly Case[] = [
    ['no JSON', () => postTick('{"tick_id":'), 400, 'malformed', /body: expected JSON/],
    ['no body', () => postTick(''), 400, 'malformed'],
    ['an array', () => postTick([]), 400, 'malformed'],
    ['NaN as a number', () => postTick(raw('NaN')), 400, 'malformed', /body: expected JSON/],
    ['NaN as a text', () => postTick(tick(row({ kwh: 'NaN' }))), 400, 'malformed', /body\.transactions\[0\]\.kwh/],
    ['Infinity', () => postTick(raw('1e999')), 400, 'malformed', /transactions\[0\]\.kwh/],
    ['negative energy', () => postTick(tick(row({ kwh: '-1.5' }))), 400, 'malformed', /transactions\[0\]\.kwh/],
    ['negative energy as a number', () => postTick(raw('-1.5')), 400, 'malformed', /transactions\[0\]\.kwh/],
    ['a seventh decimal', () => postTick(tick(row({ kwh: '1.0000001' }))), 400, 'malformed', /transactions\[0\]\.kwh/],
    [
      'no energy',
      () => postTick(tick(row({ kwh: '0', total_amount: '0' }))),
      422,
      'bad_transaction',
      /^transaction new:/,
    ],
    [
      'a trade with oneself',
      () => postTick(tick(row({ to_user_id: 'ann' }))),
      422,
      'bad_transaction',
      /^transaction new:/,
    ],
    ['a missing field', () => postTick(tick({ ...row(), total_amount: undefined })), 400, 'malformed', /total_amount/],
    ['an unknown field', () => postTick(tick(row({ note: 'hello' }))), 400, 'malformed', /note/],
    ['its own nonce', () => postTick(tick(row({ nonce: '00'.repeat(16) }))), 400, 'malformed', /nonce/],
    [
      'a total that is not kwh x price',
      () => postTick(tick(row({ total_amount: '0.31' }))),
      422,
      'wrong_total',
      /0\.31/,
    ],
    [
      'a tick from the future',
      () => postTick({ ...tick(row()), timestamp: Date.now() + IN_AN_HOUR }),
      422,
      'from_the_future',
      /^tick tick-1:/,
    ],
    [
      'a trade from the future',
      () => postTick(tick(row({ timestamp: Date.now() + IN_AN_HOUR }))),
      422,
      'from_the_future',
      /^transaction new:/,
    ],
    [
      'a trade that is on the chain already',
      () => postTick(tick(row({ id: 'tick-0.1' }))),
      409,
      'duplicate_transaction',
      /tick-0\.1/,
    ],
    ['one id twice', () => postTick(tick(row(), row({ to_user_id: 'cyd' }))), 422, 'refused_row', /^new:/],
    [
      'a correction of no trade',
      () => postTick(tick(correction({ corrects: 'nothing' }))),
      422,
      'refused_row',
      /late-1/,
    ],
    [
      'a correction to less than nothing',
      () => postTick(tick(correction({ kwh_delta: '-1.6' }))),
      422,
      'refused_row',
      /late-1/,
    ],
    [
      'a sealed tick with another trade',
      () => postTick(tickOf(0, ...OTHER_CONTENT)),
      409,
      'tick_conflict',
      /^tick tick-0 .*transaction tick-0\.1: kwh is 2, committed is 2\.5$/,
    ],
    [
      'a sealed tick with a trade less',
      () => postTick(tickOf(0, ...OTHER_CONTENT.filter(({ id }) => id !== 'tick-0.1'))),
      409,
      'tick_conflict',
      /transaction tick-0\.1 is missing, committed is it at position 1$/,
    ],
    [
      'too many trades',
      () => postTick({ ...tick(), transactions: Array.from({ length: 100_001 }, () => 0) }),
      413,
      'tick_too_large',
    ],
    ['no token', () => ({ path: '/ticks/', body: tick(row()) }), 401, 'missing_credential'],
    ['the token of another role', () => ({ ...postTick(tick(row())), role: 'operator' }), 403, 'forbidden', /operator/],
  ]

  // Votes.
  const ack = (changed: Partial<VoteBody> = {}): VoteBody => ({
    chain_id: community.chainId,
    header_hash: sealed.block_hash,
    height: 0,
    voter_id: 'ann',
    decision: 'ack',
    ...changed,
  })
  const castVote = (changed: Partial<VoteBody>, signer = 'ann', path?: string): Request => {
    const body = signVote(ack(changed), keyOf(signer))
    return { path: `/blocks/${path ?? body.header_hash}/vote/`, body }
  }
  const votes: readonly Case[] = [
    ['of nobody who is registered', () => castVote({ voter_id: 'eve' }), 403, 'unknown_voter', /eve/],
    ['with the key of another voter', () => castVote({}, 'ben'), 401, 'bad_signature', /ann/],
    ['on a header that is not there', () => castVote({ header_hash: OTHER }), 404, 'unknown_block', /5a5a/],
    ['for another chain', () => castVote({ chain_id: OTHER }), 422, 'wrong_chain', /5a5a/],
    ['at another height', () => castVote({ height: 1 }), 422, 'wrong_header', /height 1/],
    ['at the path of another header', () => castVote({}, 'ann', OTHER), 400, 'malformed', /body\.header_hash/],
    ['changed after it was signed', () => changedVote(castVote({})), 401, 'bad_signature'],
    ['of a third kind', () => castVote({ decision: 'maybe' as 'ack' }), 400, 'malformed', /body\.decision/],
    ['at no height', () => castVote({ height: -1 }), 400, 'malformed', /body\.height/],
    ['without a signature', () => ({ ...castVote({}), body: ack() }), 400, 'malformed', /signature/],
    ['to a path that is no hash', () => castVote({}, 'ann', 'latest'), 400, 'malformed', /path\.header_hash/],
    ['beyond 64 KiB', () => ({ ...castVote({}), body: ' '.repeat(64 * 1024 + 1) }), 413, 'body_too_large', /65536/],
  ]

  // Orders.
  const order = (changed: object = {}) => ({
    order_id: 'order-1',
    user_id: 'ann',
    side: 'sell',
    kwh: '2',
    price_per_kwh: '0.1',
    timestamp: tick().timestamp,
    ...changed,
  })
  const signedOrder = (changed: object, signer = 'ann', chain = community.chainId): Request => {
    const body = order(changed)
    return { path: '/orders/', body: { ...body, signature: signObject('order', chain, body, keyOf(signer)) } }
  }
  const orders: readonly Case[] = [
    ['without a signature', () => ({ path: '/orders/', body: order() }), 401, 'missing_credential'],
    ['signed by another household', () => signedOrder({}, 'ben'), 401, 'bad_signature', /ann/],
    ['signed for another chain', () => signedOrder({}, 'ann', OTHER), 401, 'bad_signature'],
    ['of a user without a device', () => signedOrder({ user_id: 'eve' }), 403, 'unknown_voter', /eve/],
    ['of too little', () => signedOrder({ kwh: '0.009' }), 422, 'order_too_small', /0\.01 kWh/],
    ['of a negative price', () => signedOrder({ price_per_kwh: '-0.1' }), 400, 'malformed', /price_per_kwh/],
    ['on no side', () => signedOrder({ side: 'give' }), 400, 'malformed', /side/],
    ['from the future', () => signedOrder({ timestamp: Date.now() + IN_AN_HOUR }), 422, 'from_the_future'],
    ['that is never valid', () => signedOrder({ valid_until: tick().timestamp }), 422, 'refused_row', /order-1/],
    ['that the money could not hold', () => signedOrder(HUGE), 422, 'refused_row', /order-1/],
    ['with the token of an auditor', () => ({ path: '/orders/', role: 'auditor', body: order() }), 403, 'forbidden'],
    ['beyond 64 KiB', () => ({ path: '/orders/', body: `"${'x'.repeat(64 * 1024)}"` }), 413, 'body_too_large'],
  ]

  // What is asked for wrongly.
  const get = (path: string, role?: TokenRole): Request => ({ method: 'GET', path, ...(role && { role }) })
  const block = () => `/blocks/${sealed.block_hash}`
  const questions: readonly Case[] = [
    ['a block that is not there', () => get(`/blocks/${OTHER}`, 'auditor'), 404, 'unknown_block'],
    ['a block without a token', () => get(block()), 401, 'missing_credential'],
    ['the status of no hash', () => get('/blocks/XYZ/status/'), 400, 'malformed', /path\.block_hash/],
    ['no headers', () => get('/blocks/latest-headers/?n=0'), 400, 'malformed', /query\.n/],
    ['too many headers', () => get('/blocks/latest-headers/?n=101'), 400, 'malformed', /query\.n/],
    ['a proof of nothing', () => get(`${block()}/merkle-proof/`), 400, 'malformed', /either tx_hash or tx_id/],
    ['a proof of what is not there', () => get(`${block()}/merkle-proof/?tx_id=no`), 404, 'unknown_transaction'],
    ['a history beyond the tip', () => get('/history/inclusion?height=0&size=9'), 422, 'out_of_range'],
    ['a history that shrinks', () => get('/history/consistency?from=2&to=1'), 422, 'out_of_range'],
    ['an order that is not there', () => get('/orders/none', 'platform'), 404, 'unknown_order'],
    ['a path that is not there', () => get('/secrets'), 404, 'not_found'],
    ['the wrong way', () => get('/ticks/', 'platform'), 405, 'method_not_allowed', /POST/],
    ['a proposal without a token', () => ({ path: '/blocks/propose/' }), 401, 'missing_credential'],
    ['a tick of the market by a platform', () => ({ path: '/ticks/run/', role: 'platform' }), 403, 'forbidden'],
  ]

  for (const [room, cases] of Object.entries({
    'a tick': ticks,
    'a vote': votes,
    'an order': orders,
    'asking for': questions,
  })) {
    for (const [what, request, status, code, detail] of cases) {
      it(`${room}: ${what} is ${status} ${code}, and nothing is stored`, async () => {
        const before = await stored()
        const { method = 'POST', path, ...options } = request()
        const { status: found, body } = await community.call(method, path, options)
        assert.deepEqual([found, body.code], [status, code], JSON.stringify(body))
        assert.equal(body.status, status)
        if (detail !== undefined) assert.match(String(body.detail), detail)
        assert.deepEqual(await stored(), before)
      })
    }
  }

  it('takes what is right after all of that, and takes it once', async () => {
    const first = await community.call('POST', '/ticks/', { role: 'platform', body: tick(row(), correction()) })
    assert.equal(first.status, 200)
    const placed = signedOrder({})
    const voted = castVote({})
    const accepted = [placed, voted].map(({ path, body }) => community.call('POST', path, { body }))
    assert.deepEqual(
      (await Promise.all(accepted)).map(({ status }) => status),
      [201, 202],
    )
    const before = await stored()
    const again = await community.call('POST', '/ticks/', { role: 'platform', body: tick(row(), correction()) })
    assert.deepEqual(again, first)
    const repeated = [placed, voted].map(({ path, body }) => community.call('POST', path, { body }))
    assert.deepEqual(
      (await Promise.all(repeated)).map(({ status }) => status),
      [200, 202],
    )
    const { path, body } = signedOrder({ kwh: '3' })
    const other = await community.call('POST', path, { body })
    assert.deepEqual([other.status, other.body.code], [409, 'order_conflict'])
    assert.deepEqual(await stored(), before)
  })
})

/** The rows of the sealed tick 0, one of them changed. */
const OTHER_CONTENT = [
  tradeRow('tick-0.0', 'ann', 'ben'),
  tradeRow('tick-0.1', 'cyd', 'ann', '2', '0.4'),
  tradeRow('tick-0.2', 'ann', 'cyd', '0.25', '0.05'),
]
const HUGE = { side: 'buy', kwh: '999999999999', price_per_kwh: '999999999999' }

const changedVote = ({ path, body }: Request): Request => ({ path, body: { ...(body as object), decision: 'reject' } })
