import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { hashHeader } from '../../../src/protocol/header.ts'
import { verifyReceipt } from '../../../src/protocol/receipt-verify.ts'
import { createTestChain, entryOf, genesisOf } from '../../helpers/test-chain.ts'
import { copyOf } from '../../vectors/case.ts'
import { KNOWN_WITNESSES } from '../../vectors/receipt-cases.ts'
import { receiptNamed, RECEIPTS } from '../../vectors/receipt-chains.ts'

const FOLDER = fileURLToPath(new URL('../../vectors/receipts/', import.meta.url))
/** `{chain_id, status, receipt}`: given out once, and never written again. */
interface GivenOut {
  readonly chain_id: string
  readonly status: string
  readonly receipt: unknown
}
const givenOut = (file: string) => JSON.parse(readFileSync(`${FOLDER}${file}`, 'utf8')) as GivenOut

describe('receipts that were given out', () => {
  const files = readdirSync(FOLDER)

  it('are there for each version and each way of becoming final', () => {
    const versions = new Set(files.map((file) => file.split('-')[0]))
    assert.deepEqual([...versions], ['v1'])
    assert.ok(files.length >= 7)
  })

  for (const file of files) {
    it(`${file} verifies for ever`, () => {
      const { chain_id, status, receipt } = givenOut(file)
      const verdict = verifyReceipt(receipt, chain_id, { witnesses: KNOWN_WITNESSES })
      assert.equal(verdict.ok ? verdict.status : verdict.reason, status)
    })
  }
})

describe('the verdict on a receipt', () => {
  it('names each check that was made, in order', () => {
    const { chain_id, receipt } = receiptNamed('a trade with two corrections')
    const { ok, passed } = verifyReceipt(copyOf(receipt), chain_id)
    assert.ok(ok)
    assert.deepEqual(
      passed.map(({ check }) => check),
      ['format', 'genesis', 'transaction', 'inclusion', 'handovers', 'seal', 'votes', 'corrections'],
    )
  })

  it('names the first check that fails, with its values, and those that passed before', () => {
    const { chain_id, receipt } = receiptNamed('votes:2 with a quorum')
    const draft = copyOf(receipt)
    const changed = { ...draft, votes: [{ ...draft.votes[0]!, vote: { ...draft.votes[0]!.vote, height: 7 } }] }
    const verdict = verifyReceipt(changed, chain_id)
    assert.ok(!verdict.ok)
    assert.equal(verdict.failed, 'votes')
    assert.equal(verdict.code, 'wrong_header')
    assert.match(verdict.reason, /is not at height 7/)
    assert.equal(verdict.passed.at(-1)?.check, 'seal')
  })

  it('refuses what is no receipt at all', () => {
    for (const value of [undefined, null, 7, 'receipt', [], {}, { version: 1 }, { version: '1' }]) {
      const verdict = verifyReceipt(value, '0'.repeat(64))
      assert.ok(!verdict.ok && verdict.failed === 'format' && verdict.code === 'malformed', JSON.stringify(value))
    }
  })

  it('says sealed, not final, without the votes that finality takes', () => {
    const { chain_id, receipt } = receiptNamed('votes:2 with one vote, sealed')
    const verdict = verifyReceipt(copyOf(receipt), chain_id)
    assert.ok(verdict.ok && verdict.status === 'sealed')
    assert.match(verdict.passed.find(({ check }) => check === 'votes')!.detail, /1 of the 2 acks/)
  })

  it('names the cosigners that the verifier knows, and no others', () => {
    const { chain_id, receipt } = receiptNamed('authority, with a checkpoint')
    const names = (witnesses = KNOWN_WITNESSES) => {
      const verdict = verifyReceipt(copyOf(receipt), chain_id, { witnesses })
      return verdict.ok && verdict.witnesses
    }
    assert.deepEqual(names(), ['witness.example/one', 'witness.example/two'])
    assert.deepEqual(names(KNOWN_WITNESSES.slice(1)), ['witness.example/two'])
    assert.deepEqual(names([]), [])
  })
})

describe('a verifier that trusts a newer header', () => {
  const genesis = genesisOf({ policy: 'authority' }, entryOf('authority', 'authority'), entryOf('alice', 'voter'))

  it('requires that the block is in its history', async () => {
    const made = await createTestChain(genesis)
    const { chain } = made
    await made.trade(2)
    await made.trade(1)
    const early = await made.receipt('tx-tick-0-1')
    for (let i = 0; i < 10; i++) await made.trade(1)
    const { header } = chain.tip!
    const history_proof = await chain.inclusion(0, header.height)
    const verdict = verifyReceipt(early, chain.chainId, { trusted: { header, history_proof } })
    assert.ok(verdict.ok)
    assert.equal(verdict.passed.at(-1)?.check, 'trusted')
    for (const trusted of [{ header }, { header, history_proof: await chain.inclusion(1, header.height) }]) {
      const refused = verifyReceipt(early, chain.chainId, { trusted })
      assert.ok(!refused.ok && refused.failed === 'trusted' && refused.code === 'missing_proof')
    }
  })

  it('needs no proof for the target itself, and refuses another history', async () => {
    const [one, two] = [await createTestChain(genesis), await createTestChain(genesis)]
    for (const made of [one, two]) await made.trade(2)
    await one.trade(1)
    await two.trade(3)
    const receipt = await one.receipt('tx-tick-0-0')
    const check = (header = one.chain.tip!.header) => verifyReceipt(receipt, one.chain.chainId, { trusted: { header } })
    assert.ok(check().ok)
    const foreign = check(two.chain.tip!.header)
    assert.ok(!foreign.ok && foreign.failed === 'trusted')
    assert.notEqual(hashHeader(two.chain.tip!.header), hashHeader(one.chain.tip!.header))
  })
})

describe('the size of a receipt', () => {
  it('stays below 8 KB with three votes, whatever the height', () => {
    const { receipt } = receiptNamed('votes:2 with a quorum and an anchor')
    // On the anchor itself, as of households that vote on each block.
    const vote = receipt.votes.find(({ header }) => header === undefined)!
    // A chain of 2^20 blocks of 1,000 trades: 20 and 10 nodes instead of one and three.
    const path = (nodes: number) => Array.from({ length: nodes }, () => '0'.repeat(64))
    const grown = {
      ...receipt,
      votes: [vote, vote, vote],
      merkle_proof: { ...receipt.merkle_proof, path: path(10) },
      anchor: { ...receipt.anchor!, history_proof: { ...receipt.anchor!.history_proof, path: path(20) } },
    }
    assert.ok(JSON.stringify(grown).length < 8 * 1024, `${JSON.stringify(grown).length} bytes`)
  })

  it('is told by what it holds: at most 10 KB, and 5 KB for each handover with its quorum of three', () => {
    for (const { name, receipt } of RECEIPTS) {
      const limit = (10 + 5 * receipt.handovers.length) * 1024
      assert.ok(JSON.stringify(receipt).length < limit, name)
    }
  })
})
