import assert from 'node:assert/strict'
import { hashTransaction, type Transaction } from '../../../src/protocol/transaction.ts'
import { createApi, type Api } from '../../../src/web/api.ts'
import { webError } from '../../../src/web/errors.ts'
import { readPasted } from '../../../src/web/pasted.ts'
import { lookUp, type HeldBlock } from '../../../src/web/trade-lookup.ts'
import { servePage, type PageServer } from './page-server.ts'
import { smallChain } from './small-chain.ts'

describe('web check of a trade', () => {
  const chain = smallChain()
  const first = chain.seal(7, 1_760_000_100_000)
  chain.seal(1, 1_760_000_200_000)
  const tip = chain.seal(2, 1_760_000_300_000)
  const trade = chain.trades[0]![4]!
  const anchor: HeldBlock = { header: tip.header, hash: tip.header_hash, outcome: 'pass' }
  let server: PageServer
  before(async () => (server = await servePage(chain)))
  after(() => server.stop())

  const check = (text: string, changes: Partial<Api> = {}, newest: HeldBlock | null = anchor, token?: string) =>
    lookUp(readPasted(text), {
      api: { ...createApi(fetch, server.url), ...changes },
      genesis: chain.genesis,
      chainId: chain.chainId,
      token: () => token,
      anchor: () => newest ?? undefined,
      held: (hash) => (hash === newest?.hash ? newest : undefined),
    })
  /** As for who has a token of a role that sees blocks, and no receipts. */
  const checkWithToken = (pasted: object, transactions: readonly Transaction[] = chain.trades[0]!) =>
    check(
      JSON.stringify(pasted),
      {
        block: () => Promise.resolve({ header: first.header, signature: first.signature, transactions }),
        receipt: () => Promise.reject(webError('unreachable', { path: '/receipt', reason: 'none' })),
      },
      anchor,
      'token',
    )
  const outcomes = (report: Awaited<ReturnType<typeof check>>) =>
    Object.fromEntries(report.checks.map(({ id, outcome }) => [id, outcome]))

  it('finds a trade of a block that the page does not hold, by its content, its hash and its id', async () => {
    const whole = await check(JSON.stringify(trade, null, 2))
    assert.deepEqual([whole.outcome, outcomes(whole)], ['pass', { transaction: 'pass', path: 'pass', block: 'pass' }])
    const hash = await check(` 0x${hashTransaction(trade).toUpperCase()}\n`)
    assert.deepEqual([hash.outcome, hash.block?.hash], ['pass', first.header_hash])
    const id = await check(trade.id)
    assert.deepEqual([id.outcome, outcomes(id)], ['pass', { name: 'open', path: 'pass', block: 'pass' }])
    assert.match(id.checks[0]?.detail ?? '', /node's word/)
  })

  it('takes a trade as the API lists it, and a row of a platform', async () => {
    const listed = { ...trade, tx_hash: hashTransaction(trade), block_hash: first.header_hash, height: 0 }
    assert.equal((await check(JSON.stringify(listed))).outcome, 'pass')
    assert.equal((await checkWithToken([{ id: trade.id, kwh: 5 }])).outcome, 'pass')
  })

  it('is never green for what was pasted and not compared', async () => {
    const { id, kwh, from_user_id } = trade
    for (const text of [
      `{"id":"${id}","kwh":"50"}`,
      `{"id":"${id}","kwh":1e-1}`,
      `{"id":"${id}","kwh":"${kwh}"}`,
      `[{"id":"${id}","meter":"north"}]`,
      `{"tx_hash":"${hashTransaction(trade)}","kwh":"50"}`,
      `{"tx_hash":"${hashTransaction(trade)}","id":"another"}`,
      `{"transaction":{"id":"${id}"},"kwh":"50"}`,
      JSON.stringify({ ...trade, nonce: undefined, from_user_id }),
    ]) {
      const { outcome, title, detail } = await check(text)
      assert.deepEqual([outcome, title], ['open', 'Not decided: what you pasted was not compared'], text)
      assert.match(
        detail,
        /A trade with this (id|hash) is in the ledger, in block 0.*Not compared: .*give a token or a receipt/,
      )
    }
    assert.equal((await check(`{"id":"${id}"}`)).outcome, 'pass')
  })

  it('compares the place of a trade, which everybody sees', async () => {
    const { id } = trade
    assert.equal((await check(JSON.stringify({ id, height: 0, block_hash: first.header_hash }))).outcome, 'pass')
    for (const wrong of [{ height: 1 }, { block_hash: tip.header_hash }, { tx_hash: first.header_hash }]) {
      const { outcome, title, detail } = await check(JSON.stringify({ id, ...wrong }))
      assert.deepEqual([outcome, title], ['fail', 'This is not what the ledger has'])
      assert.ok(detail.includes(`in ${Object.keys(wrong).join()}`), detail)
      assert.equal((await check(JSON.stringify({ ...trade, ...wrong }))).outcome, 'fail')
    }
    assert.equal((await check(JSON.stringify({ ...trade, height: null, block_hash: null }))).outcome, 'pass')
  })

  it('decides by the hash where all that is hashed was pasted, however a platform spells it', async () => {
    const spelled = { kwh: '5.000000', price_per_kwh: 0.2, timestamp: String(trade.timestamp) }
    const row = { ...trade, ...spelled, kind: undefined }
    assert.equal((await check(JSON.stringify(row))).outcome, 'pass')
    const more = await check(JSON.stringify({ ...row, created_at: 'yesterday' }))
    assert.deepEqual([more.outcome, more.facts?.transaction], ['pass', trade])
    assert.match(more.detail, /The ledger has no created_at/)
    const dated = { ...row, timestamp: new Date(trade.timestamp).toISOString() }
    assert.equal((await check(JSON.stringify(dated))).outcome, 'pass')
    assert.equal((await check(JSON.stringify({ ...row, timestamp: '2025-10-09 08:55:00' }))).outcome, 'open')
    const wrong = await check(JSON.stringify({ ...row, to_user_id: 'bakery' }))
    assert.deepEqual([wrong.outcome, wrong.title], ['fail', 'This is not what the ledger has'])
  })

  it('names each field that differs and each that the ledger does not have', async () => {
    const row = { ...trade, nonce: undefined }
    const wrong = await checkWithToken({ ...row, kwh: '50', total_amount: 10.5, meter: 7 })
    assert.deepEqual([wrong.outcome, wrong.title], ['fail', 'This is not what the ledger has'])
    assert.match(wrong.detail, /differs from the sealed trade in kwh and total_amount.*The ledger has no meter/)
    const values = wrong.checks.find(({ id }) => id === 'body')?.values.map(({ label, value }) => `${label}: ${value}`)
    assert.deepEqual(values?.slice(0, 2), ['kwh, pasted: 50', 'kwh, sealed: 5'])
    const right = await checkWithToken({ ...row, kwh: '5.0', meter: 7, note: null })
    assert.equal(right.outcome, 'pass')
    assert.match(right.detail, /The ledger has no meter and note/)
    assert.equal((await checkWithToken({ id: trade.id, amount: '999' })).outcome, 'open')
    assert.equal((await checkWithToken({ id: trade.id, kwh: '50' }, [])).outcome, 'open')
    assert.equal((await checkWithToken({ ...trade, kwh: '50' })).outcome, 'fail')
  })

  it('asks for an id as it was typed', async () => {
    const typed = 'AB'.repeat(32)
    const asked: unknown[] = []
    const transactionProof: Api['transactionProof'] = (by) => {
      asked.push(by)
      return createApi(fetch, server.url).transactionProof({ tx_id: 'none' }, null)
    }
    await check(typed, { transactionProof })
    assert.deepEqual(asked, [{ tx_hash: typed.toLowerCase() }, { tx_id: typed }])
  })

  it('keeps every digit of a number, and refuses one that is no id', () => {
    const read = readPasted('{"id":9007199254740993,"kwh":0.10}')
    assert.ok(read.kind === 'trade')
    assert.deepEqual([read.id, read.claims[1]], ['9007199254740993', { name: 'kwh', value: '0.10' }])
    for (const id of ['1e3', '1.0', '-0']) assert.throws(() => readPasted(`{"id":${id}}`), /put the id in quotes/)
    assert.throws(() => readPasted('{"id":"a","kwh":"7.5","kwh" : "0.75"}'), /has a field twice/)
    assert.equal(readPasted('[{"id":"a","note":":","more":["\\":",{"kwh":1}]}]').kind, 'trade')
    assert.throws(() => readPasted('{"id":"a","transaction":{"id":"b"}}'), /says id twice/)
    assert.throws(() => readPasted(`{"id":"a","note":"${'x'.repeat(200_000)}"}`), /too long for a trade/)
  })

  it('says what an answer is about', async () => {
    const subject = async (text: string) => (await check(text)).subject
    assert.equal(await subject('42'), 'trade 42')
    assert.equal(await subject(JSON.stringify(trade)), `what you pasted of trade ${trade.id}`)
    assert.match(await subject(hashTransaction(trade)), /^[0-9a-f]{8}…[0-9a-f]{4}$/)
  })

  it('says that a trade was changed, and not that it is not there', async () => {
    const report = await check(JSON.stringify({ ...trade, kwh: '9', total_amount: '1.8' }))
    assert.deepEqual([report.outcome, report.title], ['fail', 'This is not what the ledger has'])
  })

  it('fails for a proof that leads elsewhere, or that is of another history', async () => {
    const proofOf = createApi(fetch, server.url).transactionProof
    const forged = await check(trade.id, {
      transactionProof: async (by, at) => {
        const proof = await proofOf(by, at)
        return { ...proof, merkle_proof: { ...proof.merkle_proof, index: 1 } }
      },
    })
    assert.deepEqual([forged.outcome, outcomes(forged).path], ['fail', 'fail'])
    const elsewhere = smallChain()
    elsewhere.seal(1, 1_760_000_100_000)
    const other = elsewhere.seal(1, 1_760_000_200_000)
    const stranger: HeldBlock = { header: other.header, hash: other.header_hash, outcome: 'pass' }
    assert.equal(outcomes(await check(trade.id, {}, stranger)).block, 'fail')
  })

  it('does not pass when the block that it leans on failed, or is not there yet', async () => {
    assert.equal((await check(trade.id, {}, { ...anchor, outcome: 'fail' })).outcome, 'fail')
    assert.equal((await check(chain.trades[2]![0]!.id, {}, null)).outcome, 'open')
  })

  it('says apart that there is none, that it is a block, and that nobody answers', async () => {
    assert.equal((await check('no-such-trade')).title, 'The node knows no such trade')
    assert.equal((await check(first.header_hash)).title, 'This is a block, not a trade')
    const gone = () => Promise.reject(webError('unreachable', { path: '/x', reason: 'gone' }))
    assert.equal((await check(trade.id, { transactionProof: gone })).title, 'The node does not answer')
  })

  it('says what is wrong with what was pasted', () => {
    assert.throws(() => readPasted('two words'), /neither the id nor the hash/)
    assert.throws(() => readPasted('{"kind":'), /cut off or damaged/)
    assert.throws(() => readPasted('[1,2]'), /one at a time/)
    assert.throws(() => readPasted('{"a":1}'), /neither a trade nor a receipt/)
    assert.throws(() => readPasted('  '), /Type or paste/)
  })
})
