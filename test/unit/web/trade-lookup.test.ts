import assert from 'node:assert/strict'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
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

  const check = (text: string, changes: Partial<Api> = {}, newest: HeldBlock | null = anchor) =>
    lookUp(readPasted(text), {
      api: { ...createApi(fetch, server.url), ...changes },
      genesis: chain.genesis,
      chainId: chain.chainId,
      token: () => undefined,
      anchor: () => newest ?? undefined,
      held: (hash) => (hash === newest?.hash ? newest : undefined),
    })
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
    assert.equal((await check(JSON.stringify([{ id: trade.id, kwh: 5 }]))).outcome, 'pass')
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
