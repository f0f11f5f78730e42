import assert from 'node:assert/strict'
import { createPseudonyms } from '../../../src/engine/pseudonyms.ts'
import { pseudonymousLedger } from '../../../src/engine/pseudonymous-ledger.ts'
import type { PlatformUserTokens } from '../../../src/http/access.ts'
import { usersOnChain } from '../../../src/node/user-tokens.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import type { Logger } from '../../../src/ports/logger.ts'
import type { MarketStore } from '../../../src/ports/market-store.ts'
import { pseudonymOf } from '../../../src/protocol/pseudonym.ts'
import { signObject } from '../../helpers/sign-now.ts'
import { shownTransactionShape } from '../../../src/protocol/transaction.ts'
import type { MemoryLedger } from '../../helpers/memory-ledger.ts'
import { tempSqlite, type OpenedStore } from '../../helpers/stores.ts'
import { testSecret } from '../../vectors/keys.ts'
import { bearer, change, freshKey, ORDER, startServer, tick, TRADE, type Role, type TestServer } from './harness.ts'

const SECRET = testSecret('pseudonyms')

/** `user.NAME.x` is the token of NAME. */
const TOKENS: PlatformUserTokens = { userOf: (token) => Promise.resolve(token.split('.')[1] ?? '') }

describe('a pseudonymous ledger over HTTP', () => {
  let server: TestServer
  let opened: OpenedStore<MarketStore>
  let inner: MemoryLedger
  const lines: string[] = []
  const write = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  const logger: Logger = { debug: write, info: write, warn: write, error: write }

  before(async () => {
    opened = await tempSqlite()
    let edge: Ledger | undefined
    const wrap = (ledger: MemoryLedger): Ledger => {
      inner = ledger
      const registry = { has: (id: string) => ledger.activeEntry(id) !== undefined }
      return (edge = pseudonymousLedger(ledger, createPseudonyms(SECRET, ledger.chainId, opened.store), registry))
    }
    const users: PlatformUserTokens = { userOf: (token) => usersOnChain(TOKENS, edge!).userOf(token) }
    server = await startServer({ wrap, users, logger })
    const posted = await post('/ticks/', tick('tick-1', TRADE))
    assert.equal(posted.status, 200, posted.text)
  })
  after(async () => {
    await server.stop()
    await opened.cleanup()
  })

  const named = (user: string) => pseudonymOf(SECRET, server.ledger.chainId, user)
  const post = (path: string, body: object, role: Role = 'platform') =>
    server.request('POST', path, { headers: bearer(role), body })
  const get = (path: string, role: Role) => server.request('GET', path, { headers: bearer(role) })
  const getAs = (user: string, path: string) =>
    server.request('GET', path, { headers: { authorization: `Bearer user.${user}.x` } })
  const idsOf = ({ json }: { json: Record<string, unknown> }) =>
    (json.transactions as { id: string }[]).map(({ id }) => id)

  it('takes the ids of the platform, and has pseudonyms on the chain', async () => {
    const { transactions } = await inner.transactions({ from: 0, to: Number.MAX_SAFE_INTEGER, limit: 9 })
    const [{ transaction }] = transactions as [(typeof transactions)[number]]
    assert.ok(transaction.kind === 'trade')
    assert.deepEqual([transaction.from_user_id, transaction.to_user_id], [named('household-7'), named('household-9')])
  })

  it('answers the same tick again, and a conflict names nobody', async () => {
    assert.equal((await post('/ticks/', tick('tick-1', TRADE))).status, 200)
    const conflict = await post('/ticks/', tick('tick-1', { ...TRADE, to_user_id: 'household-1' }))
    assert.equal(conflict.status, 409)
    assert.doesNotMatch(conflict.text, /household-/)
  })

  it('shows what is hashed as it is hashed, with the names beside it for platform and operator alone', async () => {
    const names = { [named('household-7')]: 'household-7', [named('household-9')]: 'household-9' }
    const page = await get('/transactions', 'platform')
    const [{ block_hash, tx_hash, height, ...shown }] = page.json.transactions as [Record<string, unknown>]
    assert.deepEqual([page.json.names, typeof tx_hash, height], [names, 'string', 0])
    assert.ok(shownTransactionShape(shown, 'transaction'))
    for (const role of ['platform', 'operator', 'auditor', 'validator'] as const) {
      const block = await get(`/blocks/${String(block_hash)}`, role)
      assert.equal(block.status, 200)
      assert.deepEqual(block.json.names, ['platform', 'operator'].includes(role) ? names : undefined, role)
    }
    const audited = await get('/transactions', 'auditor')
    assert.deepEqual(idsOf(audited), ['trade-1'])
    assert.doesNotMatch(audited.text, /household-|names/)
  })

  it('is asked by the platform by its ids, and by an auditor by those on the chain: nobody can try out whose one is', async () => {
    assert.deepEqual(idsOf(await get('/transactions?user_id=household-7', 'platform')), ['trade-1'])
    assert.deepEqual(idsOf(await get('/transactions?user_id=household-1', 'platform')), [])
    const asPseudonym = await get(`/transactions?user_id=${named('household-7')}`, 'platform')
    assert.deepEqual([asPseudonym.status, asPseudonym.json.code], [422, 'refused_row'])
    assert.deepEqual(idsOf(await get('/transactions?user_id=household-7', 'auditor')), [])
    assert.deepEqual(idsOf(await get(`/transactions?user_id=${named('household-7')}`, 'auditor')), ['trade-1'])
  })

  it('knows a platform user by its token, who may call itself either way and sees no other', async () => {
    for (const query of ['', '?user_id=household-7', `?user_id=${named('household-7')}`]) {
      const own = await getAs('household-7', `/transactions${query}`)
      assert.deepEqual(idsOf(own), ['trade-1'], query)
      assert.doesNotMatch(own.text, /household-/)
    }
    for (const other of ['household-9', named('household-9')]) {
      assert.equal((await getAs('household-7', `/transactions?user_id=${other}`)).status, 403)
    }
    assert.deepEqual(idsOf(await getAs('household-1', '/transactions')), [])
    const pretender = await getAs(named('household-7'), '/transactions')
    assert.deepEqual([pretender.status, pretender.json.code], [401, 'bad_credential'])
  })

  it('tells each user the own pseudonym, and the platform that of everybody', async () => {
    for (const role of ['platform', 'operator'] as const) {
      for (const user of ['household-7', 'nobody-yet']) {
        const { status, json } = await get(`/users/${user}/pseudonym`, role)
        assert.deepEqual([status, json], [200, { user_id: user, pseudonym: named(user) }])
      }
    }
    assert.deepEqual(await opened.store.usersOfPseudonyms([named('nobody-yet')]), [])
    const own = await getAs('household-7', '/users/household-7/pseudonym')
    assert.equal(own.json.pseudonym, named('household-7'))
    assert.equal((await getAs('household-7', '/users/household-9/pseudonym')).status, 403)
    for (const role of ['auditor', 'validator'] as const)
      assert.equal((await get('/users/household-7/pseudonym', role)).status, 403)
    const nobody = await server.request('GET', '/users/household-7/pseudonym')
    assert.equal(nobody.status, 401)
  })

  it('refuses to register an id that tells its user, and wants to know whose a device is', async () => {
    const enrol = (subject_id: string) => {
      const key = freshKey()
      return change(inner, key, { action: 'enrol', subject_id, role: 'voter', public_key: key.publicKey })
    }
    for (const [subject_id, user_id] of [
      ['household-1', 'household-1'],
      ['household-1.phone', 'household-1'],
      ['household-9', 'household-1'],
      [`${named('household-1')}.phone`, undefined],
    ] as const) {
      const body = user_id === undefined ? enrol(subject_id) : { transaction: enrol(subject_id), user_id }
      const { status, json } = await post('/registry/', body)
      assert.deepEqual([status, json.code], [422, 'registry_refused'], subject_id)
      assert.match(String(json.detail), /this ledger is pseudonymous/)
    }
    const subject_id = `${named('household-1')}.phone`
    const body = { transaction: enrol(subject_id), user_id: 'household-1' }
    assert.equal((await post('/registry/', body)).status, 202)
    assert.equal(await inner.userOf(subject_id), named('household-1'))
    const recipients = await get('/users/household-1/recipients', 'platform')
    assert.deepEqual(
      (recipients.json.recipients as { voter_id: string }[]).map(({ voter_id }) => voter_id),
      [subject_id],
    )
    // Anybody may post a change of a key: whether there is such a user is not to be found out so.
    for (const unregistered of ['household-9', 'household-404']) {
      const public_key = freshKey().publicKey
      const rotate = change(inner, freshKey(), { action: 'rotate', subject_id: unregistered, public_key })
      const { status, json } = await server.request('POST', '/registry/', { body: rotate })
      assert.deepEqual([status, json.code], [422, 'registry_refused'])
      assert.match(String(json.detail), new RegExp(`and has no device ${unregistered}: take the id`))
    }
  })

  it('takes orders by the ids of the platform, signed or not', async () => {
    const placed = await post('/orders/', ORDER)
    assert.equal(placed.status, 201, placed.text)
    assert.equal((await inner.order('order-1')).order.user_id, named('household-7'))
    const asPseudonym = await post('/orders/', { ...ORDER, order_id: 'order-2', user_id: named('household-7') })
    assert.deepEqual([asPseudonym.status, asPseudonym.json.code], [422, 'refused_row'])

    const key = freshKey()
    const subject_id = 'device-1'
    const transaction = change(inner, key, { action: 'enrol', subject_id, role: 'voter', public_key: key.publicKey })
    assert.equal((await post('/registry/', { transaction, user_id: 'household-3' })).status, 202)
    const order = { ...ORDER, order_id: 'order-3', user_id: 'household-3', side: 'sell' } as const
    const signature = signObject('order', inner.chainId, order, key)
    const signed = await server.request('POST', '/orders/', { body: { ...order, signature } })
    assert.equal(signed.status, 201, signed.text)
    assert.equal((await inner.order('order-3')).order.user_id, named('household-3'))
  })

  it('says in its log what was refused and not what was sent', async () => {
    lines.length = 0
    const refused = await post('/ticks/', tick('tick-2', { ...TRADE, id: 'trade-2', from_user_id: 'Jane Doe, Elm St' }))
    assert.equal(refused.status, 400)
    assert.match(refused.text, /Jane Doe/)
    const enroller = change(inner, freshKey(), {
      ...{ action: 'enrol', subject_id: 'device-2', role: 'voter', public_key: freshKey().publicKey },
    } as const)
    await post('/registry/', { transaction: enroller, user_id: 'household-8' }, 'enroller')
    assert.ok(lines.length >= 2, lines.join('\n'))
    assert.doesNotMatch(lines.join('\n'), /Jane|household-/)
  })
})

describe('a plain ledger over HTTP', () => {
  it('calls users as the platform does, and shows whom a payload is encrypted for', async () => {
    const auditor = `age1${'q'.repeat(58)}`
    const server = await startServer({ payloadRecipients: [auditor] })
    try {
      const pseudonym = await server.request('GET', '/users/household-7/pseudonym', { headers: bearer('platform') })
      assert.deepEqual(pseudonym.json, { user_id: 'household-7', pseudonym: null })
      const { json } = await server.request('GET', '/users/household-7/recipients', { headers: bearer('platform') })
      const [device] = json.recipients as [{ voter_id: string; recipient: string }]
      assert.equal(device.voter_id, 'household-7.phone')
      assert.match(device.recipient, /^age1/)
      assert.deepEqual(json.payload_recipients, [auditor])
      await server.request('POST', '/ticks/', { headers: bearer('platform'), body: tick('tick-1', TRADE) })
      const page = await server.request('GET', '/transactions', { headers: bearer('platform') })
      assert.equal('names' in page.json, false)
    } finally {
      await server.stop()
    }
  })
})
