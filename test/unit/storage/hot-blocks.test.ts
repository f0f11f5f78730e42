import assert from 'node:assert/strict'
import type { ShownBlock } from '../../../src/protocol/block.ts'
import { hashTransaction } from '../../../src/protocol/transaction.ts'
import type { LevelChainStore } from '../../../src/storage/level/chain-store.ts'
import { HotBlocks } from '../../../src/storage/level/hot-blocks.ts'
import { createStreet, type Branch } from '../../helpers/branches.ts'
import { tempChainStore, type OpenedStore } from '../../helpers/stores.ts'

const street = createStreet()
const base = street.start.grow('t0', 't1')
const MIB = 1024 * 1024

describe('blocks that were read last', () => {
  let opened: OpenedStore<LevelChainStore>

  beforeEach(async () => {
    opened = await tempChainStore()
    await keep(base)
  })
  afterEach(() => opened.cleanup())

  async function keep({ blocks, at }: Branch): Promise<void> {
    for (let height = await opened.store.size(); height < blocks.length; height++) {
      const block = blocks[height]!
      await opened.store.append(block, at(height).hash, block.transactions.map(hashTransaction))
    }
  }
  const idsAt = async (height: number) =>
    (await opened.store.block(height))?.transactions.map((tx) => (tx.kind === 'redacted' ? '-' : tx.id))

  it('are read once', async () => {
    const block = await opened.store.block(1)
    assert.equal(await opened.store.block(1), block)
    assert.deepEqual(block, base.blocks[1])
  })

  it('are read again once a body was removed, also where a read was under way', async () => {
    const [tx] = base.blocks[0]!.transactions
    const record = { tx_hash: hashTransaction(tx!), tx_id: tx!.id, height: 0, redacted_by: 'mia', redacted_at: 1 }
    const reads: Promise<unknown>[] = []
    for (let n = 0; n < 5; n++) reads.push(opened.store.block(0))
    const redacted = opened.store.redact([{ ...record, reason: 'erasure' }])
    for (let n = 0; n < 50; n++) {
      reads.push(opened.store.block(0))
      await new Promise(setImmediate)
    }
    await Promise.all([redacted, ...reads])
    assert.deepEqual(await idsAt(0), ['-'])
    assert.deepEqual(await idsAt(1), ['t1.1'])
  })

  it('are read again once the chain is another', async () => {
    assert.deepEqual(await idsAt(1), ['t1.1'])
    await opened.store.rewind(1)
    assert.equal(await opened.store.block(1), undefined)
    await keep(street.start.grow('t0', 'other'))
    assert.deepEqual(await idsAt(1), ['other.1'])
  })

  const blockOf = (height: number): ShownBlock => {
    const block = base.blocks[0]!
    return { ...block, header: { ...block.header, height } }
  }

  it('are kept up to 16 MiB of their bodies, the last ones', () => {
    const hot = new HotBlocks()
    for (let height = 0; height < 20; height++) hot.put(blockOf(height), MIB, hot.generation)
    assert.equal(hot.get(3), undefined)
    assert.equal(hot.get(4)?.header.height, 4)
    hot.put(blockOf(20), MIB, hot.generation)
    assert.equal(hot.get(4)?.header.height, 4, 'it was read since')
    assert.equal(hot.get(5), undefined)
  })

  it('are not kept for ever where one is larger than that', () => {
    const hot = new HotBlocks()
    const block = blockOf(7)
    hot.put(block, 17 * MIB, hot.generation)
    assert.equal(hot.get(7), block)
    hot.put(blockOf(8), 17 * MIB, hot.generation)
    assert.equal(hot.get(7), undefined)
    hot.clear()
    assert.equal(hot.get(8), undefined)
  })

  it('are not kept if they were read before something changed', () => {
    const hot = new HotBlocks()
    const { generation } = hot
    hot.clear()
    hot.put(blockOf(1), 1, generation)
    assert.equal(hot.get(1), undefined)
  })
})
