import assert from 'node:assert/strict'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import { createApi } from '../../../src/web/api.ts'
import { checkInclusion, readHash, readPasted } from '../../../src/web/proof-check.ts'
import { initialState, reduce } from '../../../src/web/state.ts'
import { servePage, type PageServer } from './page-server.ts'
import { smallChain } from './small-chain.ts'

describe('web proof of a trade', () => {
  const chain = smallChain()
  const listed = chain.seal(7, 1_760_000_100_000)
  const trade = chain.trades[0]![4]!
  const [block] = reduce(initialState(''), { type: 'snapshot', headers: [listed], at: 0 }).blocks
  let server: PageServer
  before(async () => (server = await servePage(chain)))
  after(() => server.stop())

  const proofOf = () => createApi(fetch, server.url).merkleProof(listed.header_hash, hashTransaction(trade))
  const outcomesOf = (checks: ReturnType<typeof checkInclusion>) => checks.map(({ id, outcome }) => [id, outcome])

  it('holds for a pasted transaction whose hash is computed here', async () => {
    const pasted = readPasted(JSON.stringify(trade, null, 2), chain.genesis)
    assert.equal(pasted.txHash, hashTransaction(trade))
    assert.deepEqual(outcomesOf(checkInclusion(pasted, await proofOf(), block, 'pass')), [
      ['transaction', 'pass'],
      ['path', 'pass'],
      ['block', 'pass'],
    ])
  })

  it('fails for a transaction with one digit changed', async () => {
    const pasted = readPasted(JSON.stringify({ ...trade, timestamp: trade.timestamp + 1 }), chain.genesis)
    const [, path] = checkInclusion(pasted, await proofOf(), block, 'pass')
    assert.equal(path?.outcome, 'fail')
  })

  it('fails when the proof leads to a root of its own and not to that of the header', async () => {
    const pasted = readPasted(hashTransaction(trade), chain.genesis)
    const forged = { ...(await proofOf()), index: 0, tx_count: 1, path: [], merkle_root: pasted.txHash }
    assert.deepEqual(outcomesOf(checkInclusion(pasted, forged, block, 'pass')), [
      ['path', 'fail'],
      ['block', 'pass'],
    ])
  })

  it('does not pass for a block that this page does not hold, or that failed', async () => {
    const pasted = readPasted(hashTransaction(trade), chain.genesis)
    const proof = await proofOf()
    assert.equal(checkInclusion(pasted, proof, undefined, 'open').at(-1)?.outcome, 'open')
    assert.equal(checkInclusion(pasted, proof, block, 'fail').at(-1)?.outcome, 'fail')
  })

  it('says what is wrong with what was pasted', () => {
    assert.throws(() => readPasted('12', chain.genesis), /64 characters/)
    assert.throws(() => readPasted('{"kind":', chain.genesis), /not valid JSON/)
    assert.throws(() => readPasted(JSON.stringify({ ...trade, total_amount: '9' }), chain.genesis), {
      code: 'wrong_total',
    })
    assert.equal(readHash(` ${'AB'.repeat(32)}\n`, 'block hash'), 'ab'.repeat(32))
  })
})
