import assert from 'node:assert/strict'
import { ownOf } from '../../../src/engine/parties.ts'
import { Chain } from '../../../src/engine/chain.ts'
import { historyOf, verifyTransactions } from '../../../src/engine/history-rules.ts'
import { transactionsAt, transactionsById } from '../../../src/engine/transaction-reads.ts'
import type { ChainStore } from '../../../src/ports/chain-store.ts'
import { leafOf } from '../../../src/protocol/transaction.ts'
import { correction, createStreet, trade } from '../../helpers/branches.ts'
import { tempChainStore, type OpenedStore } from '../../helpers/stores.ts'

const street = createStreet()
const IDS = Array.from({ length: 12 }, (_, index) => `t${index}`)
const branch = street.start
  .add(IDS.slice(0, 6).map((id) => trade('early', id)))
  .add(IDS.slice(6).map((id) => trade('later', id, { from_user_id: 'cem', to_user_id: 'ben' })))
  .add(IDS.toReversed().map((id) => correction('fix', `${id}.fix`, id)))
  .add(IDS.map((id) => correction('again', `${id}.again`, id)))

describe('reading transactions of earlier blocks', () => {
  let opened: OpenedStore<ChainStore>
  /** Heights in the order in which their blocks were read. */
  let read: (number | string)[]
  let store: ChainStore

  beforeEach(async () => {
    opened = await tempChainStore()
    for (const [height, block] of branch.blocks.entries()) {
      await opened.store.append(block, branch.at(height).hash, block.transactions.map(leafOf))
    }
    read = []
    store = {
      ...opened.store,
      transactions: (height, from, count) => {
        read.push(height)
        return opened.store.transactions(height, from, count)
      },
    }
  })
  afterEach(() => opened.cleanup())

  it('gives each in its place, and undefined where there is none', async () => {
    const places = [
      { height: 1, index: 5 },
      { height: 0, index: 0 },
      { height: 1, index: 99 },
      { height: 9, index: 0 },
      { height: 1, index: 0 },
    ]
    const found = await transactionsAt(store, places)
    assert.deepEqual(
      found.map((tx) => (tx?.kind === 'trade' ? tx.id : tx)),
      ['t11', 't0', undefined, undefined, 't6'],
    )
    assert.deepEqual(new Set(read), new Set([0, 1, 9]))
    assert.deepEqual([...(await transactionsById(store, ['t7', 'none', 't0', 't0'], 1)).keys()], ['t0'])
  })

  it('reads each block once for all corrections of a block: for the rules, and for the parties', async () => {
    const history = historyOf(store, 3, [])
    assert.deepEqual(await verifyTransactions(branch.blocks[3]!, history), { ok: true })
    assert.deepEqual(read.toSorted(), [0, 1, 2])
    read.length = 0
    const chain = await Chain.open(street.genesis, store)
    read.length = 0
    const own = await ownOf(chain, branch.blocks[2]!.transactions, 'ann')
    assert.deepEqual(
      own,
      IDS.toReversed().map((id) => IDS.indexOf(id) < 6),
    )
    assert.deepEqual(read.toSorted(), [0, 1])
  })
})
