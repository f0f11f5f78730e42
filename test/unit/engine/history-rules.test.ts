import { historyOf, verifyTransactions } from '../../../src/engine/history-rules.ts'
import type { LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { parseDelta, parseQuantity } from '../../../src/protocol/decimal.ts'
import { hashTransaction, type Transaction } from '../../../src/protocol/transaction.ts'
import { correction, createStreet, numbersOf, trade, type Branch } from '../../helpers/branches.ts'
import { tempChainStore, type OpenedStore } from '../../helpers/stores.ts'
import assert from 'node:assert/strict'

const street = createStreet()

describe('the rules that need earlier blocks', () => {
  let opened: OpenedStore<LevelChainStore>

  beforeEach(async () => {
    opened = await tempChainStore()
  })
  afterEach(() => opened.cleanup())

  async function keep({ blocks, at }: Branch): Promise<void> {
    for (let height = await opened.store.size(); height < blocks.length; height++) {
      const block = blocks[height]!
      await opened.store.append(block, at(height).hash, block.transactions.map(hashTransaction))
    }
  }

  /** What is said of these transactions as the next block after `size` blocks of the chain and then those of `branch`. */
  async function said(transactions: readonly Transaction[], size: number, branch?: Branch): Promise<string> {
    const history = historyOf(opened.store, size, branch?.blocks.slice(size) ?? [])
    const verdict = await verifyTransactions({ transactions }, history)
    return verdict.ok ? 'ok' : verdict.code
  }

  it('seal a tick once, on the chain and on a branch', async () => {
    const base = street.start.grow('t0', 't1')
    const chain = base.grow('t2', 't3')
    const branch = base.grow('x2', 'x3')
    await keep(chain)
    assert.equal(await said([trade('t1', 'new')], 4), 'tick_sealed_twice')
    assert.equal(await said([trade('t3', 'new')], 4), 'tick_sealed_twice')
    assert.equal(await said([trade('t3', 'new')], 2), 'ok', 'it is sealed beside that branch')
    assert.equal(await said([trade('t3', 'new')], 4, branch), 'tick_sealed_twice')
    assert.equal(await said([trade('t3', 'new')], 2, branch), 'ok')
    assert.equal(await said([trade('x3', 'new')], 2, branch), 'tick_sealed_twice')
    assert.equal(await said([trade('t0', 'new')], 2, branch), 'tick_sealed_twice')
    assert.equal(await said([], 4), 'ok')
  })

  it('give the id of a redacted transaction to no other, and those of its corrections neither', async () => {
    const base = street.start.grow('t0').add([correction('t1', 'late', 't0.1')])
    await keep(base.grow('t2'))
    const why = { redacted_by: 'mia', redacted_at: 1, reason: 'erasure' }
    const redactions = base.blocks.map(({ transactions: [tx] }, height) => ({
      ...why,
      tx_hash: hashTransaction(tx!),
      tx_id: tx!.id,
      height,
    }))
    await opened.store.redact(redactions)
    for (const id of ['t0.1', 'late']) assert.equal(await said([trade('new', id)], 3), 'repeats_redacted')
    for (const id of ['t0', 't1']) assert.equal(await said([trade(id, 'fresh')], 3), 'repeats_redacted')
    assert.equal(await said([trade('t2', 'late')], 3), 'tick_sealed_twice', 'its block is whole')
    assert.equal(await said([trade('new', 'late'), trade('new', 't2.1')], 3), 'duplicate_transaction')
    assert.equal(await said([trade('new', 'late')], 1), 'ok', 'it is above that branch')
    assert.equal(await said([trade('new', 'late.2')], 3), 'ok')
  })

  it('give an id once: on the chain, on a branch, and within the block', async () => {
    const base = street.start.grow('t0')
    const chain = base.grow('t1', 't2')
    const branch = base.grow('x1')
    await keep(chain)
    const next = (id: string) => [trade('new', 'fresh'), trade('new', id)]
    assert.equal(await said(next('t0.1'), 3), 'duplicate_transaction')
    assert.equal(await said(next('t2.1'), 3), 'duplicate_transaction')
    assert.equal(await said(next('t2.1'), 1, branch), 'ok')
    assert.equal(await said(next('x1.1'), 1, branch), 'duplicate_transaction')
    assert.equal(await said(next('t0.1'), 1, branch), 'duplicate_transaction')
    assert.equal(await said(next('fresh'), 3), 'duplicate_transaction')
    assert.equal(await said(next('other'), 3), 'ok')
    assert.equal(await said([correction('new', 't1.1', 't0.1')], 3), 'duplicate_transaction')
  })

  it('let a correction name a trade of an earlier block alone', async () => {
    const base = street.start.grow('t0').add([correction('t1', 'fix', 't0.1')])
    const chain = base.grow('t2')
    const branch = base.grow('x2')
    await keep(chain)
    const fix = (corrects: string) => [trade('new', 'sibling'), correction('new', 'again', corrects)]
    for (const wrong of ['nowhere', 'sibling', 'fix', 'x2.1']) {
      assert.equal(await said(fix(wrong), 3), 'bad_correction', wrong)
    }
    for (const right of ['t0.1', 't2.1']) assert.equal(await said(fix(right), 3), 'ok', right)
    assert.equal(await said(fix('t2.1'), 2, branch), 'bad_correction', 'that trade is on another branch')
    for (const right of ['t0.1', 'x2.1']) assert.equal(await said(fix(right), 2, branch), 'ok', right)
  })

  it('let no trade be corrected below 0, counting the corrections of this branch and of no other', async () => {
    const base = street.start.grow('t0').add([correction('t1', 'f1', 't0.1', '-1', '-0.2')])
    const chain = base.add([correction('t2', 'f2', 't0.1', '-1.5', '-0.3')])
    const branch = base.add([correction('x2', 'fx', 't0.1', '0.5', '0')])
    await keep(chain)
    const by = (kwh: string, amount: string, id = 'f3') => correction('new', id, 't0.1', kwh, amount)
    assert.equal(await said([by('-0.000001', '0')], 3), 'bad_correction')
    assert.equal(await said([by('0', '-0.000001')], 3), 'bad_correction')
    assert.equal(await said([by('0.000001', '0')], 3), 'ok')
    assert.equal(await said([by('-1.5', '-0.3')], 2), 'ok', 'before the second correction')
    assert.equal(await said([by('-2', '-0.3')], 2, branch), 'ok')
    assert.equal(await said([by('-2.000001', '0')], 2, branch), 'bad_correction')
    assert.equal(await said([by('-1', '0'), by('-1', '0', 'f4')], 2, branch), 'ok')
    assert.equal(await said([by('-2', '0'), by('-0.1', '0', 'f4')], 2, branch), 'bad_correction')
    assert.equal(await said([by('-2.1', '0'), by('0.1', '0', 'f4')], 2, branch), 'bad_correction', 'at no time')
  })

  it('let no trade grow beyond what a receipt can show, in digits or in corrections', async () => {
    const chain = street.start.grow('t0')
    await keep(chain)
    const by = (kwh: string, amount: string, id = 'f') => correction('new', id, 't0.1', kwh, amount)
    const most = '999999999999.999999'
    for (const rows of [[by(most, '0')], [by('0', most)], [by(most, '0'), by(`-${most}`, '0', 'g')]]) {
      assert.equal(await said(rows, 1), 'bad_correction')
    }
    const many = Array.from({ length: 1_001 }, (_, n) => by('0', n % 2 === 0 ? '0.1' : '-0.1', `f${n}`))
    assert.equal(await said(many, 1), 'bad_correction')
    assert.equal(await said(many.slice(1), 1), 'ok')
  })

  it('say on random branches what a look at every transaction says', async () => {
    for (let seed = 0; seed < 12; seed++) {
      const random = numbersOf(`history ${seed}`)
      let main = street.start.grow('t0', 't1')
      for (let step = 0; step < 6; step++) main = grownBy(main, random)
      const fork = 1 + random(main.size - 1)
      let branch = streetBranch(main, fork)
      for (let step = 0; step < 4; step++) branch = grownBy(branch, random)
      await opened.cleanup()
      opened = await tempChainStore()
      await keep(main)
      for (let asked = 0; asked < 25; asked++) {
        const transactions = someTransactions(random)
        const context = `seed ${seed}, ${JSON.stringify(transactions)}`
        assert.equal(await said(transactions, main.size), naive(main, transactions), `chain, ${context}`)
        assert.equal(await said(transactions, fork, branch), naive(branch, transactions), `branch, ${context}`)
      }
    }
  })
})

const streetBranch = (main: Branch, size: number): Branch =>
  main.blocks.slice(0, size).reduce<Branch>((grown, block) => grown.add(block.transactions), street.start)

/** Few ids and ticks, so that they meet often. */
function someTransactions(random: (limit: number) => number): readonly Transaction[] {
  const tick = `t${random(14)}`
  return Array.from({ length: 1 + random(3) }, () => {
    const id = `id-${random(30)}`
    if (random(2) === 0) return trade(tick, id)
    const deltas = ['-2.5', '-1', '-0.5', '1']
    const [kwh, amount] = [deltas[random(4)]!, ['-0.3', '-0.1', '0.2', '0'][random(4)]]
    return correction(tick, id, ['t0.1', 't1.1', `id-${random(30)}`][random(3)]!, kwh, amount)
  })
}

/** With one more block, if the rules allow what chance brings. */
function grownBy(branch: Branch, random: (limit: number) => number): Branch {
  const transactions = someTransactions(random)
  return naive(branch, transactions) === 'ok' ? branch.add(transactions) : branch
}

/** The rules, by a look at every transaction. */
function naive({ blocks }: Branch, transactions: readonly Transaction[]): string {
  const earlier = blocks.flatMap((block) => block.transactions)
  if (earlier.some(({ tick_id }) => tick_id === transactions[0]?.tick_id)) return 'tick_sealed_twice'
  const ids = [...earlier, ...transactions].map(({ id }) => id)
  if (new Set(ids).size < ids.length) return 'duplicate_transaction'
  for (const [index, tx] of transactions.entries()) {
    if (tx.kind !== 'correction') continue
    const corrected = earlier.find(({ id }) => id === tx.corrects)
    if (corrected?.kind !== 'trade') return 'bad_correction'
    const all = [...earlier, ...transactions.slice(0, index + 1)]
    const fixes = all.filter((other) => other.kind === 'correction').filter((fix) => fix.corrects === tx.corrects)
    const kwh = fixes.reduce((sum, fix) => sum + parseDelta(fix.kwh_delta), parseQuantity(corrected.kwh))
    const amount = fixes.reduce((sum, fix) => sum + parseDelta(fix.amount_delta), parseQuantity(corrected.total_amount))
    if (kwh < 0n || amount < 0n) return 'bad_correction'
  }
  return 'ok'
}
