import assert from 'node:assert/strict'
import { HotTrees } from '../../../src/engine/hot-trees.ts'
import { transactionsAt } from '../../../src/engine/transaction-reads.ts'
import type { ChainStore } from '../../../src/ports/chain-store.ts'
import { verifyMerkleProof } from '../../../src/protocol/merkle.ts'
import { leafOf } from '../../../src/protocol/transaction.ts'
import { correction, createStreet, trade } from '../../helpers/branches.ts'
import { createMemoryChainStore } from '../../helpers/memory-chain-store.ts'

const TRADES = 2_500
const street = createStreet()
const chain = street.start
  .add(
    Array.from({ length: TRADES }, (_, n) =>
      trade('t0', `trade-${n}`, { from_user_id: `seller-${n % 5}`, to_user_id: n === 7 ? 'ann' : 'ben' }),
    ),
  )
  .add([
    ...Array.from({ length: 400 }, (_, n) => correction('t1', `fix-${n}`, `trade-${n}`)),
    trade('t1', 'one-more', { from_user_id: 'ann', to_user_id: 'ben' }),
  ])
const [trades, corrections] = chain.blocks as [(typeof chain.blocks)[0], (typeof chain.blocks)[0]]

describe('what is asked of a block as a whole', () => {
  let store: ChainStore
  /** How many transactions were read of the store. */
  let read: number
  let hot: HotTrees

  beforeEach(async () => {
    const memory = createMemoryChainStore()
    for (const [height, block] of chain.blocks.entries())
      await memory.append(block, chain.at(height).hash, block.transactions.map(leafOf))
    read = 0
    store = {
      ...memory,
      async transactions(...asked) {
        const part = await memory.transactions(...asked)
        read += part.length
        return part
      },
      block: () => Promise.reject(new Error('nobody reads a whole block')),
    }
    hot = new HotTrees(store)
  })

  it('is its tree, which is made once for all who ask', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => hot.treeOf(trades.header)))
    assert.equal(read, TRADES)
    assert.ok(made.every((one) => one === made[0]))
    const { leaves, tree } = made[0]!
    assert.deepEqual(leaves, trades.transactions.map(leafOf))
    assert.equal(tree.root, trades.header.merkle_root)
    for (const index of [0, 1_000, TRADES - 1])
      assert.ok(verifyMerkleProof(leaves[index]!, tree.proof(index), trades.header).ok)
  })

  it('is no tree where another block has come in the place of the one that was asked about', async () => {
    const header = { ...trades.header, merkle_root: corrections.header.merkle_root }
    await assert.rejects(hot.treeOf(header), { code: 'unknown_block' })
  })

  it('is whose its transactions are, which is looked up once for all households', async () => {
    const [first] = await Promise.all(Array.from({ length: 20 }, () => hot.partiesOf(trades.header)))
    const parties = first!
    assert.equal(read, TRADES)
    assert.deepEqual(parties.get('ann'), [7])
    assert.equal(parties.get('ben')?.length, TRADES - 1)
    assert.deepEqual(parties.get('seller-3')?.slice(0, 3), [3, 8, 13])
    assert.equal(parties.get('nobody'), undefined)
  })

  it('knows a correction as that of the parties of its trade, and reads the trades near to each other together', async () => {
    const parties = await hot.partiesOf(corrections.header)
    assert.deepEqual(parties.get('ann'), [7, 400])
    assert.equal(parties.get('ben')?.length, 400)
    // The 401 of this block, and a part of the other.
    assert.equal(read, 401 + 400)
  })

  it('reads transactions at many places once each, however they are ordered', async () => {
    const places = Array.from({ length: TRADES }, (_, n) => ({ height: 0, index: (n * 7) % TRADES }))
    const found = await transactionsAt(store, [...places, { height: 1, index: 5_000 }, { height: 9, index: 0 }])
    assert.deepEqual(
      found.slice(0, TRADES),
      places.map(({ index }) => trades.transactions[index]),
    )
    assert.deepEqual(found.slice(TRADES), [undefined, undefined])
    assert.equal(read, TRADES)
  })
})
